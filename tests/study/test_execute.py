"""The study as a graph of jobs: planned fast, resumed after a kill, rerun where a setting changed and nowhere else."""

import json
import os
import random
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from histobridge.errors import UserError
from histobridge_study.config import ROOT, load_study
from histobridge_study.execute import NOTEBOOKS, Prefixed, run_graph
from histobridge_study.grid import Plan
from histobridge_study.report.collect import collect

PLANNED = re.compile(r"^(data|look|translate|label|beyond|report)\s+(\d+)$", re.M)


def test_a_failed_job_stops_no_other_and_the_report_is_built(finished):
    """Fold 99 does not exist: it is told, the exit code is 1, and folds 0 and 1 are in the tables."""
    out, ended, _ = finished
    assert ended.returncode == 1, ended.stdout
    assert "There is no fold 99" in ended.stdout
    assert "Not finished (why stands above): phantom-sem transductive 99" in ended.stdout
    assert set(collect(out / "tiny", "dice")["fold"]) == {0, 1}
    assert (out / "tiny" / "report" / "05_report.html").exists()


def test_progress_says_what_runs_and_how_much_is_done(finished):
    """Lines of parallel jobs begin with what they work on, and Snakemake counts the steps; its chatter is left out."""
    told = finished[1].stdout
    assert re.search(r"^phantom-sem transductive fold 1 \| .*step \d+ of \d+, .* min left", told, re.M)
    assert re.search(r"^\d+ of \d+ steps \(\d+%\) done", told, re.M)
    assert "Select jobs" not in told


@pytest.fixture(scope="module")
def complete(finished, in_a_process):
    """The folder of the tiny study, with nothing left to do."""
    out, _, _ = finished
    ended = in_a_process("study", out)  # the report that stood for a failed study is built anew
    assert ended.returncode == 0, ended.stdout
    return out


@pytest.fixture
def jobs_planned(complete, tiny_study, monkeypatch, capfd):
    """Return how many jobs of each kind a dry run with a study file would start in the complete folder."""

    def count(study=tiny_study):
        monkeypatch.setenv("HISTOBRIDGE_STUDY", str(study))  # Snakemake is a process of its own
        assert run_graph(Plan("tiny", out=str(complete), study=load_study(study)), dry_run=True)
        return {kind: int(jobs) for kind, jobs in PLANNED.findall(capfd.readouterr().out)}

    return count


@pytest.fixture
def changed_study(tiny_study, tmp_path):
    """Return the tiny study with other values in one of its sections; its datasets are the same."""

    def write(section, change):
        copy = shutil.copytree(tiny_study.parent, tmp_path / "changed") / tiny_study.name
        study = part = yaml.safe_load(copy.read_text())
        for name in section:
            part = part[name]
        part |= change
        copy.write_text(yaml.safe_dump(study))
        return copy

    return write


def test_newer_notebooks_and_other_words_change_nothing(jobs_planned, changed_study):
    """The notebook is no input, and a description no setting: a reworded sentence costs no training."""
    reworded = changed_study(["pairs", "phantom-sem"], {"shift": "reworded"})
    times = {path: path.stat() for path in NOTEBOOKS.glob("*.ipynb")}
    try:
        for path in times:
            os.utime(path)
        assert jobs_planned(reworded) == {}
    finally:
        for path, then in times.items():
            os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))


@pytest.mark.parametrize(
    ("section", "change", "planned"),
    [
        (["profiles", "tiny", "translator"], {"steps": 7}, {"translate": 1, "label": 2, "beyond": 2, "report": 1}),
        (["profiles", "tiny", "refinement"], {"steps": 16}, {"beyond": 2, "report": 1}),
        (
            ["pairs", "phantom-sem"],
            {"polarity": -1},
            {"look": 1, "translate": 1, "label": 2, "beyond": 2, "report": 1},
        ),
    ],
)
def test_a_changed_setting_reruns_what_depends_on_it(jobs_planned, changed_study, section, change, planned):
    """A number that decides a result plans its jobs again, and no others."""
    assert jobs_planned(changed_study(section, change)) == planned


@pytest.mark.slow
def test_a_study_killed_at_random_ends_with_the_same_tables(finished, in_a_process, tmp_path):
    """Three times SIGKILL to everything, then to the end: the tables are equal, bit for bit."""
    out, _, seconds = finished
    rng = random.Random(0)
    for _ in range(3):
        in_a_process("study", tmp_path, kill_after=rng.uniform(0.15, 0.5) * seconds)
    ended = in_a_process("study", tmp_path)
    assert ended.returncode == 0, ended.stdout
    for table in ("dice", "translation"):
        whole, resumed = (collect(folder / "tiny", table).to_csv() for folder in (out, tmp_path))
        assert whole == resumed


@pytest.mark.slow
def test_two_thousand_jobs_are_planned_in_little_memory(tmp_path):
    """A dry run of 3 pairs, 2 protocols and 250 folds stays under 1 GiB."""
    program = (
        "import resource, sys; from pathlib import Path; from histobridge_study.execute import run_graph;"
        "from histobridge_study.grid import Plan;"
        "plan = Plan('smoke', protocols=('transductive', 'inductive'), folds=tuple(range(220)), out=sys.argv[1]);"
        "assert run_graph(plan, dry_run=True);"
        "print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert sum(int(count) for _, count in PLANNED.findall(done.stdout)) / 2 > 1900  # the table comes twice
    assert float(done.stdout.split("peak ")[1]) < 1.0


def test_two_studies_do_not_share_a_folder(tmp_path):
    """The second is told to wait."""
    import fcntl

    plan = Plan("smoke", pairs=("phantom-sem",), out=str(tmp_path))
    plan.folder.mkdir(parents=True)
    with (plan.folder / ".study.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="Another process"):
            run_graph(plan, dry_run=True)


def test_lines_of_parallel_jobs_carry_a_prefix(capsys):
    """Only whole lines are written, each with its prefix."""
    stream = Prefixed(sys.stdout, "fold 1")
    stream.write("step 1\nst")
    stream.write("ep 2\n")
    assert capsys.readouterr().out == "fold 1 | step 1\nfold 1 | step 2\n"


@pytest.fixture
def stub_sbatch(tmp_path):
    """A folder with an `sbatch` that runs the job script here, and notes what it was asked for."""
    script = tmp_path / "bin" / "sbatch"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nfor script; do :; done\nsh "$script" >&2 & echo 7\n')
    script.chmod(0o755)
    return script.parent


def test_a_cluster_gets_the_same_jobs(stub_sbatch, tmp_path):
    """Through a stub of sbatch: a job script is submitted with what it needs, runs, and is seen to end."""
    config = ["profile=smoke", "pairs=phantom-sem", "folds=0", f"out={tmp_path}/out", f"data={tmp_path}/data", "gpu=1"]
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", tmp_path]
    command += ["--profile", ROOT / "profiles" / "slurm", "--latency-wait", "1"]
    command += ["--seconds-between-status-checks", "1", "--config", *config]
    environment = os.environ | {"PATH": f"{stub_sbatch}:{os.environ['PATH']}"}
    kwargs = dict(env=environment, capture_output=True, text=True, check=False)
    dry = subprocess.run([*command, "--dry-run"], **kwargs)
    assert dry.returncode == 0, dry.stderr
    mark = tmp_path / "out/smoke/phantom-sem/transductive/development/fold0/01_data.json"
    done = subprocess.run([*command, "--until", "look"], **kwargs)
    assert done.returncode == 0, done.stderr
    assert json.loads(mark.read_text())["images"] == {"L": 10, "U": 10}
    asked = (tmp_path / "asked").read_text()
    assert "--job-name=histobridge-look" in asked
    assert "--gres=gpu:0" in asked
