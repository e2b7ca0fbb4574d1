"""From rows to tables: one row an image and class goes in, mean ± SD over folds comes out.

The rule: Dice is the mean over images of the per-image Dice of one fold; a cell shows its mean and sample standard
deviation over folds. An image in which a class is neither annotated nor predicted has Dice NaN and is left out
(and counted in `undefined`).
"""

from __future__ import annotations

import pandas as pd

CELL = ["pair", "protocol", "split", "translator", "strategy", "class"]
DICE_COLUMNS = [*CELL[:2], "fold", "translator", "strategy", "split", "image", "subject", "class"]
DICE_COLUMNS += ["dice", "iou", "n_true", "n_predicted", "f1_50"]
TRANSLATION_CELL = ["pair", "protocol", "split", "translator", "direction"]
ORDER = {"translator": ["none", "invert", "histogram", "invert-histogram", "cycle", "syndiff"]}
ORDER["strategy"] = ["pretrained", "adaptation", "tutorship", "supervised"]


def dice_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise rows of `dice.csv`, one row a cell: `mean`, `sd` (NaN for one fold), `folds`, `undefined`.

    Parameters
    ----------
    rows : DataFrame
        Columns `DICE_COLUMNS`.

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
    return table.reset_index()


def dice_overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Return text `mean ± sd` with a row for each (pair, protocol, split, translator, strategy), a column a class."""
    table = dice_table(rows)
    table["cell"] = [_cell(mean, sd) for mean, sd in zip(table["mean"], table["sd"], strict=True)]
    wide = table.pivot(index=CELL[:-1], columns="class", values="cell").reset_index()
    for column, order in ORDER.items():
        others = sorted(set(wide[column]) - set(order))
        wide[column] = pd.Categorical(wide[column], [*order, *others], ordered=True)
    wide = wide.sort_values(["pair", "protocol", "split", "strategy", "translator"], ignore_index=True)
    return wide.rename_axis(columns=None).astype(str)


def translation_overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Return text `mean ± sd` over images of SSIM, PSNR, L1, offset (px) and seam, a row for each direction."""
    measures = ["ssim", "psnr", "l1", "offset_px", "seam"]
    groups = rows.groupby(TRANSLATION_CELL)[measures]
    mean, sd = groups.mean(), groups.std()
    text = {m: [_cell(a, b) for a, b in zip(mean[m], sd[m], strict=True)] for m in measures}
    return pd.DataFrame(text, index=mean.index).reset_index()


def _cell(mean: float, sd: float) -> str:
    if pd.isna(mean):
        return "–"
    return f"{mean:.3f}" if pd.isna(sd) else f"{mean:.3f} ± {sd:.3f}"


def markdown(table: pd.DataFrame) -> str:
    """Return a table of text as GitHub Markdown."""
    lines = [table.columns.tolist(), ["---"] * len(table.columns), *table.values.tolist()]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
