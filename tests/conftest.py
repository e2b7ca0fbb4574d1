"""Shared by all tests: the command line, real images, drawn domains, and the smallest models that still train."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

NOT_HERE = "real images not here: set HISTOBRIDGE_MIRROR to a folder that holds them"


def real_images() -> Path | None:
    """The folder of real images that the environment names, if it is there."""
    folder = os.environ.get("HISTOBRIDGE_MIRROR")
    return Path(folder) if folder and Path(folder, "sem").is_dir() else None


def pytest_runtest_setup(item):
    """Skip what is marked `real` where there are no real images, and say how to have it run."""
    if item.get_closest_marker("real") and real_images() is None:
        pytest.skip(NOT_HERE)


def pytest_terminal_summary(terminalreporter):
    """Say how many random inputs the tests have tried."""
    tried = [
        f"{report.location[2]}: {value} inputs tried"
        for report in terminalreporter.getreports("")  # ends of tests, which are no outcome of their own
        for name, value in report.user_properties
        if name == "inputs tried"
    ]
    for line in tried:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of real images; only for tests marked `real`."""
    return real_images() or pytest.skip(NOT_HERE)


@pytest.fixture
def histobridge(monkeypatch, capsys):
    """Run the command line in this process; return exit code, standard output and standard error."""
    import histobridge_label.cli  # noqa: F401 - registers its commands
    import histobridge_study.cli  # noqa: F401 - registers its commands
    from histobridge import cli

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["histobridge", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        printed = capsys.readouterr()
        return exit_.value.code, printed.out, printed.err

    return run


@pytest.fixture(scope="session")
def drawn():
    """Images and masks of two subjects in each of two modalities, 64 × 64 px; treated as read-only."""
    from histobridge.phantom import phantom

    seeds = {"tem": (0, 1), "sem": (2, 3)}
    return {modality: [phantom(modality, seed, (64, 64)) for seed in two] for modality, two in seeds.items()}


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium, driven by Playwright; tests that want it are skipped where there is none."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium here: install it (Debian: apt-get install chromium) to test the pages")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=quiet)
        yield browser
        browser.close()


@pytest.fixture
def in_float32(monkeypatch):
    """Networks calculate in float32 on every machine: bfloat16 rounds a share of a batch otherwise than the whole."""
    monkeypatch.setenv("HISTOBRIDGE_PRECISION", "float32")


@pytest.fixture(scope="session")
def tiny_syndiff():
    """Settings of a SynDiff that takes about a tenth of a second a step and exercises every branch of one."""
    from histobridge.config import SynDiffSettings

    return SynDiffSettings(
        steps=6, save_every=2, r1_every=2, crop=32, batch=2, latent=8, embedding=16,
        width=16, multipliers=(1, 2), cycle_width=16, critic_width=16, critic_multipliers=(1, 2),
    )  # fmt: skip


@pytest.fixture(scope="session")
def tiny_segmenter():
    """Settings of a segmenter that takes some hundredths of a second a step."""
    from histobridge.config import SegmenterSettings

    return SegmenterSettings(steps=6, save_every=2, crop=32, batch=2, widths=(8, 8, 16, 16, 32, 8))


def write_small_manifest(name, folder) -> None:
    """Write the manifest of a drawn dataset again, with four of its subjects and images of 160 px."""
    from histobridge.data.manifest import packaged_manifests

    manifest = yaml.safe_load((packaged_manifests() / f"{name}.yaml").read_text())
    few = [record | {"width": 160, "height": 160} for record in manifest["images"][:8]]
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(manifest | {"images": few}))


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory):
    """A study file of one drawn pair with a further set, two folds and SynDiff alone; its only profile is `tiny`.

    The manifests beside it come before those of the package. Their images are small, because every job draws them.
    """
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    domains = {side: {"dataset": f"phantom-{name}", "um_per_px": 0.1} for side, name in
               (("source", "tem"), ("target", "sem"))}  # fmt: skip
    profile = {"training": "smoke", "pairs": ["phantom-sem"], "folds": 2, "run_folds": [0, 1]}
    profile |= {"comparison": "short", "translator_seeds": 1}
    pairs = {"phantom-sem": {**domains, "others": [{"dataset": "phantom-bf", "um_per_px": 0.1}], "shift": "drawn"}}
    study = {"pairs": pairs, "translators": ["none", "syndiff"], "profiles": {"tiny": profile}}
    path.write_text(yaml.safe_dump(study))
    for name in ("phantom-tem", "phantom-sem", "phantom-bf"):
        write_small_manifest(name, path.parent / "data_manifest")
    return path


@pytest.fixture(scope="session")
def in_a_process(tiny_study):
    """Run `histobridge COMMAND --profile tiny --out OUT ...` in a process of its own, or kill it after some seconds."""

    def run(command, out, *options, kill_after=None):
        line = [sys.executable, "-m", "histobridge", command, "--profile", "tiny", "--out", out, "--data", out / "data"]
        line = list(map(str, [*line, "--study", tiny_study, *options]))
        # A job that is alone gets all cores. Where other tests run too, threads that spin while they wait for one
        # another take minutes for what one thread does in seconds.
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
        started = dict(env=environment, text=True, stderr=subprocess.STDOUT, start_new_session=True)
        if kill_after is None:
            return subprocess.run(line, stdout=subprocess.PIPE, check=False, **started)
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, **started)  # an orphaned kernel would hold a pipe
        time.sleep(kill_after)
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait(timeout=60)

    return run


@pytest.fixture(scope="session")
def finished(in_a_process, tmp_path_factory):
    """The tiny study, run with one fold too many: its folder, how it ended, and how long it took (s).

    The name of the folder is text in the languages of shell, Snakemake, Python and HTML.
    """
    out, begun = tmp_path_factory.mktemp("finished") / "run #2: {x}, it's <b> $(touch x)", time.monotonic()
    ended = in_a_process("study", out, "--fold", 0, "--fold", 1, "--fold", 99)
    return out, ended, time.monotonic() - begun


# --- The label tool: one folder that is labelled, for all tests -------------------------------------------


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A folder of three images."""
    from drawn_files import draw

    return draw(tmp_path_factory.mktemp("place") / "images")


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """The manifest of a labelled source that is small."""
    from histobridge.data.manifest import packaged_manifests

    described = yaml.safe_load((packaged_manifests() / "phantom-tem.yaml").read_text())
    few = [record | {"width": 160, "height": 160} for record in described["images"][:4]]
    path = tmp_path_factory.mktemp("source") / "small-tem.yaml"
    path.write_text(yaml.safe_dump(described | {"name": "small-tem", "images": few}))
    return path


@pytest.fixture(scope="session")
def options(source):
    """The profile `smoke`, at the right scale."""
    from histobridge_label.pipeline import LabelOptions

    return LabelOptions(source_manifest=source, profile="smoke", work_at=0.1)


@pytest.fixture(scope="session")
def labelled(images, options, tmp_path_factory):
    """A folder of images, labelled without any earlier result; and the result."""
    from histobridge_label.pipeline import label_folder

    out = tmp_path_factory.mktemp("place") / "out"
    return out, label_folder(images, out, options, um_per_px=0.1)
