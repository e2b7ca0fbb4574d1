"""Commands that cost minutes and tell about method and machine: the shift ladder, the benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from histobridge_study.cli.options import Json, ProfileName, Seed, app, console, print_json, told_apart

PANEL = "Method and machine"


@app.command(rich_help_panel=PANEL)
def ladder(
    profile: ProfileName = "phantom",
    seed: Seed = 0,
    reports: Annotated[Path, typer.Option(help="Folder for the table and the plot.")] = Path("reports"),
) -> None:
    """Climb the shift ladder: drawn tissue that moves in steps from TEM to each other modality, labelled both ways.

    Writes ladder.csv, its provenance ladder.json and a plot. A minute or two a step with the settings of the profile
    `phantom`.
    """
    import pandas as pd

    from histobridge.io.files import write_json, write_table
    from histobridge_study import plotting as figures
    from histobridge_study.analysis.simulated_shift import climb, crossings, modalities
    from histobridge_study.config import profile_of
    from histobridge_study.provenance import origin

    chosen = profile_of(profile)
    rows = pd.concat([climb(modality, chosen, seed=seed) for modality in modalities()], ignore_index=True)
    write_table(reports / "ladder.csv", rows.round(5))
    write_json(reports / "ladder.json", origin(profile=profile, seed=seed))
    figures.save(figures.simulated_shift_lines(rows), reports / "ladder")
    print(crossings(rows).to_string(index=False, float_format="%.3f"))
    console.print(f"\nWritten: {reports / 'ladder.csv'} and a plot beside it", markup=False, highlight=False)


@app.command(rich_help_panel=PANEL)
def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="Small images and few repeats: minutes instead of twenty.")
    ] = False,
    reports: Annotated[Path, typer.Option(help="Folder for the tables and the plot.")] = Path("reports"),
    as_json: Json = False,
) -> None:
    """Measure how fast this machine trains, translates and segments, against its own peak and a plain baseline.

    Writes bench.csv, bench_growth.csv, bench_profile.csv, bench.json and a plot. Let nothing else run meanwhile.
    """
    from histobridge_study.bench import benchmark

    with told_apart(as_json):
        table = benchmark(reports, quick=quick, report=lambda line: print(line, flush=True))
    if as_json:
        print_json(table)
        return
    shown = table[["stage", "part", "per_second", "unit", "share_of_peak", "times_plain", "peak_memory_gib"]]
    print(shown.to_string(index=False, float_format="%.2f", na_rep="-"))
