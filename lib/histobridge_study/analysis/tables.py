"""From rows to tables: one row an image and class goes in, mean ± SD over folds comes out.

The rule: Dice is the mean over images of the per-image Dice of one fold; a cell shows its mean and sample standard
deviation over folds. An image in which a class is neither annotated nor predicted has Dice NaN and is left out
(and counted in `undefined`). Intervals, like the tests of `comparisons.py`, count images, not folds (`inference.py`
says why): the value of an image is its mean over folds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import product

import numpy as np
import pandas as pd

from histobridge.config import TRANSLATORS
from histobridge_study.analysis.statistics import mean_interval

SETTING = ["pair", "protocol", "split"]
FAMILY = [*SETTING, "class"]  # within which a best is chosen and p values are corrected
METHOD = [*SETTING, "translator", "strategy"]
CELL = [*METHOD, "class"]
DICE_COLUMNS = [*CELL[:2], "fold", "translator", "strategy", "split", "image", "subject", "class"]
DICE_COLUMNS += ["dice", "iou", "n_true", "n_predicted", "f1_50"]
TRANSLATION_CELL = [*SETTING, "translator", "direction"]
ORDER = {
    "translator": list(TRANSLATORS),
    "strategy": ["pretrained", "adaptation", "tutorship", "refined", "supervised"],
}
PUBLISHED = ("adaptation", "tutorship")  # strategies of the paper
UNTRANSLATED = ("pretrained", "supervised")  # strategies without a translator
CLASSES = ["axon", "myelin"]
FIBRES = "fibre F1"  # of detection at IoU 0.5: stands beside the Dice of the classes, as if it were one
SHOWN = [*CLASSES, FIBRES]


# --- Table 1: Dice ------------------------------------------------------------------------------------------


def dice_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise rows of `dice.csv`, one row a cell.

    Parameters
    ----------
    rows : DataFrame
        Columns `DICE_COLUMNS`.

    Returns
    -------
    DataFrame
        `mean` and `sd` over `folds` (NaN for one fold), `undefined` images; and over images: their mean
        `image_mean`, its 95 % bootstrap interval `low` to `high`, and what was `resampled`. `image_mean` equals
        `mean` where every fold scores the same images, and differs for the supervised bound, whose folds score
        other subjects each.

    Examples
    --------
    >>> row = dict.fromkeys(DICE_COLUMNS, 0) | {"class": "axon", "image": "a"}
    >>> rows = pd.DataFrame([row | {"fold": 0, "dice": 0.5}, row | {"fold": 1, "dice": 0.7}])
    >>> dice_table(rows)[["mean", "sd", "folds"]].round(3).values.tolist()
    [[0.6, 0.141, 2.0]]
    """
    per_fold = rows.groupby([*CELL, "fold"])["dice"].mean().groupby(CELL)
    table = per_fold.agg(mean="mean", sd="std", folds="count")
    table["undefined"] = rows["dice"].isna().groupby([rows[c] for c in CELL]).sum()
    found = {cell: mean_interval(of["dice"], of["subject"]) for cell, of in image_values(rows).groupby(CELL)}
    columns = ["image_mean", "low", "high", "resampled"]
    over_images = pd.DataFrame(found.values(), pd.MultiIndex.from_tuples(found, names=CELL), columns)
    return table.join(over_images).reset_index()


def image_values(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one `dice` for each image of each cell: its mean over the folds that scored it."""
    return rows.groupby([*CELL, "subject", "image"], as_index=False)["dice"].mean()


def dice_overview(
    rows: pd.DataFrame, *, interval: bool = False, bold: bool = False, missing: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return text `mean ± sd` with a row for each (pair, protocol, split, translator, strategy).

    A column a class, of Dice, and one of the F1 of fibres.

    Parameters
    ----------
    rows : DataFrame
        Columns `DICE_COLUMNS`.
    interval : bool
        Add `[low, high]`, the interval of the mean over images. Where that mean is another number than the mean over
        folds, which then do not share their images, it is named, `around image_mean`: to be compared with other rows.
    bold : bool
        Put `**` around the best label-free mean (or means) of each pair, protocol, split and class: Markdown.
    missing : DataFrame, optional
        From `missing_cells`. A cell without any row shows why; one that lacks folds says how many it has; a pair,
        protocol and split without any row is one line, translator and strategy `all`.
    """
    table = dice_table(with_fibres(rows))
    cells = [_dice_cell(cell, interval) for cell in table.itertuples()]
    marks = _best(table) & bold
    table["cell"] = [f"**{cell}**" if mark else cell for cell, mark in zip(cells, marks, strict=True)]
    if missing is not None:
        table = _with_missing(table, missing)
    wide = table.pivot(index=METHOD, columns="class", values="cell").fillna("–")
    columns = [name for name in SHOWN if name in wide]
    return in_story_order(wide[columns].reset_index()).rename_axis(columns=None)


def with_fibres(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `dice.csv` and, behind them, the F1 of fibres (IoU 0.5) of each image, in the column of Dice."""
    axons = rows[rows["class"] == "axon"]
    return pd.concat([rows, axons.assign(**{"class": FIBRES, "dice": axons["f1_50"]})], ignore_index=True)


def _dice_cell(cell, interval: bool) -> str:
    text = _cell(cell.mean, cell.sd)
    if interval and not pd.isna(cell.low):
        text += f" [{cell.low:.3f}, {cell.high:.3f}]"
    return text if f"{cell.mean:.3f}" == f"{cell.image_mean:.3f}" else f"{text} around {cell.image_mean:.3f}"


def _best(table: pd.DataFrame) -> pd.Series:
    """Mark the best label-free cells of each family; what looks equal on paper is equal."""
    mean = table["mean"].round(3).where(table["strategy"] != "supervised")
    return mean.notna() & (mean == mean.groupby([table[c] for c in FAMILY]).transform("max"))


def in_story_order(table: pd.DataFrame) -> pd.DataFrame:
    """Sort: baseline first, bound last, within a strategy from the plainest translator to SynDiff."""
    keys = [*FAMILY, "strategy", "translator", "direction"]
    return table.sort_values([key for key in keys if key in table], key=_places, ignore_index=True)


def _places(column: pd.Series) -> pd.Series:
    """Replace names by their place in `ORDER`; others come last."""
    order = ORDER.get(column.name, [])
    names = [*order, *sorted(set(column) - set(order))]
    return column.map({name: place for place, name in enumerate(names)})


# --- What goes beyond the paper -----------------------------------------------------------------------------


def ablation_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return Dice of `refined` whole and with a piece taken away: `mean`, `sd` over `folds`, a row a recipe and class.

    Parameters
    ----------
    rows : DataFrame
        Of `ablation.csv`: columns `DICE_COLUMNS` and `recipe`.
    """
    keys = [*SETTING, "recipe", "class"]
    per_fold = rows.groupby([*keys, "fold"], sort=False)["dice"].mean()
    return per_fold.groupby(keys, sort=False).agg(mean="mean", sd="std", folds="count").reset_index()


def ablation_overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the `ablation_table` as text `mean ± sd`, a row a recipe, a column a class."""
    table = ablation_table(rows)
    table["cell"] = [_cell(*pair) for pair in zip(table["mean"], table["sd"], strict=True)]
    keys = [*SETTING, "recipe", "folds"]
    wide = table.pivot(index=keys, columns="class", values="cell").reindex(table[keys].drop_duplicates())
    return wide.reset_index().rename_axis(columns=None)


def trust_overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `trust.csv` as text `mean ± sd` over folds, a row for each pair, protocol and split."""
    names = {
        "ece": "calibration error",
        "ause": "AUSE",
        "wrong": "wrong pixels",
        "held_by_first_tenth": "held by first tenth of tiles",
        "most_possible": "most possible",
    }
    groups = rows.groupby(SETTING)[list(names)]
    mean, sd = groups.mean(), groups.std()
    text = {name: [_cell(*pair) for pair in zip(mean[c], sd[c], strict=True)] for c, name in names.items()}
    return pd.DataFrame(text, index=mean.index).reset_index()


# --- What is missing ----------------------------------------------------------------------------------------


def planned_cells(
    cells: Iterable[tuple[str, str, int]],
    translators: Iterable[str],
    *,
    strategies: Iterable[str] = tuple(ORDER["strategy"]),
    split: str = "development",
) -> pd.DataFrame:
    """Return what a study plans, one row a fold: the columns of `WAY` and `fold`.

    Parameters
    ----------
    cells : iterable of (pair, protocol, fold)
        Such as `plan.Plan.wanted`.
    translators, strategies : iterable of str
        A strategy of the paper goes with every translator but `none`, `refined` with SynDiff, the others with `none`.
    split : str
        Which images are scored.

    Examples
    --------
    >>> found = planned_cells([("tem-sem", "transductive", 0)], ["none", "syndiff"])
    >>> ["-".join(way) for way in found[["strategy", "translator"]].values]
    ['pretrained-none', 'adaptation-syndiff', 'tutorship-syndiff', 'refined-syndiff', 'supervised-none']
    """
    methods = [(t, s) for s, t in product(strategies, translators) if t in _translators_of(s, translators)]
    planned = [(pair, protocol, split, *method, fold) for (pair, protocol, fold), method in product(cells, methods)]
    return pd.DataFrame(planned, columns=[*METHOD, "fold"])


def _translators_of(strategy: str, translators: Iterable[str]) -> set[str]:
    if strategy in UNTRANSLATED:
        return {"none"}
    return {"syndiff"} if strategy == "refined" else set(translators) - {"none"}


def missing_cells(rows: pd.DataFrame, planned: pd.DataFrame, *, unavailable: Collection[str] = ()) -> pd.DataFrame:
    """Return the planned cells that lack folds, one row a cell.

    Parameters
    ----------
    rows : DataFrame
        Of `dice.csv`; may be empty.
    planned : DataFrame
        From `planned_cells`.
    unavailable : collection of str
        Pairs of which a dataset has no public location.

    Returns
    -------
    DataFrame
        `WAY`, the missing `folds` as text, how many were `planned`, and `why`: `not run` or `data not available`.
    """
    lacking = planned[~_among(planned, rows, [*METHOD, "fold"])].groupby(METHOD)["fold"]
    folds = lacking.agg(lambda folds: ", ".join(map(str, sorted(folds)))).to_frame("folds")
    table = in_story_order(folds.join(planned.groupby(METHOD).size().rename("planned")).reset_index())
    return table.assign(why=["data not available" if pair in unavailable else "not run" for pair in table["pair"]])


def _with_missing(table: pd.DataFrame, missing: pd.DataFrame) -> pd.DataFrame:
    """Note on cells how many folds they have, and add cells that have none with the reason for it."""
    planned = dict(zip(_keys(missing, METHOD), missing["planned"], strict=True))
    of = [planned.get(method) for method in _keys(table, METHOD)]
    notes = [f" ({n} of {all_} folds)" if all_ else "" for n, all_ in zip(table["folds"], of, strict=True)]
    absent = missing[~_among(missing, table, METHOD)].rename(columns={"why": "cell"})
    absent.loc[~_among(absent, table, SETTING), ["translator", "strategy"]] = "all"
    classes = pd.DataFrame({"class": table["class"].unique() if len(table) else SHOWN})
    added = absent[[*METHOD, "cell"]].drop_duplicates().merge(classes, how="cross")
    return pd.concat([table.assign(cell=table["cell"] + notes), added], ignore_index=True)


def _keys(table: pd.DataFrame, columns: list[str]) -> list[tuple]:
    return list(table[columns].itertuples(index=False, name=None))


def _among(table: pd.DataFrame, other: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Tell for each row of a table whether another has one with the same keys."""
    there = set(_keys(other, columns))
    return np.array([key in there for key in _keys(table, columns)], dtype=bool)


# --- Table 2: translations, and costs -----------------------------------------------------------------------


def translation_overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Return text `mean ± sd` over images of SSIM, PSNR (dB), L1, offset (px) and seam, a row for each direction.

    The value of an image is its mean over folds. A PSNR of ∞ means that at least one image came back exactly.
    """
    measures = ["ssim", "psnr", "l1", "offset_px", "seam"]
    images = rows.groupby([*TRANSLATION_CELL, "image"])[measures].mean()
    groups = images.groupby(TRANSLATION_CELL)
    mean, sd = groups.mean(), images.replace(np.inf, np.nan).groupby(TRANSLATION_CELL).std()
    text = {m: [_cell(a, b) for a, b in zip(mean[m], sd[m], strict=True)] for m in measures}
    return in_story_order(pd.DataFrame(text, index=mean.index).reset_index())


def cost_table(records: Iterable[dict]) -> pd.DataFrame:
    """Return what each stage has cost: a row for each profile, pair, protocol, split and stage.

    Parameters
    ----------
    records : iterable of dict
        Of `reports/provenance.json`, one a finished stage; a translator that serves all folds has one.

    Returns
    -------
    DataFrame
        `runs`, the sum `minutes` over them and the median `minutes_a_run` (wall clock of the process that finished
        the stage: of a resumed run the last part only), and the median and largest peak memory in GiB.
    """
    groups = pd.DataFrame(list(records)).groupby(["profile", "pair", "protocol", "split", "stage"])
    table = groups.agg(
        runs=("minutes", "size"),
        minutes=("minutes", "sum"),
        minutes_a_run=("minutes", "median"),
        memory_gib=("peak_memory_gib", "median"),
        memory_gib_most=("peak_memory_gib", "max"),
    )
    return table.round(2).reset_index()


def _cell(mean: float, sd: float) -> str:
    if pd.isna(mean):
        return "–"
    if np.isinf(mean):
        return "∞"
    return f"{mean:.3f}" if pd.isna(sd) else f"{mean:.3f} ± {sd:.3f}"


def markdown(table: pd.DataFrame) -> str:
    """Return a table of text as GitHub Markdown."""
    lines = [table.columns.tolist(), ["---"] * len(table.columns), *table.values.tolist()]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
