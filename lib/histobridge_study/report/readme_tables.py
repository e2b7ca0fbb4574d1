"""The short tables of the README: what the methods are worth and how fast they are. In full: reports/README.md."""

from __future__ import annotations

import pandas as pd

from histobridge.config import CONTROLS, MANY_SOURCES, REFERENCES, REFINED
from histobridge_study.analysis.comparisons import best_method
from histobridge_study.analysis.methods import (
    ADAPTATION,
    FAIR_REFERENCE,
    MATCHED_GREYS,
    OTHER_LEARNED,
    PRETRAINED,
    PUBLISHED_STRATEGIES,
    TUTORSHIP,
    WITH_SYNDIFF,
    Method,
    method_words,
)
from histobridge_study.analysis.tables import SCORE_COLUMNS, dice_table, image_values, with_fibre_scores


def readme_table(
    rows: pd.DataFrame, *, profile: str = "", protocol: str = "transductive", split: str = "development"
) -> pd.DataFrame:
    """Return the scores of one protocol as text: a row for each of the main methods, a column for each pair.

    A cell holds the means over subjects of `SCORE_COLUMNS`; the best label-free one of a pair is bold. Where a row
    stands for several methods, the best of each pair is shown, by the mean over subjects and classes. It is chosen with
    the truth, which favours it.

    Parameters
    ----------
    rows : DataFrame
        Columns `tables.DICE_COLUMNS`.
    profile : str
        Of the runs; it decides what SynDiff is called.
    """
    rows = rows[(rows["protocol"] == protocol) & (rows["split"] == split)]
    columns = {pair: _column(of_pair, profile) for pair, of_pair in rows.groupby("pair")}
    table = pd.DataFrame(columns, index=list(_methods(profile)), dtype=object).dropna(how="all").fillna("–")
    return table.rename_axis("method").reset_index()


def _methods(profile: str) -> dict[str, list[Method]]:
    """Return the methods that each row stands for."""
    published = [(strategy, translator) for strategy in PUBLISHED_STRATEGIES for translator in CONTROLS + OTHER_LEARNED]
    return {
        "pretrained": [PRETRAINED],
        "pretrained, with views and anatomy": [("pretrained-anatomy", name) for name in ("none", "invert")],
        "best classical control": [method for method in published if method[1] in CONTROLS],
        "best of SynDiff's cycle, CycleGAN and CUT": [method for method in published if method[1] in OTHER_LEARNED],
        **{method_words(*method, profile=profile): [method] for method in (ADAPTATION, TUTORSHIP, WITH_SYNDIFF)},
        "refined without SynDiff": [(REFINED, name) for name in MATCHED_GREYS],
        "refined with many sources": [(MANY_SOURCES, name) for name in MATCHED_GREYS],
        "supervised reference": [FAIR_REFERENCE],
    }


def _column(rows: pd.DataFrame, profile: str) -> dict[str, str]:
    """Return the cells of one pair by row."""
    table = dice_table(with_fibre_scores(rows)).pivot(index=["strategy", "translator"], columns="class", values="mean")
    chosen = {name: _best(rows, methods) for name, methods in _methods(profile).items()}
    means = {name: table.loc[method].reindex(SCORE_COLUMNS).round(3) for name, method in chosen.items() if method}
    label_free = [name for name in means if chosen[name][0] not in REFERENCES]
    best = pd.DataFrame({name: means[name] for name in label_free}).max(axis=1)
    return {
        name: " / ".join(_text(mean, name in label_free and mean == best[score]) for score, mean in of.items())
        for name, of in means.items()
    }


def _best(rows: pd.DataFrame, methods: list[Method]) -> Method | None:
    """Return the method with the highest mean Dice of those that have rows, None if there is none."""
    is_one = [method in methods for method in zip(rows["strategy"], rows["translator"], strict=True)]
    return best_method(image_values(rows[is_one]), {translator for _, translator in methods})


def _text(mean: float, bold: bool) -> str:
    if pd.isna(mean):
        return "–"
    return f"**{mean:.3f}**" if bold else f"{mean:.3f}"


def speed_overview(bench: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `bench.csv` as text, a row for each stage whose arithmetic is counted."""
    counted = bench[bench["gflop"].notna()].drop_duplicates("stage")
    text = {
        "stage": counted["stage"],
        "speed": [f"{rate:.3g} {unit}/s" for rate, unit in zip(counted["per_second"], counted["unit"], strict=True)],
        "share of the machine's best convolution": [f"{share:.0%}" for share in counted["share_of_peak"]],
        "times plain float32": [f"{times:.1f}" for times in counted["times_plain"]],
        "peak memory, GiB": [f"{gib:.1f}" for gib in counted["peak_memory_gib"]],
    }
    return pd.DataFrame(text)
