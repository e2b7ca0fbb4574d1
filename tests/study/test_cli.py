"""The command line: a user's mistake is one sentence, no traceback, exit code 2."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["study", "--pair", "tem-afm"], ["no pair 'tem-afm'", "tem-sem", "phantom-bf"]),
        (["study", "--profile", "warp"], ["no profile 'warp'", "cpu", "smoke"]),
        (["study", "--protocol", "psychic"], ["no protocol 'psychic'", "inductive"]),
        (["study", "--split", "test"], ["no split 'test'", "locked-test"]),
        (["study", "--pair", "tem-macaque"], ["'tem-macaque' cannot run", "not available"]),
        (["study", "--study", "gone.yaml"], ["gone.yaml cannot be read"]),
        (["notebook", "06_more"], ["no notebook '06_more'", "05_report"]),
        (["notebook", "03_label", "--profile", "smoke", "--fold", "7"], ["no fold 7", "folds 0 to 1"]),
        (["handoff"], ["has finished 04_refine", "histobridge study"]),
        (["recommend"], ["has finished 04_refine", "histobridge study"]),
        (["publish"], ["no finished runs", "histobridge study"]),
        (["fetch", "tem-2"], ["no dataset 'tem-2'", "tem-pns"]),
        (["data", "nothing"], ["no dataset 'nothing'"]),
    ],
)
def test_a_mistake_is_one_sentence_with_the_valid_choices_and_exit_code_2(
    histobridge, tmp_path, monkeypatch, arguments, messages
):
    """The message says what was wrong and what would be right, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    code, _, err = histobridge(*arguments)
    assert code == 2
    assert "Traceback" not in err
    assert all(message in err for message in messages), err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"]


def test_notebooks_are_copied_and_never_overwritten(histobridge, tmp_path):
    """All of them with the study file; a second copy into the same folder is refused."""
    assert histobridge("notebooks", tmp_path / "mine")[0] == 0
    copies = {path.name for path in (tmp_path / "mine").iterdir()}
    assert {"00_tour.ipynb", "05_report.ipynb", "study.yaml"} <= copies
    code, _, err = histobridge("notebooks", tmp_path / "mine")
    assert code == 2 and "00_tour.ipynb exists already" in err


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
