"""Plots of the study: the panels, values and words that a reader needs, from data that stay unchanged."""

import copy
import math
from itertools import product

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from matplotlib_scalebar.scalebar import ScaleBar

from histobridge.display.drawing import CLASS_COLOURS, CORRECT_COLOURS, ERROR_COLOURS, PAGE, error_map, overlay
from histobridge.errors import UserError
from histobridge.metrics import calibration_error, reliability, review_order, sparsification
from histobridge.phantom import phantom
from histobridge.strategies.polarity import INVERT, KEEP
from histobridge.strategies.recommend import SCORES
from histobridge_study import plotting
from histobridge_study.analysis.bland_altman import DENSITY, MEASURES, bland_altman
from histobridge_study.analysis.tables import CELL_KEYS
from histobridge_study.plotting.examples import NO_DATA, NOT_RUN, STRATEGIES

IMAGES = {f"tem-{seed}": phantom("tem", seed, (72, 80))[0] for seed in range(2)}
IMAGE, MASK = phantom("tem", 0, (72, 80))
SHIFTED = np.roll(MASK, 1, 0)  # a label with errors
UNCERTAINTY = np.broadcast_to(np.linspace(0, 1, 80, dtype=np.float32), MASK.shape)
CROP = (slice(6, 66), slice(10, 70))  # the central 60 px
DICE = {  # (axon, myelin), not in the order of `tables.DISPLAY_ORDER`
    ("tutorship", "syndiff"): (0.77, 0.69),
    ("reference", "none"): (0.87, 0.80),
    ("adaptation", "a-new-one"): (0.50, 0.40),
    ("adaptation", "syndiff"): (0.76, 0.69),
    ("adaptation", "invert"): (0.72, 0.67),
    ("pretrained", "none"): (0.21, 0.01),
}
RECIPES = ("refined", "without SynDiff", "without anatomy")
ORDERED = ["pretrained (tutorship none)", "adaptation with invert", "adaptation with compact SynDiff"]
ORDERED += ["adaptation with a-new-one", "tutorship with compact SynDiff", "reference"]


# --- Tables as the study makes them ---------------------------------------------------------------------


def training(steps: int = 40) -> pd.DataFrame:
    """A history of SynDiff in which every column is its own constant."""
    parts = ("adversarial", "critic", "logit_real", "logit_fake")
    names = ["cycle", "l1", *(f"{part}_{kind}" for part in parts for kind in "FG")]
    constants = {name: np.full(steps, 1.0 + number) for number, name in enumerate(names)}
    return pd.DataFrame({"step": range(steps), "seconds": 3.0 * np.arange(1, steps + 1), **constants})


def evidence(keep: list[float], invert: list[float]) -> pd.DataFrame:
    """The evidence on polarity of some images."""
    rows = pd.DataFrame({"sign": sign, "enclosure": values} for sign, values in ((KEEP, keep), (INVERT, invert)))
    rows = rows.assign(image=[range(len(keep))] * 2, confidence=0.8, axon=0.3, myelin=0.2)
    return rows.explode(["image", "enclosure"], ignore_index=True).astype({"enclosure": float})


SUBJECTS = ("s1", "s2", "s3", "s4", "s5")
SPREAD = (-0.02, -0.01, 0, 0.01, 0.02)  # of the subjects about the mean


def dice(pairs=("tem-sem",), protocols=("transductive",), *, methods=DICE, subjects=SUBJECTS) -> pd.DataFrame:
    """Rows of `dice.csv`: one image of each subject, in one fold."""
    rows = []
    for pair, protocol, (strategy, translator) in product(pairs, protocols, methods):
        for name, mean in zip(("axon", "myelin"), DICE[strategy, translator], strict=True):
            cell = dict(zip(CELL_KEYS, (pair, protocol, "development", translator, strategy, name), strict=True))
            of_subject = zip(subjects, SPREAD, strict=False)
            rows += [cell | {"subject": s, "image": s, "fold": 0, "dice": mean + off} for s, off in of_subject]
    return pd.DataFrame(rows)


def round_trips(pairs=("tem-sem",)) -> pd.DataFrame:
    """Rows of `translation.csv`; a double inversion is exact."""
    scores = {"syndiff": (0.7, 20.0, 0.08), "invert": (1.0, np.inf, 0.0)}
    return pd.DataFrame(
        {"pair": pair, "protocol": "inductive", "split": "development", "translator": translator}
        | {"direction": direction, "image": image}
        | dict(zip(("ssim", "psnr", "l1"), scores[translator], strict=True))
        for pair, translator, direction, image in product(pairs, scores, ("L->U", "U->L"), range(3))
    )


def calibration(pairs: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of `reliability.csv` and `sparsification.csv` of two folds, with an informative uncertainty."""
    tables = [], []
    for (number, pair), fold in product(enumerate(pairs), range(2)):
        rng = np.random.default_rng((number, fold))
        doubt = rng.random(2000)
        wrong, key = rng.random(2000) < 0.5 * doubt, {"pair": pair, "protocol": "inductive", "split": "development"}
        for rows, table in zip(tables, (reliability(doubt, wrong), sparsification(doubt, wrong)), strict=True):
            rows.append(table.assign(**key, fold=fold))
    return tuple(pd.concat(rows, ignore_index=True) for rows in tables)


def ablation(pairs: tuple[str, ...]) -> pd.DataFrame:
    """Rows of `ablation.csv`: in two folds each recipe loses 0.01 more than the one before, myelin 0.1 more."""
    key = {"protocol": "transductive", "split": "development", "strategy": "refined"}
    return pd.DataFrame(
        {"pair": pair, **key, "recipe": recipe, "class": name, "fold": fold, "subject": subject, "image": subject}
        | {"dice": 0.9 + off - (0.01 * n + 0.1 * m) * (n > 0)}
        for pair, (n, recipe), (m, name) in product(pairs, enumerate(RECIPES), enumerate(("axon", "myelin")))
        for fold, (subject, off) in product(range(2), zip(SUBJECTS, SPREAD, strict=True))
    )


def measurements(pairs: tuple[str, ...], subjects: int = 7) -> pd.DataFrame:
    """Paired measures: the label exceeds the expert by 10 %, 20 %, 30 % and so on."""
    key = {"protocol": "transductive", "split": "development", "translator": "invert", "strategy": "adaptation"}
    expert = {measure: 60000 if measure == DENSITY else 0.4 for measure in MEASURES}
    return pd.DataFrame(
        {"pair": pair, **key, "subject": str(n), "measure": m, "expert": x, "label": x * (1 + 0.1 * n)}
        for pair, n, (m, x) in product(pairs, range(1, subjects + 1), expert.items())
    )


def single_fibres() -> pd.DataFrame:
    """100 fibres of expert and pseudo label, with g-ratios 0.7 and 0.6; ten are cut and ten have no sheath."""
    numbers = np.arange(100)
    columns = {"axon_diameter_um": np.linspace(0.5, 6, 100), "image_border_touching": numbers % 10 == 0}
    return pd.concat(
        pd.DataFrame({"strategy": s, "translator": t, **columns, "g_ratio": np.where(numbers % 10 == 1, np.nan, g)})
        for s, t, g in (("expert", "none", 0.7), ("tutorship", "syndiff", 0.6))
    )


def scored(pairs: tuple[str, ...]) -> pd.DataFrame:
    """Label-free scores of two methods of each pair, equal to their true Dice."""
    key = {"protocol": "transductive", "split": "development", "translator": "syndiff"}
    methods = (("adaptation", 0.2), ("tutorship", 0.8))
    return pd.DataFrame(
        {"pair": pair, **key, "strategy": s, "dice": d, **dict.fromkeys(SCORES, d)}
        for pair in pairs
        for s, d in methods
    )


def shifts(modalities: tuple[str, ...]) -> pd.DataFrame:
    """A simulated shift in two steps; the contrast is inverted in the second."""
    return pd.DataFrame(
        {"modality": modality, "step": step, "sign": sign, "strategy": strategy, "dice": d}
        for modality, (step, sign, d), strategy in product(modalities, ((0.0, 1, 0.9), (1.0, -1, 0.4)), STRATEGIES)
    )


def example() -> plotting.Example:
    """An example in which every picture is different."""
    one, two = IMAGES.values()
    source = {"image": one, "mask": MASK, "translation": 1 - one}
    target = {"image": two, "translation": 1 - two, "truth": MASK}
    target |= {name: np.roll(MASK, shift, 0) for shift, name in enumerate(STRATEGIES)}
    return plotting.Example(source, target, (0.1, 0.25), ("phantom-tem", "phantom-tem-other"))


def tiles(side: int = 16) -> pd.DataFrame:
    """Tiles of the image in the order of review."""
    return review_order({"tem-0": UNCERTAINTY}, side=side)


PAIRS = {"tem-sem": example(), "tem-bf": NOT_RUN, "tem-macaque": NO_DATA}
PLOTS = [
    (plotting.domains, (IMAGES, {"sem-0": 1 - IMAGE}), {"um_per_px": (0.1, 0.2), "names": ("tem", "sem")}),
    (plotting.translations, ([("a", {"image": IMAGE, "syndiff": 1 - IMAGE})],), {"um_per_px": 0.1}),
    (plotting.pseudo_labels, (IMAGE, MASK, {"pretrained": SHIFTED}), {"dice": {"pretrained": "axon 0.77"}}),
    (plotting.losses, (training(),), {}),
    (plotting.polarity, (evidence([0.5, 0.6], [0.7, math.nan]),), {}),
    (plotting.dice_dots, (dice(("tem-sem", "tem-bf"), ("inductive", "transductive")),), {}),
    (plotting.dice_dots, (dice(subjects=SUBJECTS[:2]),), {"profile": "gpu"}),
    (plotting.ablation_dots, (ablation(("tem-sem",)),), {}),
    (plotting.simulated_shift_lines, (shifts(("sem",)),), {}),
    (plotting.reconstruction_bars, (round_trips(),), {}),
    (plotting.bland_altman_panels, (measurements(("tem-sem",)),), {}),
    (plotting.bland_altman_panels, (measurements(("tem-sem", "tem-bf")),), {}),
    (plotting.g_ratio_against_diameter, (single_fibres(), ("tutorship", "syndiff")), {}),
    (plotting.uncertainty_panels, (IMAGE, SHIFTED, UNCERTAINTY, tiles()), {"truth": MASK, "um_per_px": 0.1}),
    (plotting.calibration_curves, calibration(("tem-sem",)), {}),
    (plotting.label_free_score_scatter, (scored(("tem-sem",)),), {}),
    (plotting.two_strategies, (example(),), {}),
    (plotting.translation_examples, (PAIRS, round_trips()), {}),
    (plotting.pseudo_label_examples, (PAIRS, dice()), {}),
]


def pictures(figure) -> list[np.ndarray]:
    """The pictures on a figure, in order."""
    return [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()]


def bar_um_per_px(figure) -> list[float]:
    """The pixel sizes of the scale bars on a figure, in order."""
    return [artist.dx for axes in figure.axes for artist in axes.artists if isinstance(artist, ScaleBar)]


def titles(figure) -> list[str]:
    """The titles of all axes."""
    return [axes.get_title(loc="left") for axes in figure.axes]


def legend_words(figure) -> list[str]:
    """The entries of the legend of a figure."""
    return [text.get_text() for text in figure.legends[0].get_texts()]


# --- All of them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("draw", "arguments", "options"), PLOTS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_plot_changes_nothing_and_is_legible_in_print(draw, arguments, options):
    """Data and settings stay as they were, no figure stays open, and no letter on the page is below 7 pt."""
    before, settings = copy.deepcopy(arguments), dict(matplotlib.rcParams)
    figure = draw(*arguments, **options)
    figure.draw_without_rendering()
    assert repr(before) == repr(arguments) and settings == dict(matplotlib.rcParams) and plt.get_fignums() == []
    words = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert figure.get_figwidth() <= PAGE and min(word.get_fontsize() for word in words) >= 7


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plotting.losses(training().drop(columns=["critic_F", "critic_G"])), "critic_F, critic_G are missing"),
        (lambda: plotting.losses(training(0)), "no rows"),
        (lambda: plotting.translations([("a", {"image": IMAGE})], um_per_px=0), "pixel of 0 µm"),
        (lambda: plotting.pseudo_labels(IMAGE, MASK, {"a": MASK[:, 1:]}), r"'a' has shape \(72, 79\)"),
        (lambda: plotting.dice_dots(dice(methods=[("reference", "none")])), "no label-free strategies"),
        (lambda: plotting.uncertainty_panels(IMAGE, MASK, UNCERTAINTY, tiles()[:0]), "no tiles"),
        (lambda: plotting.uncertainty_panels(IMAGE, MASK, UNCERTAINTY[:, 1:], tiles()), "'uncertainty' has shape"),
        (lambda: plotting.ablation_dots(ablation(("a",)).drop(columns="recipe")), "the rows of the ablation"),
        (lambda: plotting.bland_altman_panels(measurements(("a",))[:0]), "no rows in the table of measurements"),
        (lambda: plotting.Example({}, example().target, (0.1, 0.1)), "source of an example has no 'image'"),
        (lambda: plotting.Example({"image": IMAGE, "mask": MASK[1:]}, {}, (0.1, 0.1)), r"'mask' has shape \(71, 80\)"),
        (lambda: plotting.translation_examples({"tem-sem": NOT_RUN}, round_trips()), "no finished pairs"),
        (
            lambda: plotting.two_strategies(plotting.Example(example().source, {"image": IMAGE}, (0.1, 0.1))),
            "target of an example lacks translation, tutorship, adaptation, truth",
        ),
        (
            lambda: plotting.pseudo_label_examples(PAIRS, dice(protocols=("inductive", "transductive"))),
            r"more than one protocol \(inductive, transductive\)",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(draw, message):
    """Nothing to draw, a missing column, another shape and a mixed table name themselves."""
    with pytest.raises(UserError, match=message):
        draw()


# --- Images ---------------------------------------------------------------------------------------------


def test_translations_repeat_no_title_and_have_a_scale_bar_in_each_row():
    """A title is written again only where the panel above has another one."""
    rows = [
        ("a", {"image": IMAGE, "x": IMAGE}),
        ("b", {"image": IMAGE, "x": IMAGE}),
        ("c", {"image": IMAGE, "y": IMAGE}),
    ]
    figure = plotting.translations(rows, um_per_px=[0.1, 0.25, 0.5], side=64)
    assert titles(figure) == ["image", "x", "", "", "", "y"]
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["a", "b", "c"]
    assert bar_um_per_px(figure) == [0.1, 0.25, 0.5] and not bar_um_per_px(plotting.translations(rows))


def test_pseudo_labels_have_a_row_a_strategy():
    """A row shows image, translation, label, expert mask and errors; without a translation its panel is blank."""
    masks, seen = {"pretrained": SHIFTED, "adaptation": MASK}, {"adaptation": 1 - IMAGE}
    text = {"pretrained": "axon 0.77"}
    figure = plotting.pseudo_labels(IMAGE, MASK, masks, translations=seen, dice=text, um_per_px=0.1, side=60)
    first = [IMAGE, overlay(IMAGE, SHIFTED), overlay(IMAGE, MASK), error_map(MASK, SHIFTED)]
    second = [IMAGE, 1 - IMAGE, overlay(IMAGE, MASK), overlay(IMAGE, MASK), error_map(MASK, MASK)]
    for shown, expected in zip(pictures(figure), first + second, strict=True):
        np.testing.assert_allclose(shown, expected[CROP])
    assert [figure.axes[row].get_ylabel() for row in (0, 5)] == ["pretrained", "adaptation"]
    assert figure.axes[4].get_xlabel() == "axon 0.77"
    assert legend_words(figure) == [*CLASS_COLOURS, *ERROR_COLOURS, *CORRECT_COLOURS]


# --- Training -------------------------------------------------------------------------------------------


def test_losses_draw_every_column_and_chance():
    """Generators, discriminators and logits have a panel each; chance is at 4 ln 2 and at logit 0."""
    figure = plotting.losses(training())
    heights = [{float(line.get_ydata()[0]) for line in axes.lines} for axes in figure.axes]
    assert heights == [{1, 2, 3, 4}, {5, 6, 4 * math.log(2)}, {7, 8, 9, 10, 0}]
    assert figure.get_suptitle() == "40 steps of training took 2.0 minutes"


@pytest.mark.parametrize(
    ("keep", "invert", "decision"), [([0.5, 0.6], [0.7, 0.9], "invert"), ([0.5, 0.6], [0.9, math.nan], "keep")]
)
def test_polarity_names_the_decision(keep, invert, decision):
    """One line an image and one for the means, which are written; an image without axons counts as 0."""
    (axes,) = plotting.polarity(evidence(keep, invert)).axes
    assert axes.get_title(loc="left") == f"Evidence from anatomy: {decision} the contrast"
    lines, percentages = [line.get_ydata() for line in axes.lines], 100 * np.nan_to_num([keep, invert])
    np.testing.assert_allclose(lines, [*percentages.T, percentages.mean(axis=1)])
    assert [text.get_text().strip() for text in axes.texts] == [f"{value:.0f} %" for value in lines[-1]]


# --- Scores ---------------------------------------------------------------------------------------------


def marks(axes) -> list[np.ndarray]:
    """The places of the dots of subjects and of the diamonds of means, class by class."""
    return [collection.get_offsets() for collection in axes.collections if isinstance(collection, PathCollection)]


def test_dice_has_a_column_a_pair_and_a_row_a_protocol():
    """Methods stand in the order of the tables, unknown ones last, and references apart, after a gap."""
    figure = plotting.dice_dots(dice(("tem-sem", "tem-bf"), ("transductive", "inductive")), profile="cpu")
    assert titles(figure) == ["tem-sem", "tem-bf", "", ""]
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["transductive\ndevelopment", "inductive\ndevelopment"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ORDERED
    assert figure.axes[0].get_yticks().tolist() == [0, 1, 2, 3, 4, 6]
    assert legend_words(figure)[:3] == ["myelin", "axon", "a subject"]


def test_a_control_of_negatives_shares_a_row():
    """A pair of inverted contrast has the negative where the others have the control as it is."""
    kept = dice(("tem-bf",), methods=[("adaptation", "invert")]).assign(strategy="refined", translator="histogram")
    inverted = kept.assign(pair="tem-sem", translator="invert-histogram")
    rows = pd.concat([kept, kept.assign(strategy="pretrained-anatomy", translator="none")])
    rows = pd.concat([rows, inverted, inverted.assign(strategy="pretrained-anatomy", translator="invert")])
    figure = plotting.dice_dots(rows, profile="cpu")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["pretrained-anatomy", "refined without SynDiff"]
    assert [sorted(marks(axes)[1][:, 1].round()) for axes in figure.axes] == [[0, 1], [0, 1]]


@pytest.mark.parametrize("few", [False, True])
def test_every_subject_is_a_dot_and_the_mean_a_diamond(few):
    """Whiskers are the interval over subjects, and absent for two of them; the diamonds of references are open."""
    rows = dice(subjects=SUBJECTS[: 2 if few else 5])
    (axes,) = plotting.dice_dots(rows, profile="cpu").axes
    for number, name in enumerate(CLASS_COLOURS):
        dots, diamonds = marks(axes)[2 * number : 2 * number + 2]
        of_class = rows[rows["class"] == name]
        assert sorted(dots[:, 0]) == pytest.approx(sorted(of_class["dice"]))
        means = of_class.groupby(["strategy", "translator"])["dice"].mean()
        assert sorted(diamonds[:, 0]) == pytest.approx(sorted(means))
        _, _, (whiskers,) = axes.containers[number]
        spans = [
            np.ptp(segment[:, 0]) for segment in whiskers.get_segments() if segment.size and np.isfinite(segment).all()
        ]
        assert spans == ([] if few else pytest.approx([0.024] * len(DICE), abs=0.003))
    faces = [c.get_facecolors() for c in axes.collections if isinstance(c, PathCollection)][1]
    assert [tuple(face[:3]) == to_rgb("white") for face in faces].count(True) == 1


def test_ablation_shows_the_difference_of_each_fold_and_subject():
    """A panel a pair, a row a recipe; paired differences have no spread where all subjects lose the same."""
    figure = plotting.ablation_dots(ablation(("tem-sem", "tem-bf")))
    assert titles(figure) == ["tem-sem", "tem-bf"]
    assert legend_words(figure)[:3] == [*CLASS_COLOURS, "a fold and subject"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(RECIPES[1:])
    for axes, (number, name) in product(figure.axes, enumerate(CLASS_COLOURS)):
        dots, diamonds = marks(axes)[2 * number : 2 * number + 2]
        lost = [-0.01 * n - 0.1 * (name == "myelin") for n in (1, 2)]
        assert diamonds[:, 0].tolist() == pytest.approx(lost)
        assert sorted(dots[:, 0]) == pytest.approx(sorted(np.repeat(lost, 10)))


def test_simulated_shift_has_a_panel_a_modality():
    """One line a strategy; markers are hollow where the contrast was inverted."""
    figure = plotting.simulated_shift_lines(shifts(("sem", "bf")))
    assert titles(figure) == ["TEM to sem", "TEM to bf"] and legend_words(figure) == [*STRATEGIES, "contrast inverted"]
    assert all([list(line.get_ydata()) for line in axes.lines] == [[0.9, 0.4]] * 3 for axes in figure.axes)
    faces = figure.axes[0].collections[0].get_facecolors()
    assert to_rgb(faces[0]) != to_rgb("white") == to_rgb(faces[1])


def test_reconstruction_has_a_bar_a_translator_and_direction():
    """SSIM, PSNR and L1 of each pair; the infinite PSNR of an exact round trip is cut at 50 dB."""
    figure = plotting.reconstruction_bars(round_trips(("tem-sem", "tem-pns")))
    assert titles(figure)[:3] == ["SSIM ↑", "PSNR ↑ (dB, cut at 50)", "L1 ↓"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["invert", "syndiff"]
    for axes, expected in zip(figure.axes, [(1, 0.7), (50, 20), (0, 0.08)] * 2, strict=True):
        widths = [[bar.get_width() for bar in container] for container in axes.containers]
        np.testing.assert_allclose(widths, [expected] * 2)
    assert legend_words(figure) == ["L to U", "U to L"]


# --- Calibration and measurements -----------------------------------------------------------------------


def test_uncertainty_panels_frame_the_first_tenth_of_the_tiles():
    """The frames are on all panels except the image, and the errors are shown only if the truth is given."""
    figure = plotting.uncertainty_panels(IMAGE, SHIFTED, UNCERTAINTY, tiles(), truth=MASK, um_per_px=0.1)
    for shown, expected in zip(
        pictures(figure), (IMAGE, overlay(IMAGE, SHIFTED), UNCERTAINTY, error_map(MASK, SHIFTED)), strict=True
    ):
        np.testing.assert_allclose(shown, expected)
    assert len(tiles()) == 25 and bar_um_per_px(figure) == [0.1]
    frames = [[(*patch.get_xy(), patch.get_width()) for patch in axes.patches] for axes in figure.axes]
    assert frames == [[], *[[(64, 0, 16), (64, 16, 16), (64, 32, 16)]] * 3]
    assert len(plotting.uncertainty_panels(IMAGE, SHIFTED, UNCERTAINTY, tiles()).axes) == 3


def test_calibration_has_a_column_a_pair():
    """Reliability is above sparsification; folds are taken together and the calibration error is written."""
    bins, curve = calibration(("tem-sem", "tem-bf"))
    figure = plotting.calibration_curves(bins, curve)
    assert titles(figure) == ["tem-sem, inductive", "tem-bf, inductive", "", ""]
    for pair, above, below in zip(("tem-sem", "tem-bf"), figure.axes[:2], figure.axes[2:], strict=True):
        of = bins[bins["pair"] == pair]
        sums = of.groupby("bin")[["n", "confident", "right"]].sum()
        points = above.collections[0].get_offsets()
        np.testing.assert_allclose(points, np.transpose([sums["confident"] / sums["n"], sums["right"] / sums["n"]]))
        assert [text.get_text() for text in above.texts] == [f"ECE {calibration_error(of):.3f}"]
        means = curve[curve["pair"] == pair].groupby("removed")[["error", "oracle"]].mean()
        np.testing.assert_allclose([line.get_ydata() for line in below.lines], means.T)


def test_label_free_scores_have_a_panel_each_and_every_pair():
    """Each pair has its points in each panel, also where there are more pairs than colours."""
    pairs = tuple("abcdefgh")
    panels = [axes for axes in plotting.label_free_score_scatter(scored(pairs)).axes if axes.collections]
    assert [axes.get_xlabel() for axes in panels] == [name.replace("_", " ") for name in SCORES]
    assert all(len(axes.collections) == len(pairs) for axes in panels)
    assert {axes.get_title("left") for axes in panels} == {"1.00 / 0.00 / 0.00"}  # equal Dice above 0.5: no order


def test_bland_altman_shows_each_subject_the_bias_and_its_limits():
    """Points are (mean, difference); lines are 0, the bias and bias ± 1.96 SD, which the title repeats."""
    table = measurements(("tem-sem",))
    panels = [axes for axes in plotting.bland_altman_panels(table).axes if axes.collections]
    assert [axes.get_title("left").split("\n")[0] for axes in panels] == list(MEASURES.values())
    for axes, measure in zip(panels, MEASURES, strict=True):
        of = table[table["measure"] == measure]
        points = [(of["label"] + of["expert"]) / 2, of["label"] - of["expert"]]
        np.testing.assert_allclose(axes.collections[0].get_offsets(), np.transpose(points))
        limits = bland_altman(of["expert"], of["label"])
        lines = sorted(line.get_ydata()[0] for line in axes.lines)
        assert lines == pytest.approx(sorted([0, limits.bias, limits.lower, limits.upper]))
    assert panels[5].get_title("left") == "myelin fraction (MVF)\n+0.160 ± 0.169"


def test_g_ratio_counts_complete_fibres_with_a_sheath():
    """80 of 100 fibres on either side, and the medians of both beside the pseudo label."""
    left, right = plotting.g_ratio_against_diameter(single_fibres(), ("tutorship", "syndiff")).axes
    assert [len(axes.collections[0].get_offsets()) for axes in (left, right)] == [80, 80]
    assert [set(line.get_ydata()) for line in right.lines] == [{0.7}, {0.6}]
    assert right.get_title("left") == "tutorship, syndiff: 80 fibres, median g-ratio 0.60"


# --- The published study's figures ----------------------------------------------------------------------


def test_two_strategies_show_their_steps_and_the_expert_mask():
    """Five pictures a strategy; the mask of L is drawn on L and on its translation; Dice is of the whole image."""
    given = example()
    figure = plotting.two_strategies(given, side=60)
    source, target = given.source, given.target
    expected = [
        source["translation"],
        overlay(source["translation"], MASK),
        overlay(target["image"], target["tutorship"]),
    ]
    expected += [overlay(target["image"], MASK), target["image"], target["translation"]]
    for shown, picture in zip(pictures(figure)[1:7], expected, strict=True):
        np.testing.assert_allclose(shown, picture[CROP])
    assert bar_um_per_px(figure) == [0.1, 0.25]
    for axes, strategy in zip((figure.axes[3], figure.axes[8]), ("tutorship", "adaptation"), strict=True):
        true, predicted = MASK == 2, target[strategy] == 2
        assert axes.get_xlabel().endswith(f"axon {2 * (true & predicted).sum() / (true.sum() + predicted.sum()):.2f}")


def test_translation_examples_have_a_row_a_pair():
    """Both images with their translations, and bars of the round trip; pairs without an example are named."""
    given, pairs = example(), {"tem-pns": example(), **PAIRS}
    figure = plotting.translation_examples(pairs, round_trips(("tem-sem", "tem-pns")), side=60)
    row = [images[name] for images in (given.source, given.target) for name in ("image", "translation")]
    for shown, image in zip(pictures(figure), row * 2, strict=True):
        np.testing.assert_array_equal(shown, image[CROP])
    assert bar_um_per_px(figure) == [0.1, 0.25] * 2
    assert figure.get_suptitle() == "Without an example: tem-bf (not run), tem-macaque (data not available)"
    bars = [[bar.get_width() for bar in axes.containers[0]] for axes in figure.axes if axes.containers]
    np.testing.assert_allclose(bars, [(1, 0.7), (50, 20), (0, 0.08)] * 2)


def test_pseudo_label_examples_have_a_row_a_pair():
    """Image, translation, three labels and the expert mask; Dice of the chosen translator."""
    target = example().target
    figure = plotting.pseudo_label_examples(PAIRS, dice(), side=60)
    labels = [overlay(target["image"], target[name]) for name in (*STRATEGIES, "truth")]
    for shown, picture in zip(pictures(figure), (target["image"], target["translation"], *labels), strict=True):
        np.testing.assert_allclose(shown, picture[CROP])
    _, myelin, _, axon = (offsets[:, 0].tolist() for offsets in marks(figure.axes[-1]))
    assert sorted(myelin) == pytest.approx([0.01, 0.69, 0.69]) and sorted(axon) == pytest.approx([0.21, 0.76, 0.77])
    assert titles(figure)[-1] == "Dice"
