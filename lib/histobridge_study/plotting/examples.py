"""Figures 2 to 4 of the published study (Boschet et al., arXiv 2412.02858), from one example of every pair."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from histobridge.display.drawing import (
    CLASS_COLOURS,
    GREY,
    PAGE,
    SMALL,
    Images,
    colour_handles,
    common_side,
    figure_title,
    new_figure,
    overlay,
    panel,
    refuse_empty,
    refuse_other_shapes,
    require_columns,
    scale_bar,
    styled,
)
from histobridge.errors import UserError
from histobridge.io.images import middle
from histobridge.metrics.overlap import class_scores
from histobridge_study.analysis.tables import CELL_KEYS, dice_table, subject_values
from histobridge_study.plotting.scores import (
    MAX_PSNR,
    direction_handles,
    measure_bars,
    ordered_translators,
    reconstruction_scores,
    score_handles,
    subject_dots,
)

NO_DATA, NOT_RUN = "data not available", "not run"
STRATEGIES = ("pretrained", "adaptation", "tutorship")

Examples = Mapping[str, "Example | str"]


@dataclass(frozen=True)
class Example:
    """One image of L and one of U, with their translations and labels.

    Attributes
    ----------
    source : mapping of str to ndarray
        `image` and `mask` of L, and `translation`, the image translated to U.
    target : mapping of str to ndarray
        `image` of U, its `translation` to L, the expert mask `truth`, and the pseudo labels `pretrained`, `adaptation`
        and `tutorship`.
    um_per_px : (float, float)
        Pixel sizes of L and U.
    names : (str, str)
        Names of L and U.
    """

    source: Images
    target: Images
    um_per_px: tuple[float, float]
    names: tuple[str, str] = ("L", "U")

    def __post_init__(self):
        for name, images in (("source", self.source), ("target", self.target)):
            if "image" not in images:
                raise UserError(f"The {name} of an example has no 'image': add it.")
            refuse_other_shapes(images["image"], images)

    def require(self, source: tuple[str, ...], target: tuple[str, ...]) -> None:
        """Raise a `UserError` that names the images a figure needs and the example lacks."""
        for domain, images, names in (("source", self.source, source), ("target", self.target, target)):
            missing = [name for name in names if name not in images]
            if missing:
                raise UserError(
                    f"The {domain} of an example lacks {', '.join(missing)}: run notebooks 02 and 03 first."
                )


# --- Figure 2 -----------------------------------------------------------------------------------------------


@styled
def two_strategies(example: Example, *, side: int = 160) -> Figure:
    """Show tutorship and adaptation step by step on one image of L and one of U (figure 2 of the study).

    The Dice below a pseudo label is that of the whole image, of which the central square is shown.

    Parameters
    ----------
    example : Example
        All images except `pretrained` are needed.
    side : int
        Side of the central square that is shown, in px, at most.
    """
    example.require(("mask", "translation"), ("translation", "tutorship", "adaptation", "truth"))
    source, target = example.source, example.target
    side = common_side([source["image"], target["image"]], side)
    truth = overlay(target["image"], target["truth"])
    tutorship = {
        "image of L and its mask": half_overlay(source["image"], source["mask"]),
        "L translated to U": source["translation"],
        "training data of the student": overlay(source["translation"], source["mask"]),
        "pseudo label of U by the student": overlay(target["image"], target["tutorship"]),
        "expert mask of U": truth,
    }
    adaptation = {
        "image of U": target["image"],
        "U translated to L": target["translation"],
        "label by the segmenter of L": overlay(target["translation"], target["adaptation"]),
        "pseudo label on the image of U": overlay(target["image"], target["adaptation"]),
        "expert mask of U": truth,
    }
    figure = new_figure(PAGE, 4.4)
    figure.get_layout_engine().set(wspace=0.15)  # room for the arrows
    above, below = figure.subfigures(2, 1)
    _steps(above, "Tutorship: translate L to U, keep its masks, train a student, apply it to U", tutorship, side)
    _steps(below, "Adaptation: translate U to L, apply the segmenter of L", adaptation, side)
    for part, strategy, size in zip((above, below), ("tutorship", "adaptation"), example.um_per_px, strict=True):
        scale_bar(part.axes[0], size)
        part.axes[3].set_xlabel(_dice_text(target["truth"], target[strategy]), loc="left", fontsize=SMALL)
    names = [Line2D([], [], linestyle="", label=f"{d}: {name}") for d, name in zip("LU", example.names, strict=True)]
    handles = [*names, *colour_handles(CLASS_COLOURS)]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=SMALL, handlelength=1.2)
    return figure


def half_overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, 3] of `image` with myelin and axon tinted in its right half."""
    right = np.arange(image.shape[1]) >= image.shape[1] // 2
    return overlay(image, np.where(right, mask, 0))


def _dice_text(truth: np.ndarray, mask: np.ndarray) -> str:
    return "Dice: " + ", ".join(f"{row['class']} {row['dice']:.2f}" for row in class_scores(truth, mask))


def _steps(part: SubFigure, title: str, pictures: Images, side: int) -> None:
    """Draw one strategy: its pictures in a row, with an arrow from each to the next except to the expert mask."""
    part.suptitle(title, x=0.01, ha="left", fontweight="bold")
    panels = part.subplots(1, len(pictures))
    for axes, (name, picture) in zip(panels, pictures.items(), strict=True):
        panel(axes, middle(picture, side))
        axes.set_title(textwrap.fill(name, 18), fontsize=SMALL)
    for axes in panels[1:-1]:
        arrow = {"arrowstyle": "-|>", "color": GREY}
        axes.annotate("", (0, 0.5), (-0.18, 0.5), xycoords="axes fraction", arrowprops=arrow)


# --- Figures 3 and 4 ----------------------------------------------------------------------------------------


@styled
def translation_examples(examples: Examples, rows: pd.DataFrame, *, side: int = 128) -> Figure:
    """Show an image and its translation in both directions, one row a pair, and the reconstruction by the round trip.

    Bars are SSIM, PSNR (cut at `MAX_PSNR`) and L1 of every translator, mean ± SD over images (figure 3 of the study).

    Parameters
    ----------
    examples : mapping of str to Example or str
        An example of every pair, or the reason why there is none.
    rows : DataFrame
        Rows of `translation.csv` of one protocol and split.
    side : int
        Side of the central squares that are shown, in px, at most.
    """
    rows = reconstruction_scores(rows)
    require_one_setting(rows, "the table of translations")
    found = _found(examples, ("translation",), ("translation",))
    side = common_side([images["image"] for e in found.values() for images in (e.source, e.target)], side)
    translators, directions = ordered_translators(rows), sorted(set(rows["direction"]))
    titles = ("image of L", "L to U", "image of U", "U to L", "SSIM ↑", "PSNR ↑ (dB)", "L1 ↓")
    figure, grid = _pair_grid(examples, titles, bars=3)
    for panels, (pair, example) in zip(grid, found.items(), strict=True):
        for number, images in enumerate((example.source, example.target)):
            first, second = panels[2 * number : 2 * number + 2]
            panel(first, middle(images["image"], side), um_per_px=example.um_per_px[number])
            panel(second, middle(images["translation"], side))
        measure_bars(panels[4:], rows[rows["pair"] == pair], translators, directions)
    _finish(grid, titles, list(found), bars=3)
    for axes, limit in zip(grid[0, 4:], (1, MAX_PSNR, None), strict=True):
        axes.set_xlim(0, limit)
    words = Line2D([], [], linestyle="", label=f"Round trip, mean ± SD over images, PSNR cut at {MAX_PSNR} dB:")
    handles = [words, *direction_handles(directions)]
    figure.legend(handles=handles, loc="outside lower right", ncols=3, fontsize=SMALL, handlelength=1.4)
    return figure


@styled
def pseudo_label_examples(
    examples: Examples, rows: pd.DataFrame, *, translator: str = "syndiff", side: int = 128
) -> Figure:
    """Show pseudo labels beside the expert mask, one row a pair, and Dice by subject (figure 4 of the study).

    Parameters
    ----------
    examples : mapping of str to Example or str
        An example of every pair, or the reason why there is none; of `source` only the image is needed.
    rows : DataFrame
        Rows of `dice.csv` of one protocol and split, drawn as in `scores.dice_dots`.
    translator : str
        The translator of the adaptation and tutorship whose Dice is drawn.
    side : int
        Side of the central square that is shown, in px, at most.
    """
    require_columns(rows, [*CELL_KEYS, "fold", "subject", "image", "dice"], "the rows of Dice")
    require_one_setting(rows, "the rows of Dice")
    rows = rows[rows["strategy"].isin(STRATEGIES) & rows["translator"].isin(["none", translator])]
    found = _found(examples, (), ("translation", *STRATEGIES, "truth"))
    side = common_side([example.target["image"] for example in found.values()], side)
    titles = ("image of U", "U to L", *STRATEGIES, "expert mask", "Dice")
    figure, grid = _pair_grid(examples, titles, bars=1)
    for panels, (pair, example) in zip(grid, found.items(), strict=True):
        image = example.target["image"]
        labels = [overlay(image, example.target[name]) for name in (*STRATEGIES, "truth")]
        for axes, picture in zip(panels, (image, example.target["translation"], *labels), strict=False):
            panel(axes, middle(picture, side), um_per_px=example.um_per_px[1] if axes is panels[0] else None)
        _strategy_dots(panels[-1], rows[rows["pair"] == pair])
    _finish(grid, titles, list(found), bars=1)
    figure.legend(handles=score_handles(), loc="outside lower right", ncols=4, fontsize=SMALL, handlelength=1.4)
    return figure


def _strategy_dots(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the Dice of one pair, one row a strategy."""
    subjects, means = (
        part.assign(row=part["strategy"].map(STRATEGIES.index)) for part in (subject_values(rows), dice_table(rows))
    )
    subject_dots(axes, subjects, means)
    axes.set_yticks(range(len(STRATEGIES)), STRATEGIES)
    axes.set(ylim=(len(STRATEGIES) - 0.5, -0.5), xlim=(0, 1))


def require_one_setting(table: pd.DataFrame, what: str) -> None:
    """Raise a `UserError` if a table, which `what` names, holds more than one protocol or split."""
    for column in ("protocol", "split"):
        several = sorted(set(table[column]))
        if len(several) > 1:
            raise UserError(f"In {what} there is more than one {column} ({', '.join(several)}): choose one.")


def _found(examples: Examples, source: tuple[str, ...], target: tuple[str, ...]) -> dict[str, Example]:
    """Return the pairs that have an example, after a check that it has the images that are needed."""
    found = {pair: example for pair, example in examples.items() if isinstance(example, Example)}
    refuse_empty(found, "finished pairs")
    for example in found.values():
        example.require(source, target)
    return found


def _pair_grid(examples: Examples, titles: tuple[str, ...], *, bars: int) -> tuple[Figure, np.ndarray]:
    """Return a figure with a row of axes for each pair with an example; its title names the pairs without one."""
    missing = [f"{pair} ({example})" for pair, example in examples.items() if not isinstance(example, Example)]
    rows, pictures = len(examples) - len(missing), len(titles) - bars
    figure = new_figure(PAGE, 0.6 + 0.95 * rows)
    grid = figure.subplots(rows, len(titles), squeeze=False, sharex="col", width_ratios=[1] * pictures + [0.75] * bars)
    if missing:
        figure_title(figure, f"Without an example: {', '.join(missing)}")
    return figure, grid


def _finish(grid: np.ndarray, titles: tuple[str, ...], pairs: list[str], *, bars: int) -> None:
    """Write the titles of columns and the names of pairs, and number the axes of the bars alike."""
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=SMALL)
    for axes, pair in zip(grid[:, 0], pairs, strict=True):
        axes.set_ylabel(textwrap.fill(pair, 12), fontsize=SMALL)
    for axes in grid[:, -bars:].flat:
        axes.tick_params(labelsize=SMALL, pad=2, length=2)
        axes.xaxis.set_major_locator(MaxNLocator(2))
        axes.xaxis.set_major_formatter("{x:g}")
    for axes in grid[:, len(titles) - bars + 1 :].flat:
        axes.tick_params(labelleft=False)
