"""What notebooks 02, 03 and 05 do, for a pair of which U has no mask: judge, translator, guard, labeller."""

from __future__ import annotations

import pandas as pd

from histobridge.cache import kept
from histobridge.data.datasets import evenly_chosen
from histobridge.io.files import write_table
from histobridge.io.progress import Report
from histobridge.strategies import polarity
from histobridge.strategies.refined import Labeller, refined
from histobridge.strategies.tile_selection import select_tiles
from histobridge.translators.base import Translator
from histobridge_label import scale
from histobridge_label.model import Model
from histobridge_study.analysis import label_free_scores as label_free
from histobridge_study.analysis import recommend as recommend
from histobridge_study.runs import Run
from histobridge_study.stages import label as strategies
from histobridge_study.stages import translate as translation
from histobridge_study.stages.refine import METHOD, experience

CHECKED = 8  # images of U, evenly chosen, on which the guard looks at translations


def train(run: Run, *, guide: bool, say: Report) -> Model:
    """Train (resuming) all that labels images like those of U, and return it.

    Parameters
    ----------
    run : Run
        Of a workspace.
    guide : bool
        Whether every way is scored without masks, and the best is taken; else it is `refined`.
    say : callable
        Told what begins.

    Raises
    ------
    PolarityError
        If the translator swaps classes.
    """
    translators = trained_translators(run, say)
    say("two students, and what they teach themselves")
    labeller, advice = refined(run, translators), None
    method = METHOD
    if guide:
        say("scoring every way without masks")
        method, advice = advised(run, translators, labeller)
    axon_px = scale.typical_axon_px(run.source_masks().values())
    facts = {"strategy": "-".join(method), "source": run.pair.source.model_dump(), "axon_px_source": axon_px}
    facts |= {"advice": advice, "provenance": run.provenance()}
    chosen, of_translations = of_method(run, method, translators, labeller)
    return Model(chosen, run.pair.target.um_per_px, axon_px, translators["syndiff"], of_translations, facts)


def trained_translators(run: Run, say: Report) -> dict[str, Translator]:
    """Find the polarity, train the translators on what is alike, and have the guard look at them (kept)."""
    say("the judge of polarity")
    polarity_segmenter = strategies.polarity_segmenter(run)
    source, target = run.source_images(), run.seen_images()
    sign = translation.sign_for(run, translation.polarity_evidence(run, polarity_segmenter, target))
    alike, _ = select_tiles(polarity_segmenter, sign, source, target, side=2 * run.profile.translator.crop)
    say(f"the translator, which {'keeps' if sign > 0 else 'inverts'} the contrast")
    translation.train_syndiff(run, sign, source, alike)
    translation.fit_controls(run, source, alike)
    translators = translation.trained_translators(run)
    say("checking that it keeps classes apart")
    _guard(run, polarity_segmenter, sign, translators["syndiff"])
    return translators


def _guard(run: Run, polarity_segmenter: strategies.Segmenter, sign: int, translator: Translator) -> None:
    """Refuse a translator that swaps classes, by what it does to L, to some images of U, and on the round trip."""
    source, target = run.source_images(), evenly_chosen(run.seen_images(), CHECKED)
    to_u, to_l = (translation.translated(run, translator, s, to) for s, to in ((source, "U"), (target, "L")))
    seen = polarity.evidence(polarity_segmenter.probabilities, [s.image for s in to_l])
    for images, away in (source, to_u), (target, to_l):
        pairs = [(a.image, b.image) for a, b in zip(images, away, strict=True)]
        polarity.check_translation(sign, pairs, seen, stated=run.pair.polarity_stated)
    back = translation.round_trip(run, translator, to_u, "U")
    polarity.check_round_trip(translation.round_trip_swap(polarity_segmenter, source, back))


# --- Which way ------------------------------------------------------------------------------------------


def advised(run: Run, translators: dict[str, Translator], labeller: Labeller) -> tuple[recommend.Method, str]:
    """Score every way without a mask of U (minutes; kept as guidance.csv) and return the best, and why.

    Only ways that a model can go: it carries one translator, SynDiff, and could not deliver adaptation by a control.
    """
    made_from = {"refined": labeller.fingerprint, "adaptation": "syndiff"}
    file = kept(run.results / "guidance", **made_from) / "guidance.csv"
    if file.exists():
        scored = pd.read_csv(file)
    else:
        images = run.scored_images()
        labels = strategies.all_pseudo_labels(run, translators)
        labels = {
            method: masks for method, masks in labels.items() if method[0] != "adaptation" or method[1] == "syndiff"
        }
        labels[METHOD] = strategies.pseudo_labels(run, labeller, images, "-".join(METHOD))
        scored = write_table(file, label_free.scores(run, translators, labels))
    return recommend.recommend(scored, experience())


def of_method(
    run: Run, method: recommend.Method, translators: dict[str, Translator], labeller: Labeller
) -> tuple[Labeller, bool]:
    """Return what labels by this way, and whether it must be shown translations to L."""
    strategy, translator = method
    if method == METHOD:
        return labeller, False
    if strategy == "tutorship":
        return Labeller((strategies.student(run, translators[translator]),), anatomy=False), False
    return Labeller((strategies.source_segmenter(run),), anatomy=False), strategy == "adaptation"
