"""Figures 2 to 4 of the published study (Boschet et al., arXiv 2412.02858), from one example of every pair.

A pair that has no example stands in its place all the same, empty but for a note: what is missing is seen.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from histobridge.display.drawing import (
    CLASS_COLOURS,
    GREY,
    PAGE,
    SMALL,
    Images,
    arrow,
    axes_at,
    colour_handles,
    common_side,
    middle,
    overlay,
    panel,
    refuse_empty,
    refuse_other_shapes,
    require_columns,
    sheet,
    styled,
)
from histobridge.errors import UserError
from histobridge.metrics.overlap import class_scores
from histobridge_study.analysis.tables import CELL_KEYS
from histobridge_study.plotting.scores import (
    TALLEST_PSNR,
    direction_legend,
    measure_bars,
    translation_scores,
    translators_in_order,
)

LEFT = 0.36  # inches: where the first panel begins, beside the name of the pair
GAP = 0.05  # inches: between panels
FIRST, BELOW = 0.26, 0.12  # inches: where the first row of pairs begins, and what is left below each
NOTE = 0.36  # inches: the row of a pair that has no example
NO_DATA, NOT_RUN = "data not available", "not run"
STRATEGIES = ("pretrained", "adaptation", "tutorship")

Examples = Mapping[str, "Example | str"]


@dataclass(frozen=True)
class Example:
    """One image of L and one of U, with what was made of them.

    Attributes
    ----------
    source : mapping of str to ndarray
        `image` and `mask` of L, and `translation`, the image in the look of U.
    target : mapping of str to ndarray
        `image` of U, its `translation` to the look of L, `truth`, and the pseudo labels `pretrained`,
        `adaptation` and `tutorship`.
    um_per_px : (float, float)
        Pixel sizes of L and U.
    names : (str, str)
        What to call L and U.
    """

    source: Images
    target: Images
    um_per_px: tuple[float, float]
    names: tuple[str, str] = ("L", "U")

    def __post_init__(self):
        for name, images in (("source", self.source), ("target", self.target)):
            if "image" not in images:
                raise UserError(f"The {name} of an example has no 'image': give one, and what was made of it.")
            refuse_other_shapes(images["image"], images)


def _need(example: Example, source: tuple[str, ...], target: tuple[str, ...]) -> None:
    for domain, images, names in (("source", example.source, source), ("target", example.target, target)):
        missing = [name for name in names if name not in images]
        if missing:
            raise UserError(f"The {domain} of an example lacks {', '.join(missing)}: run notebooks 02 and 03 first.")


# --- Figure 2 -----------------------------------------------------------------------------------------------


@styled
def two_strategies(example: Example, *, side: int = 160) -> Figure:
    """Show tutorship and adaptation step by step on one image of L and one of U (figure 2 of the study).

    Dice under a pseudo label is that of the whole image, of which the central square is seen.

    Parameters
    ----------
    example : Example
        All but `pretrained` is needed.
    side : int
        Side of the central square that is shown, in px, at most.
    """
    _need(example, ("mask", "translation"), ("translation", "tutorship", "adaptation", "truth"))
    source, target = example.source, example.target
    side = common_side([source["image"], target["image"]], side)
    figure, ground = sheet(4.0)
    rows = (
        (
            "Tutorship: translate L to U, keep the masks, train a student, apply it to U",
            (half_overlay(source["image"], source["mask"]), "image of L,\nhalf with its mask"),
            (source["translation"], "translated to U"),
            (overlay(source["translation"], source["mask"]), "with the same mask,\nfor the student"),
            (overlay(target["image"], target["tutorship"]), "the student's\npseudo label of U"),
        ),
        (
            "Adaptation: translate U to L, apply the segmenter of L",
            (target["image"], "image of U"),
            (target["translation"], "translated to L"),
            (overlay(target["translation"], target["adaptation"]), "labelled by the\nsegmenter of L"),
            (overlay(target["image"], target["adaptation"]), "pseudo label\nput back on U"),
        ),
    )
    names = "      ".join(f"{domain}: {name}" for domain, name in zip("LU", example.names, strict=True))
    ground.text(0.1, 0.1, names, va="top", color=GREY)
    for top, strategy, size, row in zip(TOPS, ("tutorship", "adaptation"), example.um_per_px, rows, strict=True):
        _steps(ground, top, row, _dice_words(target["truth"], target[strategy]), side, size)
    _compare(ground, middle(overlay(target["image"], target["truth"]), side))
    _legend(figure, colour_handles(CLASS_COLOURS), loc="upper right")
    return figure


TOPS = (0.34, 2.2)  # inches: where the rows of figure 2 begin, each with a heading
HEADING = 0.44  # inches
WIDE, BETWEEN = 1.14, 0.29  # inches: the panels of figure 2 and what is between them


def half_overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, 3] of `image`, its right half with myelin and axon tinted."""
    right = np.arange(image.shape[1]) >= image.shape[1] // 2
    return overlay(image, np.where(right, mask, 0))


def _dice_words(truth: np.ndarray, mask: np.ndarray) -> str:
    return "Dice: " + ", ".join(f"{row['class']} {row['dice']:.2f}" for row in class_scores(truth, mask))


def _steps(ground: Axes, top: float, row: tuple, dice: str, side: int, um_per_px: float) -> None:
    """Draw one strategy: its sentence, four panels with arrows between them, Dice below the last."""
    sentence, *panels = row
    ground.text(0.1, top, sentence, va="top", fontweight="bold")
    below = top + HEADING + WIDE
    for number, (picture, title) in enumerate(panels):
        left = 0.1 + number * (WIDE + BETWEEN)
        axes = axes_at(ground, left, below - WIDE, WIDE, WIDE)
        panel(axes, middle(picture, side), um_per_px=um_per_px if number == 0 else None)
        axes.set_title(title, fontsize=SMALL, pad=3)
        if number:
            arrow(ground, (left - BETWEEN + 0.03, below - WIDE / 2), (left - 0.03, below - WIDE / 2))
    ground.text(left, below + 0.04, dice, va="top", fontsize=SMALL)


def _compare(ground: Axes, truth: np.ndarray) -> None:
    """Draw the truth to the right of both pseudo labels, and arrows to it."""
    left, height = 0.1 + 4 * (WIDE + BETWEEN), HEADING + WIDE / 2
    top = (TOPS[0] + TOPS[1]) / 2 + HEADING
    axes = axes_at(ground, left, top, WIDE, WIDE)
    panel(axes, truth)
    axes.set_title("true mask of U", fontsize=SMALL, pad=3)
    centre = left + WIDE / 2
    for start, end in ((TOPS[0] + height, top - 0.2), (TOPS[1] + height, top + WIDE + 0.04)):
        arrow(ground, (left - BETWEEN + 0.03, start), (centre, start), (centre, end))


# --- Figure 3 -----------------------------------------------------------------------------------------------


@styled
def translation_examples(examples: Examples, rows: pd.DataFrame, *, side: int = 128) -> Figure:
    """Show an image and its translation in both directions, a row a pair, and what the round trip brings back.

    Bars are SSIM, PSNR (cut at `TALLEST_PSNR`) and L1 of every translator, mean ± SD over images (figure 3 of
    the study).

    Parameters
    ----------
    examples : mapping of str to Example or str
        An example of every pair, or the reason why there is none.
    rows : DataFrame
        Rows of `translation.csv` of one protocol and split.
    side : int
        Side of the central squares that are shown, in px, at most.
    """
    rows = translation_scores(rows)
    refuse_several(rows, "the table of translations")
    found = _found(examples, ("translation",), ("translation",))
    side = common_side([images["image"] for e in found.values() for images in (e.source, e.target)], side)
    inches, bars_at = 0.84, LEFT + 4 * (0.84 + GAP) + 1.08  # names of translators stand before the bars
    names, directions = translators_in_order(rows), sorted(set(rows["direction"]))
    ground, tops = _rows_of_pairs(examples, ("image of L", "L to U", "image of U", "U to L"), inches)
    for pair, example in found.items():
        for number, domain in enumerate((example.source, example.target)):
            size = example.um_per_px[number]
            _pictures(ground, tops[pair], 2 * number, (domain["image"], domain["translation"]), side, inches, size)
        panels = _bar_panels(ground, bars_at, tops[pair], 3, inches)
        measure_bars(panels, rows[rows["pair"] == pair], names, directions)
        _finish_bars(panels, _limits(rows), last=pair == list(found)[-1])
    _titles(ground, bars_at, panels, ("SSIM ↑", "PSNR, dB ↑", "L1 ↓"))
    words = f"Round trip, mean ± SD over images, PSNR cut at {TALLEST_PSNR} dB. First step:"
    _legend(ground.figure, direction_legend(directions), words)
    return ground.figure


def _limits(rows: pd.DataFrame) -> tuple[float, float, float]:
    """Return where the axes of SSIM, PSNR and L1 end, for all pairs alike."""
    l1 = rows.groupby(["pair", "translator", "direction"])["l1"]
    return 1, TALLEST_PSNR, 1.05 * max(0.01, (l1.mean() + l1.std().fillna(0)).max())


# --- Figure 4 -----------------------------------------------------------------------------------------------


@styled
def pseudo_label_examples(
    examples: Examples, table: pd.DataFrame, *, translator: str = "syndiff", side: int = 128
) -> Figure:
    """Show pseudo labels beside the true mask, a row a pair, and Dice over the folds (figure 4 of the study).

    Parameters
    ----------
    examples : mapping of str to Example or str
        An example of every pair, or the reason why there is none; of `source` only the image is needed.
    table : DataFrame
        From `analysis.tables.dice_table`, of one protocol and split. Bars are the mean, whiskers one SD over
        folds; a single fold has none. Dashed lines are the supervised bound.
    translator : str
        Whose adaptation and tutorship the bars show.
    side : int
        Side of the central square that is shown, in px, at most.
    """
    require_columns(table, [*CELL_KEYS, "mean", "image_mean", "sd", "folds"], "the table of Dice")
    refuse_several(table, "the table of Dice")
    table = table[table["translator"].isin(["none", translator])]
    found = _found(examples, (), ("translation", *STRATEGIES, "truth"))
    side = common_side([example.target["image"] for example in found.values()], side)
    inches, bars_at = 0.84, LEFT + 6 * (0.84 + GAP) + 0.6
    ground, tops = _rows_of_pairs(examples, ("image of U", "U to L", "pre-trained", *STRATEGIES[1:], "truth"), inches)
    for pair, example in found.items():
        image = example.target["image"]
        labels = [overlay(image, example.target[name]) for name in (*STRATEGIES, "truth")]
        pictures = (image, example.target["translation"], *labels)
        _pictures(ground, tops[pair], 0, pictures, side, inches, example.um_per_px[1])
        panels = _bar_panels(ground, bars_at, tops[pair], 1, inches)
        _dice_panel(panels[0], table[table["pair"] == pair])
        _finish_bars(panels, (1,), last=pair == list(found)[-1])
    _titles(ground, bars_at, panels, (_folds(table),))
    bound = Line2D([], [], color=GREY, linestyle="--", label="supervised bound")
    spread = " ± SD over folds" if table["folds"].max() > 1 else ""
    _legend(ground.figure, [*colour_handles(CLASS_COLOURS), bound], f"Dice, mean{spread}:")
    return ground.figure


def _dice_panel(axes: Axes, table: pd.DataFrame) -> None:
    """Draw the Dice of one pair: a group of bars a strategy, the supervised bound as dashed lines."""
    for shift, (name, colour) in zip((-0.19, 0.19), CLASS_COLOURS.items(), strict=True):
        of_class = table[table["class"] == name].set_index("strategy")[["mean", "sd", "image_mean"]]
        shown = of_class.reindex(STRATEGIES)
        rows = [number + shift for number in range(len(STRATEGIES))]
        whiskers = {"error_kw": {"linewidth": 0.8}, "xerr": shown["sd"]}
        axes.barh(rows, shown["mean"], height=0.36, color=colour, **whiskers)
        if "supervised" in of_class.index:
            axes.axvline(of_class.loc["supervised", "image_mean"], color=colour, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(STRATEGIES)), ["pre-trained", *STRATEGIES[1:]])
    axes.set_ylim(len(STRATEGIES) - 0.5, -0.5)


def _folds(table: pd.DataFrame) -> str:
    fewest, most = table["folds"].min(), table["folds"].max()
    folds = str(most) if fewest == most else f"{fewest} to {most}"
    return f"Dice, {folds} fold{'s' if most > 1 else ''}"


# --- What figures 3 and 4 share -----------------------------------------------------------------------------


def _found(examples: Examples, source: tuple[str, ...], target: tuple[str, ...]) -> dict[str, Example]:
    """Return the pairs that have an example, checked for what is needed of it."""
    found = {pair: example for pair, example in examples.items() if isinstance(example, Example)}
    refuse_empty(found, "finished pairs")
    for example in found.values():
        _need(example, source, target)
    return found


def refuse_several(table: pd.DataFrame, what: str) -> None:
    """Raise a `UserError` if a table, which `what` names, holds more than one protocol or split."""
    for column in ("protocol", "split"):
        several = sorted(set(table[column]))
        if len(several) > 1:
            raise UserError(f"In {what} there is more than one {column} ({', '.join(several)}): choose one.")


def _rows_of_pairs(examples: Examples, titles: tuple[str, ...], inches: float) -> tuple[Axes, dict[str, float]]:
    """Return a sheet and where the row of each pair begins on it: first those with an example, then the notes."""
    found = [pair for pair, example in examples.items() if isinstance(example, Example)]
    notes = [pair for pair in examples if pair not in found]
    after = FIRST + len(found) * (inches + BELOW) + 0.06
    ground = sheet(after + len(notes) * NOTE + 0.24)[1]
    for number, title in enumerate(titles):
        ground.text(LEFT + number * (inches + GAP), FIRST - 0.06, title, fontsize=SMALL)
    tops = {pair: FIRST + number * (inches + BELOW) for number, pair in enumerate(found)}
    for pair, top in tops.items():
        name = {"rotation": 90, "ha": "right", "va": "center", "linespacing": 1.1}
        ground.text(LEFT - 0.06, top + inches / 2, textwrap.fill(pair, 12), fontsize=SMALL, **name)
    for number, pair in enumerate(notes):
        _note(ground, after + number * NOTE, f"{pair}: {examples[pair]}")
    return ground, tops


def _note(ground: Axes, top: float, words: str) -> None:
    """Draw the empty row of a pair without an example."""
    ground.fill_between((LEFT, PAGE - 0.08), top, top + NOTE - 0.06, color="0.96", linewidth=0)
    ground.text(LEFT + 0.08, top + (NOTE - 0.06) / 2, words, color=GREY, fontsize=SMALL, va="center")


def _pictures(
    ground: Axes, top: float, first: int, pictures: tuple, side: int, inches: float, um_per_px: float
) -> None:
    """Show pictures side by side from column `first` on, a scale bar in the first of them."""
    for number, picture in enumerate(pictures):
        axes = axes_at(ground, LEFT + (first + number) * (inches + GAP), top, inches, inches)
        panel(axes, middle(picture, side), um_per_px=um_per_px if number == 0 else None)


def _bar_panels(ground: Axes, left: float, top: float, count: int, inches: float) -> list[Axes]:
    """Return panels for bars from `left` to the end of the page."""
    pitch = (PAGE - 0.08 - left) / count
    return [axes_at(ground, left + number * pitch, top, pitch - 0.17, inches) for number in range(count)]


def _finish_bars(panels: list[Axes], limits: tuple[float, ...], *, last: bool) -> None:
    """Give bars of all pairs the same axes; names stand at the left, numbers below the last."""
    for number, (axes, limit) in enumerate(zip(panels, limits, strict=True)):
        axes.set_xlim(0, limit)
        axes.tick_params(labelsize=SMALL, labelleft=number == 0, labelbottom=last, pad=2, length=2)
        axes.xaxis.set_major_locator(MaxNLocator(2))
        axes.xaxis.set_major_formatter("{x:g}")


def _titles(ground: Axes, left: float, panels: list[Axes], titles: tuple[str, ...]) -> None:
    pitch = (PAGE - 0.08 - left) / len(panels)
    for number, title in enumerate(titles):
        ground.text(left + number * pitch, FIRST - 0.06, title, fontsize=SMALL)


def _legend(figure: Figure, handles: list, words: str = "", *, loc: str = "lower right") -> None:
    """Name the colours in one line in a corner, after a few words."""
    start = [Line2D([], [], linestyle="none", label=words)] if words else []
    look = {"fontsize": SMALL, "handlelength": 1.4, "columnspacing": 1, "borderaxespad": 0.1}
    figure.legend(handles=[*start, *handles], loc=loc, ncols=1 + len(handles), **look)
