"""`label` through kills, full disks and damaged files: the end is that of an undisturbed run, bit for bit."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from histobridge.data.manifest import packaged_manifests
from histobridge.io.images import write_image
from histobridge.io.kept import SEAL, SET_ASIDE
from histobridge.phantom import phantom

MIB = 2**20
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
WITHOUT_BOUND = """
import histobridge_label.pipeline as pipeline
from histobridge.cli import main
pipeline.check_disk = lambda *_: None
main()
"""


@pytest.fixture(scope="module")
def label(tmp_path_factory):
    """Start `label` on two small images, learning from four small drawn ones, in a process of its own."""
    place = tmp_path_factory.mktemp("label")
    (place / "images").mkdir()
    for seed in (80, 81):
        write_image(place / "images" / f"i{seed}.png", phantom("sem", seed, (128, 128))[0])
    described = yaml.safe_load((packaged_manifests() / "phantom-tem.yaml").read_text())
    few = [record | {"width": 160, "height": 160} for record in described["images"][:4]]
    (place / "small-tem.yaml").write_text(yaml.safe_dump(described | {"name": "small-tem", "images": few}))
    command = ["label", place / "images", "--um-per-px", 0.1, "--work-at", 0.1, "--yes", "--profile", "smoke"]
    command += ["--translate", "--source-manifest", place / "small-tem.yaml", "--out"]

    def start(out, *, program=("-m", "histobridge")):
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        line = [sys.executable, "-u", *program, *map(str, [*command, out])]
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)

    return start


def finish(process) -> str:
    """Wait for a process that must succeed; return what it printed."""
    printed = process.communicate(timeout=300)[0]
    assert process.returncode == 0, printed
    return printed


@pytest.fixture(scope="module")
def undisturbed(label, tmp_path_factory):
    """The results of a run that nothing disturbs, and how long it took (s)."""
    out, begun = tmp_path_factory.mktemp("undisturbed") / "out", time.monotonic()
    finish(label(out))
    return results(out), time.monotonic() - begun


def results(out) -> dict[str, bytes]:
    """Return every file that a run leaves for later or for people, but those that hold clock times."""
    timed = ("losses.csv", f"losses.csv{SEAL}", "provenance.json", "model.json", "report.html")
    kept = [path for part in ("cache", "handoff", "model") for path in (out / part).rglob("*")]
    files = [*kept, out / "fibres.csv", out / "morphometrics.csv", out / "images.csv"]
    passing, aside = (".draft-", ".lock"), (SET_ASIDE, "model-before")
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in files
        if path.is_file()
        and path.name not in timed
        and not path.name.startswith(passing)
        and not any(word in path.name for word in aside)
    }


def assert_equal(found: dict[str, bytes], expected: dict[str, bytes]):
    """The same files with the same bytes; the names of those that differ are shown."""
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []


@pytest.mark.parametrize("moments", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_ended_at_random_moments_it_ends_with_the_same_results(label, undisturbed, tmp_path, moments):
    """By SIGKILL, SIGTERM and Ctrl-C in turn; each start continues where the last one was ended."""
    expected, seconds = undisturbed
    rng, out = random.Random(moments), tmp_path / "out"
    for number in range(moments):
        process = label(out)
        try:
            process.wait(timeout=rng.uniform(0.2, 0.8) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(SIGNALS[number % 3])
        printed = process.communicate(timeout=60)[0]
        assert "Traceback" not in printed, printed
    finish(label(out))
    assert_equal(results(out), expected)


@pytest.fixture
def small_disk(tmp_path):
    """A disk in memory whose size can be set, in MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk of a chosen size needs the right to mount one")

    def resize(mib: float) -> Path:
        subprocess.run(["mount", "-o", f"remount,size={int(mib * MIB)}", str(place)], check=True)
        return place

    yield resize
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("sizes", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_a_disk_that_fills_up_is_a_sentence_and_no_loss(label, undisturbed, small_disk, sizes):
    """At any size; with room the same command ends with the same results."""
    expected, _ = undisturbed
    needed = sum(map(len, expected.values())) / MIB
    for number in range(sizes):
        out = small_disk(needed * (number + 1) / (sizes + 1)) / "out"
        process = label(out, program=("-c", WITHOUT_BOUND))
        printed = process.communicate(timeout=300)[0]
        assert process.returncode == 2 and "free some space" in printed and "Traceback" not in printed, printed
    small_disk(10 * needed + 50)
    finish(label(out))
    assert_equal(results(out), expected)


def kinds_of_kept_files(out) -> dict[str, list[Path]]:
    """Return the files that a run keeps for itself, by what they are."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted((out / "cache").rglob("*")):
        if path.is_file() and path.suffix != SEAL and path.name != ".lock":
            kinds.setdefault(f"{path.relative_to(out / 'cache').parts[0]} {path.name[-9:]}", []).append(path)
    kinds["settled"], kinds["card"] = [out / "settled.json"], [out / "model" / "model.json"]
    kinds["weights"] = sorted((out / "model").glob("*.pt"))
    return kinds


def flip(path: Path, rng: random.Random) -> None:
    """Flip one bit."""
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def swap(path: Path, other: Path) -> None:
    """Swap the contents of two files."""
    contents = path.read_bytes(), other.read_bytes()
    path.write_bytes(contents[1])
    other.write_bytes(contents[0])


def test_every_kind_of_kept_file_may_be_damaged_swapped_or_cut(label, undisturbed, tmp_path):
    """Nothing that is wrong is used, and nothing has to be deleted by hand."""
    expected, rng, out = undisturbed[0], random.Random(0), tmp_path / "out"
    finish(label(out))
    damaged = []
    for number, (kind, files) in enumerate(kinds_of_kept_files(out).items()):
        fault = ("flip", "swap" if len(files) > 1 else "flip", "cut")[number % 3]
        if fault == "swap":
            swap(*files[:2])
        elif fault == "flip":
            flip(files[0], rng)
        else:
            files[0].write_bytes(files[0].read_bytes()[: files[0].stat().st_size // 2])
        damaged.append(f"{fault} {kind}")
    assert len(damaged) > 8, damaged
    printed = finish(label(out))
    assert "is made anew" in printed
    assert_equal(results(out), expected)
