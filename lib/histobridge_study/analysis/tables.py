"""From rows to tables: one row for each image and class becomes a mean over subjects.

The value of an image is its mean over folds, that of a subject the mean over its images, and a cell of a table is the
mean over subjects, with an interval over subjects (`statistics.py`). How much trainings differ stands in columns of its
own: the SD over folds of one translator, and the SD over seeds of the translator.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from histobridge.config import CONTROLS, REFERENCES, STRATEGIES, TRANSLATORS
from histobridge_study.analysis.methods import learned_from, method_words
from histobridge_study.analysis.planned import EXPERIMENT_KEYS, METHOD_KEYS, with_missing
from histobridge_study.analysis.statistics import mean_interval, subjects_text

# Columns by which rows are grouped: one class of an experiment, and one class of a method in it.
FAMILY_KEYS = [*EXPERIMENT_KEYS, "class"]  # within which the best is chosen
CELL_KEYS = [*METHOD_KEYS, "class"]
TRANSLATION_KEYS = [*EXPERIMENT_KEYS, "translator", "direction"]

DICE_KEYS = ["pair", "protocol", "fold", "translator_seed", "translator", "strategy", "split", "image", "subject"]
DICE_KEYS += ["class"]
DICE_COLUMNS = [*DICE_KEYS, "dice", "iou", "n_true", "n_predicted", "n_merged", "f1_50", "masks"]

DISPLAY_ORDER = {"translator": list(TRANSLATORS), "strategy": list(STRATEGIES)}
CLASSES = ["axon", "myelin"]
FIBRE_F1 = "fibre F1"  # F1 of axons at IoU 0.5, shown beside the Dice of the classes
MERGED = "merged fibres"  # the share of the true axons that share a predicted one
SCORE_COLUMNS = [*CLASSES, FIBRE_F1]
SUMMARY = ["mean", "low", "high", "least", "most", "subjects", "images"]
SPREADS = {"sd_folds": "SD over folds", "sd_seeds": "SD over seeds"}


# --- Values of images and subjects --------------------------------------------------------------------------


def complete_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `dice.csv` with the columns that an older version did not write.

    Its translators had one seed, and it counted neither merged axons nor the masks that a reference learned from.
    """
    return rows.assign(**{name: value for name, value in OLDER_VERSION.items() if name not in rows})


OLDER_VERSION = {"translator_seed": 0, "masks": np.nan, "n_merged": np.nan}


def image_values(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one `dice` for each image of each cell: its mean over the folds that scored it."""
    return rows.groupby([*CELL_KEYS, "subject", "image"], as_index=False)["dice"].mean()


def subject_values(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one `dice` for each subject of each cell, the mean over its images, and their number `images`.

    >>> rows = pd.DataFrame({"image": ["a", "b", "c"], "subject": ["s", "s", "t"], "dice": [0.2, 0.4, 0.9]})
    >>> subject_values(rows.assign(**dict.fromkeys(CELL_KEYS, "x")))["dice"].round(3).tolist()
    [0.3, 0.9]
    """
    of_subject = image_values(rows).groupby([*CELL_KEYS, "subject"])["dice"]
    return of_subject.agg(dice="mean", images="count").reset_index()


def typical_image(rows: pd.DataFrame, measure: str) -> str:
    """Return the image whose mean of a measure is the median of all images (the lower of two).

    >>> typical_image(pd.DataFrame({"image": list("abc"), "dice": [0.9, 0.1, 0.5]}), "dice")
    'c'
    """
    mean = rows.groupby("image")[measure].mean().dropna().sort_values(kind="stable")
    return mean.index[(len(mean) - 1) // 2]


# --- Dice ---------------------------------------------------------------------------------------------------


def dice_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise rows of `dice.csv`, one row for each of `CELL_KEYS`.

    Returns
    -------
    DataFrame
        `mean` over `subjects` with its 95 % interval `low` to `high` (NaN below five subjects) and the range of the
        subjects, `least` to `most`; the number of `images`, of `folds` and of images with an `undefined` Dice (the
        class is neither annotated nor predicted; such an image is left out); and `sd_folds` and `sd_seeds`, see
        `training_spread`.
    """
    rows = complete_rows(rows)
    subjects = subject_values(rows)
    summary = {cell: _summary(of) for cell, of in subjects.groupby(CELL_KEYS)}
    table = pd.DataFrame(summary.values(), pd.MultiIndex.from_tuples(summary, names=CELL_KEYS), SUMMARY)
    cells = [rows[key] for key in CELL_KEYS]
    table["folds"] = rows["fold"].where(rows["dice"].notna()).groupby(cells).nunique()
    table["undefined"] = rows["dice"].isna().groupby(cells).sum()
    return table.join(training_spread(rows)).reset_index()


def _summary(subjects: pd.DataFrame) -> dict[str, float]:
    found = mean_interval(subjects["dice"])
    counts = subjects["dice"].count(), subjects["images"].sum()
    return dict(zip(SUMMARY, [*found[:5], *counts], strict=True))


def training_spread(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how much the mean over subjects differs between trainings, indexed by `CELL_KEYS`.

    `sd_folds` is the SD over folds that share the seed of their translator (pooled over seeds), `sd_seeds` the SD over
    the seeds of a learned translator of the mean over their folds. Classical translators have no seed. Both are NaN
    with a single fold or seed, and where folds score different images, as those of the references and of the
    inductive protocol do: their spread would be one between animals.
    """
    seeds = rows["translator_seed"].where(~rows["translator"].isin(CONTROLS), 0)
    of_fold = [*CELL_KEYS, "translator_seed", "fold"]
    values = rows.assign(translator_seed=seeds).groupby([*of_fold, "subject"])["dice"].mean()
    of_seed = values.groupby(of_fold).mean().groupby([*CELL_KEYS, "translator_seed"])
    squares = (of_seed.var() * (of_seed.count() - 1)).groupby(CELL_KEYS).sum()
    free = (of_seed.count() - 1).clip(lower=0).groupby(CELL_KEYS).sum()
    spread = pd.DataFrame({"sd_folds": np.sqrt(squares / free.where(free > 0))})
    spread["sd_seeds"] = of_seed.mean().groupby(CELL_KEYS).std()
    return spread.where(_folds_share_images(rows))


def _folds_share_images(rows: pd.DataFrame) -> pd.Series:
    of_each_fold = rows.groupby([*CELL_KEYS, "fold"])["image"].nunique().groupby(CELL_KEYS).min()
    return of_each_fold == rows.groupby(CELL_KEYS)["image"].nunique()


def dice_overview(
    rows: pd.DataFrame, *, profile: str = "", bold: bool = False, missing: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the table of Dice as text: a row for each of `METHOD_KEYS`, a column for each class and for fibre F1.

    A score is `mean [low, high]`, or `mean (n subjects)` where there are too few subjects for an interval. The columns
    of `SPREADS` hold the SD of all scores, in their order.

    Parameters
    ----------
    rows : DataFrame
        Of `dice.csv`.
    profile : str
        Of the runs; it decides what SynDiff is called in the column `method`.
    bold : bool
        Put `**` around the best label-free mean (or means) of each pair, protocol, split and class: Markdown.
    missing : DataFrame, optional
        From `planned.missing_cells`. A cell without any row shows the reason; one that lacks folds shows how many it
        has; a pair, protocol and split without any row is one line, translator and strategy `all`.
    """
    rows = complete_rows(rows)
    table = dice_table(with_fibre_scores(rows))
    cells, is_bold = [_score_text(cell) for cell in table.itertuples()], _is_best(table) & bold
    table["cell"] = [f"**{cell}**" if best else cell for cell, best in zip(cells, is_bold, strict=True)]
    if missing is not None:
        table = with_missing(table, missing, SCORE_COLUMNS)
    wide = table.pivot(index=METHOD_KEYS, columns="class", values="cell").fillna("–")
    names = [name for name in SCORE_COLUMNS if name in wide]
    for column, title in SPREADS.items():
        spread = table.pivot(index=METHOD_KEYS, columns="class", values=column)[names]
        wide[title] = [_spread_text(of) for of in spread.to_numpy(dtype=float)]
    known = learned_from(rows, METHOD_KEYS).reindex(wide.index).fillna("")
    words = {cell: method_words(*cell[:2:-1], profile=profile, learned_from=known[cell]) for cell in wide.index}
    wide.insert(0, "method", [words[cell] for cell in wide.index])
    shown = in_display_order(wide[["method", *names, *SPREADS.values()]].reset_index()).rename_axis(columns=None)
    if missing is None:
        return shown
    # What has not run in either polarity, and has one name in both, is one line.
    return shown.drop_duplicates([*EXPERIMENT_KEYS, "method", *names], ignore_index=True)


def with_fibre_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Append to rows of `dice.csv` two scores of the fibres of each image as if they were the Dice of a class.

    They are the F1 at IoU 0.5 and, where they were counted, the share of merged fibres.
    """
    axons = complete_rows(rows).query("`class` == 'axon'")
    counted = axons[axons["n_merged"].notna()]
    merged = counted["n_merged"] / counted["n_true"].where(counted["n_true"] > 0)
    f1 = axons.assign(**{"class": FIBRE_F1, "dice": axons["f1_50"]})
    return pd.concat([rows, f1, counted.assign(**{"class": MERGED, "dice": merged})], ignore_index=True)


def _score_text(cell) -> str:
    """Return `mean [low, high]` of a row of a table, or `mean (n subjects)` where there is no interval."""
    if pd.isna(cell.mean):
        return "–"
    if pd.isna(cell.low):
        return f"{cell.mean:.3f} ({subjects_text(cell.subjects)})"
    return f"{cell.mean:.3f} [{cell.low:.3f}, {cell.high:.3f}]"


def _spread_text(spread: np.ndarray) -> str:
    return "–" if np.isnan(spread).all() else " / ".join("–" if np.isnan(sd) else f"{sd:.3f}" for sd in spread)


def _is_best(table: pd.DataFrame) -> pd.Series:
    """Mark the best label-free cells of each family; means that are equal when rounded share the mark."""
    mean = table["mean"].round(3).where(~table["strategy"].isin(REFERENCES))
    return mean.notna() & (mean == mean.groupby([table[key] for key in FAMILY_KEYS]).transform("max"))


def in_display_order(table: pd.DataFrame) -> pd.DataFrame:
    """Sort rows: baseline first, references last, within a strategy from the simplest translator to SynDiff."""
    keys = [*FAMILY_KEYS, "strategy", "translator", "direction"]
    return table.sort_values([key for key in keys if key in table], key=_ordered, ignore_index=True)


def _ordered(column: pd.Series) -> pd.Series:
    """Order names as in `DISPLAY_ORDER`; other names follow in alphabetical order."""
    order = DISPLAY_ORDER.get(column.name, [])
    return column.astype(pd.CategoricalDtype([*order, *sorted(set(column) - set(order))], ordered=True))


# --- Uncertainty, translations and costs --------------------------------------------------------------------


def trust_overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `trust.csv` as text `mean ± SD` over folds, a row for each pair, protocol and split."""
    names = {"ece": "calibration error", "ause": "AUSE", "wrong": "wrong pixels"}
    names |= {"held_by_first_tenth": "held by first tenth of tiles", "most_possible": "most possible"}
    groups = rows.groupby(EXPERIMENT_KEYS)[list(names)]
    return _mean_and_sd(groups.mean(), groups.std()).rename(columns=names).reset_index()


def translation_overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Return text `mean ± SD` over images of SSIM, PSNR (dB), L1, offset (px) and seam, a row for each direction.

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


def markdown(table: pd.DataFrame) -> str:
    """Return a table of text as GitHub Markdown."""
    lines = [table.columns.tolist(), ["---"] * len(table.columns), *table.values.tolist()]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _mean_and_sd(mean: pd.DataFrame, sd: pd.DataFrame) -> pd.DataFrame:
    texts = {c: [_cell(*pair) for pair in zip(mean[c], sd[c], strict=True)] for c in mean}
    return pd.DataFrame(texts, index=mean.index)


def _cell(mean: float, sd: float) -> str:
    if pd.isna(mean):
        return "–"
    if np.isinf(mean):
        return "∞"
    return f"{mean:.3f}" if pd.isna(sd) else f"{mean:.3f} ± {sd:.3f}"
