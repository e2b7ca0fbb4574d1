"""Figures: the right panels, colours and words, drawn from data that they leave alone."""

import copy
import math
from itertools import product

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from histobridge.display.drawing import (
    BLUE,
    CLASS_COLOURS,
    CORRECT_COLOURS,
    ERROR_COLOURS,
    PAGE,
    VERMILLION,
    error_map,
    overlay,
)
from histobridge.errors import UserError
from histobridge.metrics.calibration import calibration_error, reliability, review_order, sparsification
from histobridge.phantom import phantom
from histobridge.strategies.polarity import INVERT, KEEP
from histobridge.strategies.refined import RECIPES
from histobridge_study import plotting as figures
from histobridge_study.analysis.bland_altman import DENSITY, MEASURES, bland_altman
from histobridge_study.analysis.recommend import SCORES
from histobridge_study.analysis.tables import CELL
from histobridge_study.plotting.examples import NO_DATA, NOT_RUN, STRATEGIES

STEPS = 40
WAYS = {  # (axon, myelin) in no good order
    ("tutorship", "syndiff"): (0.77, 0.69),
    ("supervised", "none"): (0.87, 0.80),
    ("adaptation", "a-new-one"): (0.50, 0.40),
    ("adaptation", "syndiff"): (0.76, 0.69),
    ("adaptation", "invert"): (0.72, 0.67),
    ("pretrained", "none"): (0.21, 0.01),
}
ORDERED = ["pretrained", "adaptation, invert", "adaptation, syndiff", "adaptation, a-new-one"]
ORDERED += ["tutorship, syndiff"]


@pytest.fixture(scope="module")
def tem():
    """Five small phantoms by name, and a mask of the first."""
    drawn = {f"tem-{seed}": phantom("tem", seed, (72, 80)) for seed in range(5)}
    return {name: image for name, (image, _) in drawn.items()}, drawn["tem-0"][1]


def training(steps: int = STEPS) -> pd.DataFrame:
    """A history of SynDiff in which every column is a constant of its own."""
    parts = ("adversarial", "critic", "logit_real", "logit_fake")
    names = ["cycle", "l1", *(f"{part}_{kind}" for part in parts for kind in "FG")]
    constants = {name: np.full(steps, 1.0 + number) for number, name in enumerate(names)}
    return pd.DataFrame({"step": range(steps), "seconds": 3.0 * np.arange(1, steps + 1), **constants})


def evidence(keep: list[float], invert: list[float]) -> pd.DataFrame:
    """What the polarity check found on some images."""
    rows = [
        {"image": number, "sign": sign, "enclosure": value, "confidence": 0.8, "axon": 0.3, "myelin": 0.2}
        for sign, values in ((KEEP, keep), (INVERT, invert))
        for number, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def dice(pairs=("tem-sem",), protocols=("transductive",), *, sd: float = 0.02, methods=WAYS) -> pd.DataFrame:
    """A table of Dice as `tables.dice_table` makes it."""
    rows = []
    for pair, protocol, (strategy, translator) in product(pairs, protocols, methods):
        for name, mean in zip(("axon", "myelin"), WAYS[strategy, translator], strict=True):
            cell = (pair, protocol, "development", translator, strategy, name, mean, sd, 5, 0)
            row = dict(zip([*CELL, "mean", "sd", "folds", "undefined"], cell, strict=True))
            rows.append(row | {"image_mean": mean - 0.01 * (strategy == "supervised")})
    return pd.DataFrame(rows)


def round_trips(pairs=("tem-sem",)) -> pd.DataFrame:
    """Rows of `translation.csv`; to invert twice is exact."""
    scores = {"syndiff": (0.7, 20.0, 0.08), "invert": (1.0, np.inf, 0.0)}
    return pd.DataFrame(
        {"pair": pair, "protocol": "inductive", "split": "development", "translator": translator}
        | {"direction": direction, "image": image, "offset_px": 0.1, "seam": 1.0}
        | dict(zip(("ssim", "psnr", "l1"), scores[translator], strict=True))
        for pair, translator, direction, image in product(pairs, scores, ("L-U-L", "U-L-U"), range(3))
    )


def example(images, mask, um_per_px=(0.1, 0.25)) -> figures.Example:
    """An example in which every picture is another one."""
    one, two, *_ = images.values()
    source = {"image": one, "mask": mask, "translation": 1 - one}
    target = {"image": two, "translation": 1 - two, "truth": mask}
    target |= {name: np.roll(mask, shift, 0) for shift, name in enumerate(STRATEGIES)}
    return figures.Example(source, target, um_per_px, ("phantom-tem", "phantom-tem-other"))


def recommend(pairs) -> pd.DataFrame:
    """Label-free scores of two ways of each pair, beside their true Dice."""
    rows = [{"pair": pair, "dice": d, **dict.fromkeys(SCORES, d)} for pair in pairs for d in (0.2, 0.8)]
    return pd.DataFrame(rows)


def rungs(modalities) -> pd.DataFrame:
    """A ladder of two rungs, the upper one inverted."""
    steps = product(modalities, ((0.0, 1, 0.9), (1.0, -1, 0.4)), ("pretrained", "adaptation", "tutorship"))
    rows = [
        {"modality": m, "step": s, "sign": sign, "strategy": method, "dice": d} for m, (s, sign, d), method in steps
    ]
    return pd.DataFrame(rows)


def every_figure(tem) -> list[tuple]:
    """Each function that draws, with arguments and options as a notebook would give them."""
    images, mask = tem
    image = images["tem-0"]
    long_name = "adaptation, invert-histogram"
    pairs = {"phantom-tem-other": example(images, mask), "phantom-bf": "not run"}
    grid = [("tem to sem", {"image": image, "syndiff": 1 - image}), ("tem to bf", {"image": image})]
    dice_text = {long_name: "axon 0.765 ± 0.011, myelin 0.690 ± 0.020"}
    labels = {"translations": {long_name: 1 - image}, "dice": dice_text, "um_per_px": 0.1}
    return [
        (figures.domains, (images, {"sem-0": 1 - image}), {"um_per_px": (0.1, 0.2), "names": ("tem", "sem")}),
        (figures.domains, ({"a": image}, {"b": image}), {"um_per_px": (0.1, 0.2), "names": ("tem", "phantom-sem")}),
        (figures.translations, (grid,), {"um_per_px": [0.1, 0.1]}),
        (figures.pseudo_labels, (image, mask, {"pretrained": 2 * (mask == 1), long_name: mask}), labels),
        (figures.losses, (training(),), {}),
        (figures.polarity, (evidence([0.5, 0.6], [0.7, math.nan]),), {}),
        (figures.dice_bars, (dice(("tem-sem", "tem-pns", "tem-bf"), ("inductive", "transductive")),), {}),
        (figures.dice_bars, (dice(methods=[("supervised", "none"), ("pretrained", "none")], sd=math.nan),), {}),
        (figures.reconstruction_bars, (round_trips(("tem-sem", "tem-pns")),), {}),
        (figures.agreement_panels, (measurements(("tem-sem",)),), {}),
        (figures.agreement_panels, (measurements(("tem-sem", "tem-pns", "phantom-tem-other", "tem-bf", "tem-x")),), {}),
        (figures.g_ratio_against_diameter, (single_fibres(), ("tutorship", "syndiff")), {}),
        (figures.method_overview, (), {}),
        (figures.two_strategies, (example(images, mask),), {}),
        (figures.translation_examples, (pairs, round_trips(("phantom-tem-other",))), {}),
        (figures.pseudo_label_examples, (pairs, dice(("phantom-tem-other",))), {}),
        (figures.where_to_look, (*looked_at(tem), review_order({"tem-0": unsure(mask)}, side=16)), {"um_per_px": 0.1}),
        (figures.where_to_look, (*looked_at(tem), review_order({"tem-0": unsure(mask)}, side=16)), {"truth": mask}),
        (figures.trust_curves, trust(("tem-sem",)), {}),
        (figures.trust_curves, trust(("phantom-tem-other", "tem-sem", "tem-bf")), {}),
        (figures.ablation_bars, (ablation(("tem-sem", "tem-pns", "phantom-tem-other")),), {}),
        (figures.guidance_scatter, (recommend(("tem-sem", "tem-pns", "phantom-tem-other")),), {}),
        (figures.ladder_lines, (rungs(("tem-other", "sem", "bf")),), {}),
        (figures.ladder_lines, (rungs(("sem",)),), {}),
        (figures.ablation_bars, (ablation(("tem-bf",), sd=math.nan),), {}),
    ]


def unsure(mask: np.ndarray) -> np.ndarray:
    """An uncertainty that grows from the left edge, where it is 0, to the right, where it is 1."""
    return np.broadcast_to(np.linspace(0, 1, mask.shape[1], dtype=np.float32), mask.shape)


def looked_at(tem) -> tuple:
    """An image, a label that lies a row too low, and how unsure it is."""
    images, mask = tem
    return images["tem-0"], np.roll(mask, 1, 0), unsure(mask)


def trust(pairs: tuple[str, ...], folds: int = 2) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of reliability.csv and sparsification.csv, drawn at random; uncertainty helps."""
    tables = [], []
    for (number, pair), fold in product(enumerate(pairs), range(folds)):
        rng = np.random.default_rng((number, fold))
        doubt = rng.random(2000)
        wrong, key = rng.random(2000) < 0.5 * doubt, {"pair": pair, "protocol": "inductive", "split": "development"}
        for rows, table in zip(tables, (reliability(doubt, wrong), sparsification(doubt, wrong)), strict=True):
            rows.append(table.assign(**key, fold=fold))
    return tuple(pd.concat(rows, ignore_index=True) for rows in tables)


def ablation(pairs: tuple[str, ...], *, sd: float = 0.02) -> pd.DataFrame:
    """A table as `tables.ablation_table` makes it: myelin is lower by 0.1, and each recipe by 0.01."""
    key = {"protocol": "transductive", "split": "development"}
    return pd.DataFrame(
        {"pair": pair, **key, "recipe": recipe, "class": name, "mean": 0.9 - 0.01 * n - 0.1 * m, "sd": sd, "folds": 5}
        for pair, (n, recipe), (m, name) in product(pairs, enumerate(RECIPES), enumerate(("axon", "myelin")))
    )


def measurements(pairs: tuple[str, ...], images: int = 7) -> pd.DataFrame:
    """Measures as `agreement.paired` makes them: labels are higher by 0.1 times 1, 2, 3 ... of the expert's."""
    key = {"protocol": "transductive", "split": "development", "translator": "invert-histogram"}
    key |= {"strategy": "adaptation", "subject": "a"}
    expert = {measure: 60000 if measure == DENSITY else 0.4 for measure in MEASURES}
    return pd.DataFrame(
        {"pair": pair, **key, "image": str(n), "measure": m, "expert": x, "label": x * (1 + 0.1 * n)}
        for pair, n, (m, x) in product(pairs, range(1, images + 1), expert.items())
    )


def single_fibres() -> pd.DataFrame:
    """Fibres of the expert and of one pseudo label, whose g-ratios are 0.7 and 0.6; one in ten is cut or has none."""
    diameter = np.linspace(0.5, 6, 100)
    sides = [("expert", "none", 0.7), ("tutorship", "syndiff", 0.6)]
    columns = {"axon_diameter_um": diameter, "image_border_touching": np.arange(100) % 10 == 0}
    missing = np.arange(100) % 10 == 1
    tables = [
        pd.DataFrame({"strategy": s, "translator": t, **columns, "g_ratio": np.where(missing, np.nan, g)})
        for s, t, g in sides
    ]
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def drawn(tem):
    """Every figure by the function that draws it, laid out."""
    pairs = [(draw.__name__, draw(*arguments, **options)) for draw, arguments, options in every_figure(tem)]
    for _, figure in pairs:
        figure.draw_without_rendering()
    return pairs


def shown(figure) -> list[np.ndarray]:
    """The pictures on a figure, in order."""
    return [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()]


def bars(figure) -> list[Rectangle]:
    """The scale bars on a figure."""
    return [patch for axes in figure.axes for patch in axes.patches if isinstance(patch, Rectangle)]


def legend_words(figure) -> list[str]:
    """The entries of a figure's one legend."""
    return [text.get_text() for text in figure.legends[0].get_texts()]


# --- All of them ----------------------------------------------------------------------------------------


def test_nothing_leaves_the_page(drawn):
    """All that is drawn lies within its figure, and no figure is wider than a page."""
    for name, figure in drawn:
        ink, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert width <= PAGE, name
        assert min(ink.x0, ink.y0) >= -0.01, name
        assert ink.x1 <= width + 0.01 and ink.y1 <= height + 0.01, name


def test_words_do_not_run_into_each_other(drawn):
    """No two titles, labels or notes of a figure overlap, and none lies under the legend."""
    for name, figure in drawn:
        words = list(figure.texts)
        for axes in figure.axes:
            words += [child for child in axes.get_children() if isinstance(child, Text)]
            words += [axes.xaxis.label, axes.yaxis.label]
        boxes = [word.get_window_extent() for word in words if word.get_text() and word.get_visible()]
        boxes += [legend.get_window_extent() for legend in figure.legends]
        assert len(boxes) > 2, name
        for number, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:number]), name


def test_nothing_given_is_changed_and_nothing_global_stays(tem):
    """Drawing changes neither its data nor matplotlib's settings, and leaves no figure open."""
    settings = dict(matplotlib.rcParams)
    for draw, arguments, options in every_figure(tem):
        before = copy.deepcopy((arguments, options))
        draw(*arguments, **options)
        assert repr(before) == repr((arguments, options)), draw.__name__
        for old, new in zip(before[0], arguments, strict=True):
            if isinstance(new, pd.DataFrame):
                pd.testing.assert_frame_equal(old, new)
            if isinstance(new, np.ndarray):
                np.testing.assert_array_equal(old, new)
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == settings


def test_what_cannot_be_drawn_is_refused_in_words(tem):
    """Nothing to draw, a missing column, another shape and an absurd pixel size name themselves."""
    images, mask = tem
    image = images["tem-0"]
    with pytest.raises(UserError, match="no images of 'sem'"):
        figures.domains(images, {}, um_per_px=(0.1, 0.1), names=("tem", "sem"))
    with pytest.raises(UserError, match="critic_F, critic_G are missing"):
        figures.losses(training().drop(columns=["critic_F", "critic_G"]))
    with pytest.raises(UserError, match="no rows"):
        figures.losses(training(0))
    with pytest.raises(UserError, match=r"'tutorship' has shape \(72, 79\)"):
        figures.pseudo_labels(image, mask, {"tutorship": mask[:, 1:]})
    with pytest.raises(UserError, match="no label-free strategies"):
        figures.dice_bars(dice(methods=[("supervised", "none")]))
    with pytest.raises(UserError, match="pixel of 0 µm"):
        figures.translations([("a", {"image": image})], um_per_px=0)


def test_nothing_is_smaller_than_what_print_can_show(drawn):
    """No word of any figure is set in less than 7 pt."""
    for name, figure in drawn:
        words = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
        assert len(words) > 2, name
        assert min(word.get_fontsize() for word in words) >= 7, name


# --- Images ---------------------------------------------------------------------------------------------


def test_scale_bar_in_pixels_is_micrometres_over_pixel_size(tem):
    """A bar spans its length over µm/px pixels, says its length, and stands in each row's first panel."""
    image = tem[0]["tem-0"]
    rows = [("fine", {"image": image, "again": image}), ("coarse", {"image": image})]
    figure = figures.translations(rows, um_per_px=[0.1, 0.25], side=64)
    assert [bar.get_width() for bar in bars(figure)] == pytest.approx([1 / 0.1, 2 / 0.25])
    words = [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()]
    assert words == ["1 µm", "2 µm"]
    assert bars(figures.translations(rows)) == []


def test_domains_shows_four_crops_of_one_size(tem):
    """Four crops at most of each domain, the same square of pixels, over one panel of histograms."""
    images, _ = tem
    small = {"sem-0": np.zeros((50, 60), np.float32)}
    figure = figures.domains(images, small, um_per_px=(0.1, 0.2), names=("tem", "sem"))
    assert [picture.shape for picture in shown(figure)] == [(50, 50)] * 5
    np.testing.assert_array_equal(shown(figure)[0], images["tem-0"][11:61, 15:65])
    assert len(figure.axes) == 6
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == [
        "tem\n0.1 µm/px",
        "sem\n0.2 µm/px",
        "pixels (%)",
    ]
    median = np.median([np.median(image) for image in images.values()])
    assert figure.axes[-1].get_title(loc="left") == f"The median intensity is {median:.2f} in tem and 0.00 in sem"


def test_histograms_count_every_pixel(tem):
    """Each histogram sums to 100 %, also of the image that is not shown."""
    figure = figures.domains(tem[0], {"white": np.ones((64, 64))}, um_per_px=(0.1, 0.1), names=("tem", "sem"))
    stairs = [patch for patch in figure.axes[-1].patches if hasattr(patch, "get_data")]
    assert len(stairs) == 5 + 1 + 1 + 1  # images and mean of either domain
    assert [patch.get_data().values.sum() for patch in stairs] == pytest.approx([100] * 8)
    assert stairs[-1].get_data().values[-1] == 100


def test_translations_titles_are_not_repeated(tem):
    """A title stands once over its column, until the panels below show something else."""
    image = tem[0]["tem-0"]
    same, other = {"image": image, "syndiff": image}, {"image": image, "cycle": image, "round trip": image}
    figure = figures.translations([("a", same), ("b", same), ("c", other)])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["image", "syndiff", "", "", "", "", "", "cycle", "round trip"]
    assert [axes.axison for axes in figure.axes] == [True, True, False, True, True, False, True, True, True]
    assert [figure.axes[row].get_ylabel() for row in (0, 3, 6)] == ["a", "b", "c"]


def test_grey_is_never_stretched(tem):
    """A faint image stays faint: black is 0 and white is 1 in every panel."""
    figure = figures.translations([("faint", {"image": 0.4 + 0.1 * tem[0]["tem-0"]})])
    assert figure.axes[0].get_images()[0].get_clim() == (0, 1)


def test_pseudo_labels_rows(tem):
    """A row a strategy of five panels, the second blank where nothing was translated; Dice and a legend."""
    images, mask = tem
    image = images["tem-0"]
    wrong = np.where(mask > 0, 3 - mask, 0).astype(np.uint8)
    figure = figures.pseudo_labels(
        image,
        mask,
        {"pretrained": wrong, "adaptation": mask},
        translations={"adaptation": 1 - image},
        dice={"pretrained": "axon 0.00"},
        um_per_px=0.1,
        side=60,
    )
    assert len(figure.axes) == 10
    assert len(shown(figure)) == 9
    crop = (slice(6, 66), slice(10, 70))
    np.testing.assert_array_equal(shown(figure)[5], (1 - image)[crop])
    np.testing.assert_allclose(shown(figure)[3], error_map(mask, wrong)[crop])
    np.testing.assert_allclose(shown(figure)[6], shown(figure)[7])  # a perfect label looks like the expert's
    assert [figure.axes[row].get_ylabel() for row in (0, 5)] == ["pretrained", "adaptation"]
    assert [figure.axes[row].get_xlabel() for row in (4, 9)] == ["axon 0.00", ""]
    assert legend_words(figure) == [*CLASS_COLOURS, *ERROR_COLOURS, *CORRECT_COLOURS]
    assert [bar.get_width() for bar in bars(figure)] == [pytest.approx(10)]


# --- Training -------------------------------------------------------------------------------------------


def test_losses_draws_every_column_and_chance():
    """Each column is drawn in its panel, faint and smoothed; chance is dotted at 4 ln 2 and at logit 0."""
    figure = figures.losses(training())
    left, middle, right = figure.axes
    heights = [{float(line.get_ydata()[0]) for line in axes.lines} for axes in figure.axes]
    assert heights == [{1, 2, 3, 4}, {5, 6, 4 * math.log(2)}, {7, 8, 9, 10, 0}]
    assert [len(axes.lines) for axes in figure.axes] == [8, 5, 9]
    dotted = [line.get_ydata()[0] for axes in figure.axes for line in axes.lines if line.get_linestyle() == ":"]
    assert dotted == [4 * math.log(2), 0]
    assert {axes.get_xlabel() for axes in figure.axes} == {"step"}
    assert (left.get_ylabel(), middle.get_ylabel(), right.get_ylabel()) == ("loss", "loss", "mean logit")
    assert figure.get_suptitle() == "40 steps of training took 2.0 minutes"
    fakes = {line.get_ydata()[0] for line in right.lines if line.get_linestyle() == "--"}
    assert fakes == {9, 10}


def test_running_mean_is_a_mean():
    """The strong line averages a twentieth of the training; the faint one is the data."""
    history = training().assign(cycle=np.tile([1.0, 3.0], STEPS // 2))
    faint, strong = figures.losses(history).axes[0].lines[:2]
    np.testing.assert_array_equal(faint.get_ydata(), history["cycle"])
    np.testing.assert_allclose(strong.get_ydata()[1:], 2.0)


@pytest.mark.parametrize(
    ("keep", "invert", "verdict"), [([0.5, 0.6], [0.7, 0.9], "invert"), ([0.5, 0.6], [0.9, math.nan], "keep")]
)
def test_polarity_says_who_wins(keep, invert, verdict):
    """A line an image, the means marked and written, the better sign in the title; no axon counts as 0."""
    axes = figures.polarity(evidence(keep, invert)).axes[0]
    assert axes.get_title(loc="left") == f"Anatomy says: {verdict} the contrast"
    lines = [line.get_ydata() for line in axes.lines]
    invert = np.nan_to_num(invert)
    np.testing.assert_allclose(lines[:2], 100 * np.transpose([keep, invert]))
    np.testing.assert_allclose(lines[2], [100 * np.mean(keep), 100 * np.mean(invert)])
    assert [text.get_text().strip() for text in axes.texts] == [f"{value:.0f} %" for value in lines[2]]


# --- Scores ---------------------------------------------------------------------------------------------


def test_dice_bars_panels_and_order():
    """A column a pair, a row a protocol; strategies in the order of `tables.ORDER`, unknown ones last."""
    figure = figures.dice_bars(dice(("tem-sem", "tem-bf"), ("transductive", "inductive")))
    assert len(figure.axes) == 4
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["tem-sem", "tem-bf", "", ""]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ORDERED
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == [
        "transductive\ndevelopment",
        "inductive\ndevelopment",
    ]
    assert figure.axes[0].get_ylim() == (4.5, -0.5)  # five strategies, the first on top
    assert legend_words(figure) == ["myelin", "axon", "supervised bound"]


def test_dice_bars_values():
    """Dots stand at mean Dice in the row of their strategy, whiskers span one SD, dashes are the bound."""
    axes = figures.dice_bars(dice()).axes[0]
    for container, (name, colour) in zip(axes.containers, CLASS_COLOURS.items(), strict=True):
        dots, _, (whiskers,) = container
        column = ["axon", "myelin"].index(name)
        expected = {}
        for (strategy, translator), means in WAYS.items():
            expected[strategy if translator == "none" else f"{strategy}, {translator}"] = means[column]
        bound = expected.pop("supervised")
        found = {ORDERED[round(y)]: x for x, y in zip(dots.get_xdata(), dots.get_ydata(), strict=True)}
        assert found == expected
        assert dots.get_color() == colour
        spans = [segment[1, 0] - segment[0, 0] for segment in whiskers.get_segments()]
        np.testing.assert_allclose(spans, 0.04)
        dashed = [line for line in axes.lines if line.get_linestyle() == "--" and line.get_color() == colour]
        assert [line.get_xdata()[0] for line in dashed] == [bound - 0.01]  # its mean over images, not over folds


def test_dice_of_one_fold_has_no_whiskers():
    """Where the SD is unknown, there is neither whisker nor band, and the dots stay."""
    with_band, without = figures.dice_bars(dice()).axes[0], figures.dice_bars(dice(sd=math.nan)).axes[0]
    assert len(with_band.patches) - len(without.patches) == 2  # the bands of two classes
    whiskers = [segment for container in without.containers for segment in container[2][0].get_segments()]
    assert not any(np.size(whisker) and np.isfinite(whisker).all() for whisker in whiskers)
    assert len(without.containers[0][0].get_xdata()) == len(ORDERED)


def test_reconstruction_bars_values():
    """A row of SSIM, PSNR and L1 a pair, in the order of `tables.ORDER`, an exact round trip cut off."""
    figure = figures.reconstruction_bars(round_trips(("tem-sem", "tem-pns")))
    assert len(figure.axes) == 6
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == [
        "SSIM ↑",
        "PSNR, dB, cut at 50 ↑",
        "L1 ↓",
    ]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["invert", "syndiff"]
    assert [axes.get_ylabel().split("\n")[0] for axes in figure.axes[::3]] == ["tem-sem", "tem-pns"]
    for axes, (invert, syndiff) in zip(figure.axes, [(1, 0.7), (50, 20), (0, 0.08)] * 2, strict=True):
        widths = [[bar.get_width() for bar in container] for container in axes.containers]
        np.testing.assert_allclose(widths, [[invert, syndiff]] * 2)
    colours = [container[0].get_facecolor()[:3] for container in figure.axes[0].containers]
    np.testing.assert_allclose(colours, [to_rgb(BLUE), to_rgb(VERMILLION)])
    assert legend_words(figure) == ["L-U-L", "U-L-U"]


# --- Trust ----------------------------------------------------------------------------------------------


def test_where_to_look_shows_label_doubt_and_errors(tem):
    """Four panels with the truth, three without; the map as it is, from 0 to 1, and a bar on the image alone."""
    image, label, doubt = looked_at(tem)
    order, truth = review_order({"tem-0": doubt}, side=16), tem[1]
    figure = figures.where_to_look(image, label, doubt, order, truth=truth, um_per_px=0.1)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["image", "refined label", "uncertainty", "errors"]
    pictures = [image, overlay(image, label), doubt, error_map(truth, label)]
    for picture, expected in zip(shown(figure), pictures, strict=True):
        np.testing.assert_allclose(picture, expected)
    assert figure.axes[2].get_images()[0].get_clim() == (0, 1)
    assert [bar.get_width() for bar in bars(figure) if bar.axes is figure.axes[0]] == [pytest.approx(20)]
    assert len(figures.where_to_look(image, label, doubt, order).axes) == 3


def test_where_to_look_frames_the_first_tenth_of_the_tiles(tem):
    """Of 25 tiles the three most unsure, which lie at the right edge, on all panels but the image."""
    image, label, doubt = looked_at(tem)
    order = review_order({"tem-0": doubt}, side=16)
    assert len(order) == 25
    figure = figures.where_to_look(image, label, doubt, order)
    frames = [[(*patch.get_xy(), patch.get_width()) for patch in axes.patches] for axes in figure.axes]
    assert frames == [[], *[[(64, 0, 16), (64, 16, 16), (64, 32, 16)]] * 2]


def test_trust_curves_have_a_column_a_pair():
    """Reliability over sparsification; folds are taken together, the error is written, chance is the diagonal."""
    bins, curve = trust(("tem-sem", "tem-bf"))
    figure = figures.trust_curves(bins, curve)
    assert len(figure.axes) == 4
    assert figure.get_suptitle() == "Are refined labels as sure as they say?"
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["tem-sem, inductive", "tem-bf, inductive", "", ""]
    assert [axes.get_ylabel() for axes in figure.axes] == ["share that is right", "", "wrong pixels left", ""]
    for pair, above, below in zip(("tem-sem", "tem-bf"), figure.axes[:2], figure.axes[2:], strict=True):
        of, steps = bins[bins["pair"] == pair], curve[curve["pair"] == pair]
        sums = of.groupby("bin")[["n", "confident", "right"]].sum()
        points = np.array(above.collections[0].get_offsets())
        np.testing.assert_allclose(points, np.transpose([sums["confident"] / sums["n"], sums["right"] / sums["n"]]))
        assert [text.get_text() for text in above.texts] == [f"ECE {calibration_error(of):.3f}"]
        means = steps.groupby("removed")[["error", "oracle"]].mean()
        np.testing.assert_allclose([line.get_ydata() for line in below.lines], means.T)


def test_ablation_bars_have_a_panel_a_pair_and_a_row_a_recipe():
    """Dots at the mean Dice, the whole on top; whiskers span one SD either way."""
    figure = figures.ablation_bars(ablation(("tem-sem", "tem-bf")))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["tem-sem", "tem-bf"]
    assert figure.get_suptitle() == "What each piece of `refined` is worth"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(RECIPES)
    assert legend_words(figure) == list(CLASS_COLOURS)
    for axes, (number, (name, colour)) in product(figure.axes, enumerate(CLASS_COLOURS.items())):
        assert axes.yaxis_inverted()
        dots, _, (whiskers,) = axes.containers[number]
        means = [0.9 - 0.1 * (name == "myelin") - 0.01 * n for n in range(len(RECIPES))]
        assert dots.get_xdata().tolist() == pytest.approx(means)
        assert [round(y) for y in dots.get_ydata()] == list(range(len(RECIPES)))
        assert dots.get_color() == colour
        np.testing.assert_allclose([s[1, 0] - s[0, 0] for s in whiskers.get_segments()], 0.04)


def test_trust_that_cannot_be_drawn_is_refused_in_words(tem):
    """No tile, another shape and a missing column name themselves."""
    image, label, doubt = looked_at(tem)
    order, (bins, curve) = review_order({"tem-0": doubt}), trust(("tem-sem",))
    with pytest.raises(UserError, match="no tiles"):
        figures.where_to_look(image, label, doubt, order[:0])
    with pytest.raises(UserError, match=r"'uncertainty' has shape \(72, 79\)"):
        figures.where_to_look(image, label, doubt[:, 1:], order)
    with pytest.raises(UserError, match="the table of reliability"):
        figures.trust_curves(bins.drop(columns="right"), curve)
    with pytest.raises(UserError, match="the table of sparsification"):
        figures.trust_curves(bins, curve.drop(columns="oracle"))
    with pytest.raises(UserError, match="the table of the ablation"):
        figures.ablation_bars(ablation(("tem-sem",)).drop(columns="recipe"))


# --- The published study's figures ----------------------------------------------------------------------


def words_of(figure) -> list[str]:
    """All that is written on a figure."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_agreement_panels_show_each_image_the_bias_and_its_limits():
    """A panel a measure: points at (mean, difference), lines at 0, the bias and bias ± 1.96 SD, which stand over it."""
    table = measurements(("tem-sem",))
    panels = [axes for axes in figures.agreement_panels(table).axes if axes.collections]
    assert [axes.get_title("left").split("\n")[0] for axes in panels] == list(MEASURES.values())
    for axes, measure in zip(panels, MEASURES, strict=True):
        of = table[table["measure"] == measure]
        limits = bland_altman(of["expert"], of["label"])
        points = np.array(axes.collections[0].get_offsets())
        np.testing.assert_allclose(points[:, 1], of["label"] - of["expert"])
        np.testing.assert_allclose(points[:, 0], (of["label"] + of["expert"]) / 2)
        lines = [line.get_ydata()[0] for line in axes.lines]
        assert sorted(lines) == pytest.approx(sorted([0, limits.bias, limits.lower, limits.upper]))
    assert panels[5].get_title("left") == "myelin fraction (MVF)\n+0.160 ± 0.169"


def test_agreement_of_several_pairs_has_a_column_for_each_and_none_of_one_image_has_limits():
    """Pair and way stand over the first panel of a column; one image has a bias only."""
    figure = figures.agreement_panels(measurements(("tem-sem", "tem-bf"), images=1))
    panels = np.array(figure.axes).reshape(len(MEASURES), 2)
    assert [axes.get_title("left").split("\n")[0] for axes in panels[0]] == ["tem-sem", "tem-bf"]
    assert [len(axes.lines) for axes in panels.flat] == [2] * panels.size
    with pytest.raises(UserError, match="no rows in the table of measurements"):
        figures.agreement_panels(measurements(()).reindex(columns=measurements(("a",)).columns))


def test_g_ratio_against_diameter_shows_whole_fibres_with_a_sheath_only():
    """80 of 100 on either side, and the medians of both beside the pseudo label."""
    left, right = figures.g_ratio_against_diameter(single_fibres(), ("tutorship", "syndiff")).axes
    assert [len(axes.collections[0].get_offsets()) for axes in (left, right)] == [80, 80]
    assert [set(line.get_ydata()) for line in right.lines] == [{0.7}, {0.6}]
    assert right.get_title("left") == "tutorship, syndiff: 80 fibres, median g-ratio 0.60"


def test_method_overview_shows_the_whole_method():
    """Five parts, both generators of either kind in both directions, and both walks of four steps from noise."""
    figure = figures.method_overview()
    words = words_of(figure)
    assert [word for word in words if word in "abcde"] == list("abcde")
    for word, count in {"F\nto U": 2, "F\nto L": 2, "G\nto U": 4 + 1, "G\nto L": 4 + 1}.items():
        assert words.count(word) == count
    assert all(words.count(word) == 2 for word in ("noise", "step 3", "step 2", "step 1", "pseudo label", "2 µm"))
    assert words.count("student") == words.count("segmenter\nof L") == 1
    grey = [picture for picture in shown(figure) if picture.ndim == 2]
    walk = grey[4 + 6 + 1 :][:5]  # after both sets, both cycles and the partner
    likeness = [np.corrcoef(picture.ravel(), walk[-1].ravel())[0, 1] for picture in walk]
    assert abs(likeness[0]) < 0.05 < likeness[2] < likeness[3] < likeness[4] == pytest.approx(1)


def test_two_strategies_step_by_step(tem):
    """Four pictures a strategy and the truth; the mask of L is drawn on L and on its translation alike."""
    images, mask = tem
    given = example(images, mask)
    figure = figures.two_strategies(given, side=60)
    pictures, crop = shown(figure), (slice(6, 66), slice(10, 70))
    assert len(pictures) == 9 and {picture.shape[:2] for picture in pictures} == {(60, 60)}
    np.testing.assert_array_equal(pictures[1], given.source["translation"][crop])
    np.testing.assert_array_equal(pictures[5], given.target["translation"][crop])
    np.testing.assert_allclose(pictures[2], overlay(given.source["translation"], mask)[crop])
    np.testing.assert_allclose(pictures[0][:, 30:], overlay(given.source["image"], mask)[crop][:, 30:])
    assert np.ptp(pictures[0][:, :30], axis=2).max() == 0  # the other half is grey: no mask
    for number, name in ((3, "tutorship"), (7, "adaptation"), (8, "truth")):
        np.testing.assert_allclose(pictures[number], overlay(given.target["image"], given.target[name])[crop])
    assert [bar.get_width() for bar in bars(figure)] == pytest.approx([1 / 0.1, 2 / 0.25])
    told = [word for word in words_of(figure) if word.startswith("Dice")]
    for sentence, name in zip(told, ("tutorship", "adaptation"), strict=True):
        true, predicted = mask == 2, given.target[name] == 2
        value = 2 * (true & predicted).sum() / (true.sum() + predicted.sum())
        assert sentence.endswith(f"axon {value:.2f}")


def test_translation_examples_rows_and_bars(tem):
    """A row a pair: both images with their translations, a bar a translator and direction; a note where none is."""
    given = example(*tem)
    pairs = {"tem-macaque": NO_DATA, "tem-sem": given, "tem-pns": given, "tem-bf": NOT_RUN}
    figure = figures.translation_examples(pairs, round_trips(("tem-sem", "tem-pns")), side=60)
    pictures, crop = shown(figure), (slice(6, 66), slice(10, 70))
    assert len(pictures) == 2 * 4
    row = [domain[name] for domain in (given.source, given.target) for name in ("image", "translation")]
    for picture, image in zip(pictures, row * 2, strict=True):
        np.testing.assert_array_equal(picture, image[crop])
    sizes = [bar.get_width() for axes in figure.axes if axes.get_images() for bar in axes.patches]
    assert sizes == pytest.approx([1 / 0.1, 2 / 0.25] * 2)
    assert {"tem-macaque: data not available", "tem-bf: not run", "tem-sem", "tem-pns"} <= set(words_of(figure))
    panels = [axes for axes in figure.axes if axes.containers]
    assert len(panels) == 2 * 3
    for axes, (invert, syndiff) in zip(panels, [(1, 0.7), (50, 20), (0, 0.08)] * 2, strict=True):
        np.testing.assert_allclose([[b.get_width() for b in c] for c in axes.containers], [[invert, syndiff]] * 2)
    assert len({axes.get_xlim() for axes in panels}) == 3  # the same for every pair


def test_pseudo_label_examples_rows_and_bars(tem):
    """A row a pair: image, translation, three labels and the truth; Dice of the chosen translator, and the bound."""
    given = example(*tem)
    pairs = {"tem-sem": given, "tem-bf": NOT_RUN}
    figure = figures.pseudo_label_examples(pairs, dice(("tem-sem",)), side=60)
    pictures, crop = shown(figure), (slice(6, 66), slice(10, 70))
    assert len(pictures) == 6
    np.testing.assert_array_equal(pictures[1], given.target["translation"][crop])
    for picture, name in zip(pictures[2:], (*STRATEGIES, "truth"), strict=True):
        np.testing.assert_allclose(picture, overlay(given.target["image"], given.target[name])[crop])
    (panel,) = (axes for axes in figure.axes if axes.containers)
    lengths = [[bar.get_width() for bar in c] for c in panel.containers if hasattr(c, "patches")]
    assert lengths == [[0.01, 0.69, 0.69], [0.21, 0.76, 0.77]]  # myelin, axon; pre-trained, adaptation, tutorship
    assert [line.get_xdata()[0] for line in panel.lines if line.get_linestyle() == "--"] == [0.79, 0.86]
    assert {"tem-bf: not run", "Dice, 5 folds", "Dice, mean ± SD over folds:"} <= set(words_of(figure))


def test_an_example_that_cannot_be_drawn_is_refused_in_words(tem):
    """What lacks an image, has another shape or was not made yet says so, and a mixed table is not averaged."""
    images, mask = tem
    given = example(images, mask)
    with pytest.raises(UserError, match="source of an example has no 'image'"):
        figures.Example({}, given.target, (0.1, 0.1))
    with pytest.raises(UserError, match=r"'mask' has shape \(72, 79\)"):
        figures.Example({**given.source, "mask": mask[:, 1:]}, given.target, (0.1, 0.1))
    bare = figures.Example(given.source, {"image": given.target["image"]}, (0.1, 0.1))
    with pytest.raises(UserError, match="target of an example lacks translation, tutorship, adaptation, truth"):
        figures.two_strategies(bare)
    with pytest.raises(UserError, match="no finished pairs"):
        figures.translation_examples({"tem-sem": NOT_RUN}, round_trips())
    mixed = dice(("tem-sem",), ("inductive", "transductive"))
    with pytest.raises(UserError, match=r"more than one protocol \(inductive, transductive\)"):
        figures.pseudo_label_examples({"tem-sem": given}, mixed)


def test_guidance_has_a_panel_a_score():
    """A point a run and way in each, coloured by pair; the panels that are left over are empty."""
    figure = figures.guidance_scatter(recommend(("tem-sem", "tem-bf")))
    filled = [axes for axes in figure.axes if axes.collections]
    assert [axes.get_xlabel() for axes in filled] == list(SCORES)
    assert all(len(points.get_offsets()) == 2 for axes in filled for points in axes.collections)
    assert legend_words(figure) == ["tem-bf", "tem-sem"]


def test_a_ladder_has_a_panel_a_modality():
    """A line a strategy; the marks of rungs whose contrast was taken for inverted are hollow."""
    figure = figures.ladder_lines(rungs(("sem", "bf")))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["TEM to sem", "TEM to bf"]
    assert all(len(axes.lines) == 3 for axes in figure.axes)
    faces = figure.axes[0].collections[0].get_facecolors()
    assert to_rgb(faces[0]) != to_rgb("white") == to_rgb(faces[1])
