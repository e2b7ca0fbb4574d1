# The study as a graph of jobs: data -> translator (pair; for `inductive` also fold) -> pseudo labels (fold)
# -> refined labels (fold) -> report.
#
#     histobridge study --profile cpu --cores 2                       # a thin front for this file
#     snakemake --profile profiles/slurm --config profile=cpu         # the same jobs on a cluster
#
# Every job is one notebook, run by papermill. The only output of a job is the small JSON that its last cell writes:
# Snakemake deletes the outputs of failed jobs, and checkpoints must outlive them. The notebook is no input and the
# settings are a parameter, by their hash: a reworded sentence reruns nothing, a changed number all that depends on it.
import shlex
import sys

from histobridge_study.grid import Plan

plan = Plan.of_config(config)
base = plan.folder
here = f"{base}/{{pair}}/{{protocol}}{f'-seed{plan.seed}' if plan.seed else ''}/{plan.split}"
runs = {cell: plan.run(*cell) for cell in plan.cells}
translators = {(pair, protocol, run.translator_key) for (pair, protocol, _), run in runs.items()}
first_folds = {(pair, protocol): run for (pair, protocol, _), run in reversed(runs.items())}
marks = [str(run.mark(stage)) for run in runs.values() for stage in ("03_label", "04_refine")]
marks += [str(run.mark("01_data")) for run in first_folds.values()]

histobridge = f"OMP_NUM_THREADS={{threads}} {shlex.quote(sys.executable)} -m histobridge_study.cli"
places = shlex.join(["--out", plan.out, "--data", plan.data])
chosen = shlex.join(["--profile", plan.profile, "--split", plan.split, "--seed", str(plan.seed)])
of_pair = f"{chosen} {places} --pair {{wildcards.pair}} --protocol {{wildcards.protocol}}"
mirror = shlex.join(["--mirror", config["mirror"]] if config.get("mirror") else [])


def share(jobs):
    """Threads of a job where `jobs` of its kind may run at once: all cores are used, none twice."""
    return max(1, int(config.get("cores", 1)) // max(1, len(jobs)))


def run_of(w):
    """Return the run of a job: of its fold, or of fold 0 where a translator serves all folds."""
    key = w.get("fold", w.get("key"))
    return plan.run(w.pair, w.protocol, 0 if key == "pair" else int(key.removeprefix("fold")))


def hash_of(stage):
    """Return a function of the wildcards: the hash of all settings that decide this job's result."""
    return lambda w: run_of(w).settings_hash(stage)


def data_of(w):
    """Return the marks of the datasets of a pair; their age does not matter."""
    pair = plan.study.pairs[w.pair]
    return [ancient(f"{base}/data/{side.dataset}.here") for side in (pair.source, pair.target)]


wildcard_constraints:
    key="pair|fold[0-9]+",
    fold="[0-9]+",


rule all:
    localrule: True
    input:
        marks,  # by name: Snakemake does not make what is missing behind a report that is there
        f"{base}/report/05_report.html",


rule data:
    output:
        touch(f"{base}/data/{{dataset}}.here"),
    shell:
        f"{histobridge} fetch {{wildcards.dataset}} {shlex.join(['--data', plan.data])} {mirror}"


rule look:
    input:
        data_of,
    output:
        f"{here}/fold{{fold}}/01_data.json",
    params:
        settings=hash_of("01_data"),
    shell:
        f"{histobridge} notebook 01_data {of_pair} --fold {{wildcards.fold}}"


rule translate:
    input:
        data_of,
    output:
        f"{here}/{{key}}/02_translate.json",
    params:
        settings=hash_of("02_translate"),
        fold=lambda w: run_of(w).parameters.fold,
    threads: share(translators)
    priority: 1  # before labels, which wait for them: else the last translator would have the machine to itself
    resources:
        gpu=int(config.get("gpu", 0)),
    shell:
        f"{histobridge} notebook 02_translate {of_pair} --fold {{params.fold}}"


rule label:
    input:
        lambda w: str(run_of(w).mark("02_translate")),
    output:
        f"{here}/fold{{fold}}/03_label.json",
    params:
        settings=hash_of("03_label"),
    threads: share(runs)
    resources:
        gpu=int(config.get("gpu", 0)),
    shell:
        f"{histobridge} notebook 03_label {of_pair} --fold {{wildcards.fold}}"


rule beyond:
    input:
        f"{here}/fold{{fold}}/03_label.json",
    output:
        f"{here}/fold{{fold}}/04_refine.json",
    params:
        settings=hash_of("04_refine"),
    threads: share(runs)
    resources:
        gpu=int(config.get("gpu", 0)),
    shell:
        f"{histobridge} notebook 04_refine {of_pair} --fold {{wildcards.fold}}"


rule report:
    input:
        marks,
    output:
        f"{base}/report/05_report.html",
    shell:
        f"{histobridge} notebook 05_report {chosen} {places}"


onerror:
    # What is there is reported all the same; the report names the cells that are missing.
    shell(f"{histobridge.format(threads=1)} notebook 05_report {chosen} {places}")
