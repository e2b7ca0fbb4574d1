"""The study as a batch: text of the user stays text, what is kept is verified, and an ending leaves no work behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest
import yaml
from nbformat import v4 as new

from histobridge.io import files
from histobridge_study.execute import LOCK, write_html
from histobridge_study.grid import Grid
from histobridge_study.processes import end_tree
from histobridge_study.report.collect import collect

FOLD = "tiny/phantom-sem/transductive/development/fold0"
ODD = [
    "run #2",
    "rat: 3",
    "curly{x}",
    "a b",
    "$(touch x)",
    "it's",
    "100%",
    "[red]x",
    "two\nlines",
    "-x",
    "a,b",
    "{wildcards}",
]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
SLOW = pytest.mark.slow


def is_sentence(err: str) -> bool:
    """Whether standard error holds one line and no traceback."""
    return "Traceback" not in err and len(err.strip().splitlines()) == 1


def plan(study, out) -> Grid:
    """The tiny study in a folder."""
    return Grid("tiny", out=str(out), data=str(out / "data"), study_file=str(study))


# --- Text of the user -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ODD)
def test_a_folder_of_any_name_is_text_for_notebooks_and_configuration(tmp_path, monkeypatch, tiny_study, name):
    """Row 1: the configuration of Snakemake is a file that holds the name as it is."""
    monkeypatch.chdir(tmp_path)
    grid = Grid("tiny", out=name, data="data", study_file=str(tiny_study))
    written = files.write_json(tmp_path / "config.json", {**grid.config, "cores": 1})
    monkeypatch.chdir("/")
    assert Grid.from_config(json.loads(written.read_text())) == grid
    assert grid.folder == tmp_path / name / "tiny"


def test_a_folder_whose_name_is_a_language_of_its_own_is_planned_and_worked_in(tmp_path, tiny_study, in_a_process):
    """Row 1: with all odd names in one, the first job runs there, nothing is executed, and no sibling is touched."""
    out = tmp_path / "".join(ODD).replace("-x", "")
    sibling = tmp_path / "run "
    sibling.mkdir()
    grid = plan(tiny_study, out)
    study = shutil.copytree(tiny_study.parent, tmp_path / "st {y} #2") / tiny_study.name
    config = {**grid.config, "study_file": str(study), "folds": [0], "cores": 1}
    snakemake(grid, config, "--until", "look")
    assert grid.run("phantom-sem", "transductive", 0).stage("01_data").finished
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([out.name, sibling.name, study.parent.name])
    assert not list(sibling.iterdir()) and not list(tmp_path.rglob("x"))


def snakemake(grid: Grid, config: dict, *options: str) -> None:
    """Run a part of the graph of jobs as the front does."""
    from histobridge_study.execute import WORKFLOW

    written = files.write_json(grid.folder / "config.json", config)
    command = [sys.executable, "-m", "snakemake", "--snakefile", WORKFLOW / "Snakefile", "--configfile", written]
    command += ["--profile", WORKFLOW / "profiles" / "local", "--cores", "1", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(list(map(str, command)), cwd=grid.folder, env=environment, check=True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("$(touch x)", "cannot be used"),
        ("../../../escaped", "cannot be used"),
        ("..", "cannot be used"),
        ("{x}", "cannot be used"),
        ("a,b", "cannot be used"),
        ("two\nlines", "cannot be used"),
        ("x" * 101, "cannot be used"),
        ("cache", "folder 'cache' of its own"),
        (True, "in quotes"),
        (123, "in quotes"),
    ],
)
def test_a_name_that_cannot_be_that_of_a_folder_is_refused(histobridge, tmp_path, tiny_study, name, message):
    """Row 22: pairs and profiles have names of one pattern; nothing is executed, and nothing is written."""
    for section in ("pairs", "profiles"):
        study = yaml.safe_load(tiny_study.read_text())
        study[section] = {name: next(iter(study[section].values()))}
        file = tmp_path / "study.yaml"
        file.write_text(yaml.safe_dump(study))
        code, _, err = histobridge("study", "--study", file, "--out", tmp_path / "runs")
        assert code == 2 and is_sentence(err) and message in err, err
        assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


def test_names_that_look_like_values_work_in_quotes(tmp_path, tiny_study):
    """Row 22: `'true'` and `'123'` are names like any other, also for Snakemake."""
    study = yaml.safe_load(tiny_study.read_text())
    pair = study["pairs"]["phantom-sem"]
    study |= {"pairs": {"true": pair, "123": pair}}
    study["profiles"] = {"no": study["profiles"]["tiny"] | {"pairs": ["true", "123"]}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    grid = Grid("no", ("123", "true"), folds=(0,), out=str(tmp_path / "runs"), study_file=str(tmp_path / "study.yaml"))
    assert Grid.from_config(json.loads(json.dumps(grid.config))) == grid
    assert [cell[0] for cell in grid.cells] == ["123", "true"]


# --- The study file -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "- a",
        "3",
        "pairs: 3",
        "pairs: [a]",
        "profiles: {tiny: 3}",
        "a: 2024-99-99",
        "[" * 5000,
        b"\xff\xfe\x00",
    ],
)
def test_a_study_file_of_any_fault_is_one_sentence(histobridge, tmp_path, content):
    """Row 29: missing, empty, listless, a list, of wrong types, no YAML, no text."""
    file = tmp_path / "study.yaml"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, _, err = histobridge("study", "--study", file, "--out", tmp_path / "runs")
    assert code == 2 and is_sentence(err), err


@pytest.mark.parametrize(
    "change",
    [
        {"profiles": {"tiny": {"training": "smoke", "pairs": ["gone"], "folds": 2, "run_folds": [0]}}},
        {"profiles": {"tiny": {"training": "smoke", "pairs": [], "folds": 2, "run_folds": [0]}}},
        {"translators": ["none"]},
        {"translators": []},
        {"pairs": {}},
    ],
)
def test_an_entry_that_leads_nowhere_is_one_sentence(histobridge, tmp_path, tiny_study, change):
    """Row 29: a pair that is not there, no pair at all, or a translator that the notebooks need."""
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(yaml.safe_load(tiny_study.read_text()) | change))
    code, _, err = histobridge("study", "--profile", "tiny", "--study", tmp_path / "study.yaml", "--out", tmp_path)
    assert code == 2 and is_sentence(err), err


@pytest.mark.parametrize("content", ["", "- a", "3", "images: 3", "name: [", "a: 2024-99-99", b"\xff\xfe\x00"])
def test_a_manifest_of_any_fault_is_one_sentence(histobridge, tmp_path, tiny_study, content):
    """Row 29: a manifest beside the study file is read with the same care."""
    study = shutil.copytree(tiny_study.parent, tmp_path / "study") / tiny_study.name
    manifest = study.parent / "data_manifest" / "phantom-sem.yaml"
    manifest.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, _, err = histobridge("study", "--profile", "tiny", "--study", study, "--out", tmp_path / "runs")
    assert code == 2 and is_sentence(err), err


def test_a_lock_that_cannot_be_opened_is_one_sentence(histobridge, tmp_path, tiny_study, monkeypatch):
    """Row 29: that of another user, or one in a folder that may only be read."""

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.FileLock, "acquire", refuse)
    code, _, err = histobridge("study", "--profile", "tiny", "--study", tiny_study, "--out", tmp_path)
    assert code == 2 and is_sentence(err) and "Permission denied" in err


def test_a_place_that_is_a_file_is_one_sentence(histobridge, tmp_path, tiny_study):
    """Row 29: no folder can be made there."""
    (tmp_path / "runs").touch()
    code, _, err = histobridge("study", "--profile", "tiny", "--study", tiny_study, "--out", tmp_path / "runs")
    assert code == 2 and is_sentence(err)


# --- What is kept -------------------------------------------------------------------------------------------------


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished tiny study."""
    return shutil.copytree(finished[0], tmp_path / "copy", symlinks=True)


def damage(path, kind) -> None:
    """Flip a bit of a file, cut it within a line, empty it or delete it."""
    content = bytearray(path.read_bytes())
    half = content[: len(content) // 2].rstrip(b"\n")
    if kind == "flip":
        content[len(content) // 2] ^= 1
    path.unlink()
    if kind != "delete":
        path.write_bytes({"flip": content, "cut": half, "empty": b""}[kind])


@pytest.mark.parametrize("kind", ["flip", "cut", "empty", "delete"])
@pytest.mark.parametrize("name", ["finished.json", "finished.json.sha256", "dice.csv", "labels/*/*.png"])
def test_a_stage_counts_as_finished_only_if_every_file_fits(finished, tmp_path, tiny_study, name, kind):
    """Rows 14 to 16: whatever is damaged, the stage is not taken up, is told, and is planned anew."""
    out = tmp_path / "copy"
    shutil.copytree(finished[0] / FOLD, out / FOLD)
    stage = plan(tiny_study, out).run("phantom-sem", "transductive", 0).stage("03_label")
    assert stage.finished
    damage(sorted(stage.folder.glob(name))[0], kind)
    stage = plan(tiny_study, out).run("phantom-sem", "transductive", 0).stage("03_label")
    assert not stage.finished
    stage.set_misfits_aside()
    assert not stage.record_file.exists()


def test_swapped_files_do_not_fit(finished, tmp_path, tiny_study):
    """Row 14: two masks of a stage, and the whole record of another fold, are not taken for each other."""
    out = shutil.copytree(finished[0], tmp_path / "copy", ignore=shutil.ignore_patterns("cache"))
    grid = plan(tiny_study, out)
    label, refine = (grid.run("phantom-sem", "transductive", 0).stage(name) for name in ("03_label", "04_refine"))
    first, second = sorted(label.folder.glob("labels/supervised-none/*.png"))[:2]
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    other = grid.run("phantom-sem", "transductive", 1).stage("04_refine")
    for name in ("finished.json", "finished.json.sha256"):
        shutil.copy(other.folder / name, refine.folder / name)
    assert not label.finished and not refine.finished


def test_a_damaged_run_costs_that_run_in_the_report_and_the_hand_off(copy, histobridge, tiny_study):
    """Rows 14 to 16: the other run is delivered, the reason is told, and the exit code is 2."""
    damage(next((copy / FOLD).glob("04_refine-*/refined.csv")), "flip")
    places = ["--data", copy / "data", "--study", tiny_study]
    for command in (["handoff", "--profile", "tiny", "--out", copy], ["report", copy / "tiny"]):
        code, out, err = histobridge(*command, *places)
        assert code == 2 and "Traceback" not in err, err
        assert "2 runs: 1 used, 1 skipped" in out and "refined.csv is not what was kept there" in out
    assert list(copy.glob("tiny/phantom-sem/*/*/fold1/04_refine-*/handoff/*"))
    assert "refined.csv" in (copy / "tiny" / "site" / "index.html").read_text()


@pytest.mark.parametrize(
    "damages",
    [
        {"fold0/04_refine-*/review_order.csv": "empty"},
        pytest.param(
            {
                "seed0/02_translate-*/translators/syndiff.pt": "flip",
                "fold1/03_label-*/finished.json": "cut",
                "fold1/04_refine-*/labels/*/*.png": "delete",
            },
            marks=SLOW,
        ),
    ],
)
def test_the_same_command_makes_damaged_results_anew(finished, copy, in_a_process, tiny_study, damages):
    """Rows 14 to 17: damaged stages, and a record of the year 2100; all is told, and the tables are equal."""
    folder = copy / "tiny" / "phantom-sem" / "transductive" / "development"
    damaged = [next(folder.glob(name)) for name in damages]
    for path, kind in zip(damaged, damages.values(), strict=True):
        damage(path, kind)
    later = next(folder.glob("fold0/03_label-*/finished.json"))
    os.utime(later, (4102444800, 4102444800))
    ended = in_a_process("study", copy)
    assert ended.returncode == 0, ended.stdout
    for path in damaged:
        assert any(path.name in line and "it is made anew" in line for line in ended.stdout.splitlines())
    assert "it is dated today" in ended.stdout
    assert later.stat().st_mtime < time.time() + 1
    before, after = (
        collect("tiny", out=str(out), data=str(out / "data"), study_file=str(tiny_study)).rows
        for out in (finished[0], copy)
    )
    for table in ("dice", "translation", "trust", "morphometrics"):
        assert before[table].to_csv() == after[table].to_csv()


def test_a_published_table_that_was_cut_is_one_sentence(histobridge, tmp_path):
    """Row 16: empty and cut tables and provenance, as after a merge."""
    from histobridge_study.report.collect import ROWS

    source = next(parent / "reports" for parent in files.Path(__file__).parents if (parent / "reports").is_dir())
    published = [f"{table}.csv" for table in ROWS if (source / f"{table}.csv").exists()]
    for name in (*published, "provenance.json"):
        for kind in ("empty", "cut"):
            reports = tmp_path / f"{kind}-{name}"
            reports.mkdir()
            for file in (*source.glob("*.csv"), source / "provenance.json"):
                shutil.copy(file, reports)
            damage(reports / name, kind)
            code, _, err = histobridge("publish", "--recompute", "--reports", reports, "--readme", tmp_path / "no.md")
            assert code == 2 and is_sentence(err) and name in err, err


def test_another_number_format_asks_for_other_results(finished, tiny_study, monkeypatch):
    """Row 28: the number format is in the provenance, and a run of another one has not finished."""
    stage = plan(tiny_study, finished[0]).run("phantom-sem", "transductive", 0).stage("03_label")
    used = stage.record()["provenance"]["precision"]
    other = {"bfloat16": "float32", "float32": "bfloat16"}[used]
    monkeypatch.setattr("histobridge.cache.precision", lambda: other)
    stage = plan(tiny_study, finished[0]).run("phantom-sem", "transductive", 0).stage("03_label")
    assert not stage.finished and not stage.record_file.exists()


# --- Endings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, signal.SIGKILL, pytest.param(signal.SIGHUP, marks=SLOW), pytest.param(signal.SIGINT, marks=SLOW)],
)
def test_an_ending_leaves_neither_work_nor_locks(tmp_path, tiny_study, number):
    """Row 23: the whole tree ends, also kernels in sessions of their own, and the exit code is 128 + the signal."""
    out = tmp_path / "runs"
    line = [sys.executable, "-m", "histobridge", "study", "--profile", "tiny", "--out", out, "--data", out / "data"]
    line = list(map(str, [*line, "--study", tiny_study, "--fold", 0]))
    front = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        tree = wait_for_kernel(psutil.Process(front.pid))
        os.killpg(front.pid, number)
        printed = front.communicate(timeout=30)[0]
        psutil.wait_procs(tree, timeout=10)
        assert not [each for each in tree if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
        if number != signal.SIGKILL:
            assert front.returncode == 128 + number and "the same command continues" in printed
        with files.file_lock(out / "tiny" / LOCK, wait=False):
            pass
    finally:
        if front.poll() is None:
            end_tree(psutil.Process(front.pid))


def wait_for_kernel(front: psutil.Process) -> list[psutil.Process]:
    """Wait until a notebook is at work; return all processes of a study."""
    for _ in range(1200):
        tree = front.children(recursive=True)
        if any("ipykernel_launcher" in " ".join(each.cmdline()) for each in tree):
            return [front, *tree]
        time.sleep(0.1)
    raise AssertionError("no kernel within two minutes")


def test_a_cell_that_has_not_finished_is_exit_code_1(tmp_path, tiny_study, histobridge, monkeypatch):
    """Row 1: whatever Snakemake says, what was asked for and is not there is named."""
    monkeypatch.setattr("histobridge_study.execute.run_grid", lambda *_, **__: True)
    code, out, _ = histobridge("study", "--profile", "tiny", "--study", tiny_study, "--out", tmp_path)
    assert code == 1 and "Not finished (the reason stands above): phantom-sem transductive 0" in out


# --- Pages --------------------------------------------------------------------------------------------------------


def test_a_page_of_a_notebook_loads_nothing_from_a_network(tmp_path):
    """Row 33: math, a widget, an image and whatever an output names are embedded or left out; links stay."""
    outputs = [
        new.new_output("display_data", {"image/png": PNG}),
        new.new_output(
            "display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "a"}, "text/plain": "W"}
        ),
        new.new_output(
            "display_data", {"text/html": "<link rel=stylesheet href='http://a.b/c.css'><img src=//c.d/y.png>"}
        ),
        new.new_output("display_data", {"application/javascript": "import('https://n.o/p.js')"}),
    ]
    text = "$x^2$ ![far](https://e.org/a.png) [link](https://e.org/l)\n<script src='https://e.org/x.js'></script>"
    cells = [new.new_markdown_cell(text), new.new_code_cell("1", outputs=outputs)]
    state = {"application/vnd.jupyter.widget-state+json": {"version_major": 2, "version_minor": 0, "state": {"a": {}}}}
    nbformat.write(new.new_notebook(cells=cells, metadata={"widgets": state}), tmp_path / "a.ipynb")
    page = write_html(tmp_path / "a.ipynb").read_text()
    assert PNG[:40] in page and "https://e.org/l" in page and "x^2" in page
    for address in ("e.org/a.png", "e.org/x.js", "a.b/c.css", "c.d/y.png", "n.o/p.js", "<script", "cdnjs", "unpkg"):
        assert address not in page
