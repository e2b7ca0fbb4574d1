"""From rows to tables: one row per image and class becomes mean ± SD over folds.

The Dice of a fold is the mean over its images; a cell of a table shows mean and sample standard deviation over folds.
An image in which a class is neither annotated nor predicted has Dice NaN and is left out (and counted in `undefined`).
Intervals, like the tests of `comparisons.py`, count images, not folds (`statistics.py` explains why): the value of an
image is its mean over folds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from histobridge.config import TRANSLATORS
from histobridge_study.analysis.statistics import mean_interval

Method = tuple[str, str]
"""Strategy and translator."""

# Columns by which rows are grouped: an experiment, a method in it, and one class of a method's Dice.
EXPERIMENT_KEYS = ["pair", "protocol", "split"]
FAMILY_KEYS = [*EXPERIMENT_KEYS, "class"]  # within which the best is chosen and p values are corrected
METHOD_KEYS = [*EXPERIMENT_KEYS, "translator", "strategy"]
CELL_KEYS = [*METHOD_KEYS, "class"]
TRANSLATION_KEYS = [*EXPERIMENT_KEYS, "translator", "direction"]

DICE_COLUMNS = ["pair", "protocol", "fold", "translator", "strategy", "split", "image", "subject", "class"]
DICE_COLUMNS += ["dice", "iou", "n_true", "n_predicted", "f1_50"]

DISPLAY_ORDER = {
    "translator": list(TRANSLATORS),
    "strategy": ["pretrained", "adaptation", "tutorship", "refined", "supervised"],
}
PUBLISHED_STRATEGIES = ("adaptation", "tutorship")
CLASSES = ["axon", "myelin"]
FIBRE_F1 = "fibre F1"  # F1 of axons at IoU 0.5, shown beside the Dice of the classes
SCORE_COLUMNS = [*CLASSES, FIBRE_F1]


# --- Dice ---------------------------------------------------------------------------------------------------


def dice_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise rows of `dice.csv`, one row for each of `CELL_KEYS`.

    Returns
    -------
    DataFrame
        `mean` and `sd` over `folds` (NaN for one fold), the number of `undefined` images; and over images their mean
        `image_mean`, its 95 % bootstrap interval `low` to `high`, and what was `resampled`. `image_mean` equals `mean`
        where all folds score the same images. For the supervised bound it differs: its folds score different subjects.

    >>> row = dict.fromkeys(DICE_COLUMNS, 0) | {"class": "axon", "image": "a"}
    >>> rows = pd.DataFrame([row | {"fold": 0, "dice": 0.5}, row | {"fold": 1, "dice": 0.7}])
    >>> dice_table(rows)[["mean", "sd", "folds"]].round(3).values.tolist()
    [[0.6, 0.141, 2.0]]
    """
    table = _over_folds(rows, CELL_KEYS)
    table["undefined"] = rows["dice"].isna().groupby([rows[key] for key in CELL_KEYS]).sum()
    intervals = {cell: mean_interval(of["dice"], of["subject"]) for cell, of in image_values(rows).groupby(CELL_KEYS)}
    index = pd.MultiIndex.from_tuples(intervals, names=CELL_KEYS)
    columns = ["image_mean", "low", "high", "resampled"]
    return table.join(pd.DataFrame(intervals.values(), index, columns)).reset_index()


def image_values(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one `dice` for each image of each cell: its mean over the folds that scored it."""
    return rows.groupby([*CELL_KEYS, "subject", "image"], as_index=False)["dice"].mean()


def typical_image(rows: pd.DataFrame, measure: str) -> str:
    """Return the image whose mean of a measure is the median of all images (the lower of two).

    >>> typical_image(pd.DataFrame({"image": list("abc"), "dice": [0.9, 0.1, 0.5]}), "dice")
    'c'
    """
    mean = rows.groupby("image")[measure].mean().dropna().sort_values(kind="stable")
    return mean.index[(len(mean) - 1) // 2]


def dice_overview(
    rows: pd.DataFrame, *, interval: bool = False, bold: bool = False, missing: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return text `mean ± sd`: a row for each of `METHOD_KEYS`, a column for the Dice of each class and for fibre F1.

    Parameters
    ----------
    rows : DataFrame
        Of `dice.csv`.
    interval : bool
        Add `[low, high]`, the interval of the mean over images. Where that mean differs from the mean over folds,
        because folds score different images, it is added as `around image_mean`: compare other rows with that number.
    bold : bool
        Put `**` around the best label-free mean (or means) of each pair, protocol, split and class: Markdown.
    missing : DataFrame, optional
        From `missing_cells`. A cell without any row shows the reason; one that lacks folds shows how many it has; a
        pair, protocol and split without any row is one line, translator and strategy `all`.
    """
    table = dice_table(with_fibre_f1(rows))
    cells = [_dice_cell(cell, interval) for cell in table.itertuples()]
    is_bold = _is_best(table) & bold
    table["cell"] = [f"**{cell}**" if best else cell for cell, best in zip(cells, is_bold, strict=True)]
    if missing is not None:
        table = _with_missing(table, missing)
    wide = table.pivot(index=METHOD_KEYS, columns="class", values="cell").fillna("–")
    columns = [name for name in SCORE_COLUMNS if name in wide]
    return in_display_order(wide[columns].reset_index()).rename_axis(columns=None)


def with_fibre_f1(rows: pd.DataFrame) -> pd.DataFrame:
    """Append to rows of `dice.csv` the F1 of fibres (IoU 0.5) of each image as if it were the Dice of a class."""
    axons = rows[rows["class"] == "axon"]
    return pd.concat([rows, axons.assign(**{"class": FIBRE_F1, "dice": axons["f1_50"]})], ignore_index=True)


def _dice_cell(cell, interval: bool) -> str:
    text = _cell(cell.mean, cell.sd)
    if interval and not pd.isna(cell.low):
        text += f" [{cell.low:.3f}, {cell.high:.3f}]"
    return text if f"{cell.mean:.3f}" == f"{cell.image_mean:.3f}" else f"{text} around {cell.image_mean:.3f}"


def _is_best(table: pd.DataFrame) -> pd.Series:
    """Mark the best label-free cells of each family; means that are equal when rounded share the mark."""
    mean = table["mean"].round(3).where(table["strategy"] != "supervised")
    return mean.notna() & (mean == mean.groupby([table[key] for key in FAMILY_KEYS]).transform("max"))


def in_display_order(table: pd.DataFrame) -> pd.DataFrame:
    """Sort rows: baseline first, bound last, within a strategy from the simplest translator to SynDiff."""
    keys = [*FAMILY_KEYS, "strategy", "translator", "direction"]
    return table.sort_values([key for key in keys if key in table], key=_ordered, ignore_index=True)


def _ordered(column: pd.Series) -> pd.Series:
    """Order names as in `DISPLAY_ORDER`; other names follow in alphabetical order."""
    order = DISPLAY_ORDER.get(column.name, [])
    return column.astype(pd.CategoricalDtype([*order, *sorted(set(column) - set(order))], ordered=True))


# --- Ablation and uncertainty -------------------------------------------------------------------------------


def ablation_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return `mean` and `sd` over `folds` of the Dice in `ablation.csv`, by recipe and class."""
    return _over_folds(rows, [*EXPERIMENT_KEYS, "recipe", "class"], sort=False).reset_index()


def ablation_overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the `ablation_table` as text `mean ± sd`, a row for each recipe, a column for each class."""
    table = ablation_table(rows)
    table["cell"] = _cells(table["mean"], table["sd"])
    keys = [*EXPERIMENT_KEYS, "recipe", "folds"]
    wide = table.pivot(index=keys, columns="class", values="cell").reindex(table[keys].drop_duplicates())
    return wide.reset_index().rename_axis(columns=None)


def trust_overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `trust.csv` as text `mean ± sd` over folds, a row for each pair, protocol and split."""
    names = {"ece": "calibration error", "ause": "AUSE", "wrong": "wrong pixels"}
    names |= {"held_by_first_tenth": "held by first tenth of tiles", "most_possible": "most possible"}
    groups = rows.groupby(EXPERIMENT_KEYS)[list(names)]
    return _mean_and_sd(groups.mean(), groups.std()).rename(columns=names).reset_index()


# --- What is missing ----------------------------------------------------------------------------------------


def planned_cells(
    cells: Iterable[tuple[str, str, int]],
    translators: Iterable[str],
    *,
    strategies: Iterable[str] = tuple(DISPLAY_ORDER["strategy"]),
    split: str = "development",
) -> pd.DataFrame:
    """Return what a study plans, one row for each fold: the columns `METHOD_KEYS` and `fold`.

    `cells` are (pair, protocol, fold). The strategies of the paper use every translator but `none`, `refined` uses
    SynDiff, the others use `none`.

    >>> found = planned_cells([("tem-sem", "transductive", 0)], ["none", "syndiff"])
    >>> ["-".join(method) for method in found[["strategy", "translator"]].values]
    ['pretrained-none', 'adaptation-syndiff', 'tutorship-syndiff', 'refined-syndiff', 'supervised-none']
    """
    translators = list(translators)
    methods = [(t, s) for s in strategies for t in translators if _is_planned(s, t)]
    experiments = pd.DataFrame(list(cells), columns=["pair", "protocol", "fold"]).assign(split=split)
    planned = experiments.merge(pd.DataFrame(methods, columns=["translator", "strategy"]), how="cross")
    return planned[[*METHOD_KEYS, "fold"]]


def _is_planned(strategy: str, translator: str) -> bool:
    if strategy in PUBLISHED_STRATEGIES:
        return translator != "none"
    return translator == ("syndiff" if strategy == "refined" else "none")


def missing_cells(rows: pd.DataFrame, planned: pd.DataFrame, *, unavailable: Collection[str] = ()) -> pd.DataFrame:
    """Return the planned cells for which folds are missing in rows of `dice.csv`, which may be empty.

    Columns: `METHOD_KEYS`, the missing `folds` as text, how many were `planned`, and `why`: `not run`, or
    `data not available` for the `unavailable` pairs, of which a dataset has no public location.
    """
    lacking = planned[~_is_in(planned, rows, [*METHOD_KEYS, "fold"])].groupby(METHOD_KEYS)["fold"]
    folds = lacking.agg(lambda folds: ", ".join(map(str, sorted(folds)))).to_frame("folds")
    table = in_display_order(folds.join(planned.groupby(METHOD_KEYS).size().rename("planned")).reset_index())
    return table.assign(why=np.where(table["pair"].isin(unavailable), "data not available", "not run"))


def _with_missing(table: pd.DataFrame, missing: pd.DataFrame) -> pd.DataFrame:
    """Note on incomplete cells how many folds they have, and add cells that have none with the reason."""
    planned = table.merge(missing[[*METHOD_KEYS, "planned"]], how="left", on=METHOD_KEYS)["planned"]
    counts = zip(table["folds"], planned, strict=True)
    notes = ["" if pd.isna(total) else f" ({folds} of {total:.0f} folds)" for folds, total in counts]
    absent = missing[~_is_in(missing, table, METHOD_KEYS)].rename(columns={"why": "cell"})
    absent.loc[~_is_in(absent, table, EXPERIMENT_KEYS), ["translator", "strategy"]] = "all"
    classes = pd.DataFrame({"class": table["class"].unique() if len(table) else SCORE_COLUMNS})
    added = absent[[*METHOD_KEYS, "cell"]].drop_duplicates().merge(classes, how="cross")
    return pd.concat([table.assign(cell=table["cell"] + notes), added], ignore_index=True)


def _is_in(table: pd.DataFrame, other: pd.DataFrame, keys: list[str]) -> np.ndarray:
    """Return a boolean for each row of a table: does another table have a row with the same keys?"""
    return pd.MultiIndex.from_frame(table[keys]).isin(pd.MultiIndex.from_frame(other[keys]))


# --- Translations and costs ---------------------------------------------------------------------------------


def translation_overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Return text `mean ± sd` over images of SSIM, PSNR (dB), L1, offset (px) and seam, a row for each direction.

    The value of an image is its mean over folds. A PSNR of ∞ means that at least one image was restored exactly.
    """
    measures = ["ssim", "psnr", "l1", "offset_px", "seam"]
    images = rows.groupby([*TRANSLATION_KEYS, "image"])[measures].mean()
    sd = images.replace(np.inf, np.nan).groupby(TRANSLATION_KEYS).std()
    return in_display_order(_mean_and_sd(images.groupby(TRANSLATION_KEYS).mean(), sd).reset_index())


def cost_table(records: Iterable[dict]) -> pd.DataFrame:
    """Return the cost of each stage, from the records of `provenance.json`: one for each finished stage.

    `minutes` is the sum over `runs`, `minutes_a_run` the median (wall clock of the process that finished the stage; of
    a resumed run the last part only). `memory_gib` is the median of the peak memory, `memory_gib_most` its maximum.
    """
    groups = pd.DataFrame(list(records)).groupby(["profile", *EXPERIMENT_KEYS, "stage"])
    table = groups.agg(
        runs=("minutes", "size"),
        minutes=("minutes", "sum"),
        minutes_a_run=("minutes", "median"),
        memory_gib=("peak_memory_gib", "median"),
        memory_gib_most=("peak_memory_gib", "max"),
    )
    return table.round(2).reset_index()


# --- Text ---------------------------------------------------------------------------------------------------


def markdown(table: pd.DataFrame) -> str:
    """Return a table of text as GitHub Markdown."""
    lines = [table.columns.tolist(), ["---"] * len(table.columns), *table.values.tolist()]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _over_folds(rows: pd.DataFrame, keys: list[str], *, sort: bool = True) -> pd.DataFrame:
    """Return `mean` and `sd` over `folds` of the mean Dice of the images of a fold, indexed by keys."""
    per_fold = rows.groupby([*keys, "fold"], sort=sort)["dice"].mean()
    return per_fold.groupby(keys, sort=sort).agg(mean="mean", sd="std", folds="count")


def _mean_and_sd(mean: pd.DataFrame, sd: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({column: _cells(mean[column], sd[column]) for column in mean}, index=mean.index)


def _cells(mean: pd.Series, sd: pd.Series) -> list[str]:
    return [_cell(*pair) for pair in zip(mean, sd, strict=True)]


def _cell(mean: float, sd: float) -> str:
    if pd.isna(mean):
        return "–"
    if np.isinf(mean):
        return "∞"
    return f"{mean:.3f}" if pd.isna(sd) else f"{mean:.3f} ± {sd:.3f}"
