"""The command line: a user's mistake is one sentence, no traceback, exit code 2."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "--pair", "tem-afm"], ["no pair 'tem-afm'", "tem-sem", "phantom-bf"]),
        (["run", "--profile", "warp"], ["no profile 'warp'", "cpu", "smoke"]),
        (["run", "--protocol", "psychic"], ["no protocol 'psychic'", "inductive"]),
        (["run", "--split", "test"], ["no split 'test'", "locked-test"]),
        (["run", "--fold", "7"], ["no fold 7", "folds 0 to 4"]),
        (["fetch", "tem-2"], ["no dataset 'tem-2'", "tem-pns"]),
        (["data", "nothing"], ["no dataset 'nothing'"]),
        (["publish", "--profile", "cpu", "--out", "nowhere"], ["no finished runs", "histobridge run"]),
    ],
)
def test_a_mistake_is_one_sentence_with_the_valid_choices_and_exit_code_2(histobridge, tmp_path, arguments, told):
    """The message names what was wrong and what would be right, and nothing else is printed."""
    folder = ["--out", tmp_path] if arguments[0] == "run" else []
    code, _, err = histobridge(*arguments, *folder)
    assert code == 2
    assert "Traceback" not in err
    for part in told:
        assert part in err


def test_a_pair_whose_files_are_not_here_says_how_to_get_them(histobridge, tmp_path):
    """Offline and without a mirror, the run stops with the fetch command, not in a notebook."""
    code, _, err = histobridge("run", "--pair", "tem-macaque", "--data", tmp_path / "d", "--out", tmp_path / "o")
    assert code == 2
    assert "histobridge fetch" in err or "tem-macaque" in err  # with a network the source arrives, the target cannot
    assert "Traceback" not in err


def test_data_shows_what_is_here_and_missing(histobridge, tmp_path):
    """An empty folder has every file missing; drawn datasets need none."""
    code, out, _ = histobridge("data", "sem", "--data", tmp_path)
    assert code == 0
    assert "14" in out  # 7 development images and their masks
    assert "missing" in out


@pytest.mark.real
def test_fetch_takes_files_from_a_mirror_and_checks_them(histobridge, tmp_path, mirror):
    """After a fetch from the mirror all development files are here; a damaged one is shown as wrong."""
    histobridge("fetch", "sem", "--mirror", mirror, "--data", tmp_path)
    images = sorted((tmp_path / "sem").rglob("*.png"))
    assert len(images) == 14
    images[0].write_bytes(b"damaged")
    _, out, _ = histobridge("data", "sem", "--data", tmp_path)
    assert images[0].name in out.replace("\n", "")
