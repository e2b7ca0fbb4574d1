"""What notebook 03 does: the ways to a pseudo label, run, kept and scored.

=============  ============================================================================================
`pretrained`   the source segmenter straight on U (baseline)
`adaptation`   U translated to L, then the source segmenter (U -> L)
`tutorship`    L translated to U keeps its masks and trains a student, which is applied to U (L -> U)
`supervised`   a segmenter trained on masks of *other* subjects of U: the upper bound, and no strategy
=============  ============================================================================================

The three segmenters differ only in what they are given. The source segmenter is trained from scratch, the other two go
on from its weights: for the same budget they are better and steadier than from scratch, and whatever tutorship
gains by this, its bound gains too. Only `supervised` is ever given a mask of U. Masks are kept in the run's
folder and segmenters in the profile's, with what they were made from (`kept.py`), and are taken from there next time.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from histobridge.cache import digest, kept
from histobridge.data.datasets import Sample, of_subjects
from histobridge.io.files import file_lock
from histobridge.io.masks import read_mask, write_mask
from histobridge.io.progress import ThrottledProgress
from histobridge.metrics.overlap import class_scores
from histobridge.segmenter import Segmenter
from histobridge.translators.base import Translator
from histobridge_study.runs import Run
from histobridge_study.stages.translate import translated

Examples = list[tuple[np.ndarray, np.ndarray]]
"""Images float32 [H, W] with their masks uint8 [H, W]."""


def labelled(images: list[Sample], masks: dict[str, np.ndarray]) -> Examples:
    """Return images with their masks, which are given by name."""
    return [(sample.image, masks[sample.name]) for sample in images]


def source_segmenter(run: Run) -> Segmenter:
    """Train (or load) the segmenter of L on the fold's training subjects."""
    images = of_subjects(run.source_images(), run.split.source_train)
    untrained = Segmenter(run.profile.segmenter, seed=_seed(run))
    name = f"source segmenter of fold {run.parameters.fold}"
    return _trained(run, name, untrained, labelled(images, run.source_masks()))


def polarity_segmenter(run: Run) -> Segmenter:
    """Train (or load) the segmenter that is asked about polarity: all of L, whichever fold is run.

    The others learn from partly blank crops that there is no axon without a sheath, and find sheaths in a negative too.
    Whoever is to tell an image from its negative must not look so hard: the judge learns without. Enclosure as is /
    negative was then 0.51 / 0.74 on SEM, 0.72 / 0.65 on bright field and 0.66 / 0.47 on another TEM, with a second
    seed 0.44 / 0.70, 0.71 / 0.54 and 0.62 / 0.32.
    """
    settings = run.profile.polarity_segmenter or run.profile.segmenter.model_copy(update={"blank": 0.0})
    untrained = Segmenter(settings, seed=run.seed)
    return _trained(run, "judge of polarity", untrained, labelled(run.source_images(), run.source_masks()))


def student(run: Run, translator: Translator) -> Segmenter:
    """Train (or load) the student of tutorship: images of L translated to U, with the masks of L."""
    name, examples = f"tutorship with {translator.name}", synthetic(run, translator)
    return continued(run, name, source_segmenter(run), examples, steps=run.profile.student_steps)


def synthetic(run: Run, translator: Translator) -> Examples:
    """Return the fold's training images of L, translated to U, with the masks of L: what tutorship learns from."""
    images = translated(run, translator, of_subjects(run.source_images(), run.split.source_train), "U")
    return labelled(images, run.source_masks())


def supervised(run: Run) -> tuple[Segmenter, list[Sample]] | None:
    """Train (or load) the upper bound on development masks of U; return it with the images of left-out subjects.

    Where a subject stands in both splits (bright field's do), its locked images are left out of the folds that train on
    it. Returns None where fewer than two images of U have a mask to train on, or none is left: then there is no bound.
    """
    images, masks = run.target_images(split="development"), run.target_masks(split="development")
    training = [s for s in of_subjects(images, run.split.target_train) if s.name in masks]
    held_out = [s for s in run.target_images() if s.subject not in run.split.target_train]
    if len(training) < 2 or not held_out:
        return None
    examples, steps = labelled(training, masks), run.profile.student_steps
    return continued(run, "supervised bound", source_segmenter(run), examples, steps=steps), held_out


def pseudo_labels(run: Run, segmenter: Segmenter, images: list[Sample], name: str) -> dict[str, np.ndarray]:
    """Predict masks by image name, kept as PNGs under pseudo_labels/`name`."""
    made_from = {"segmenter": segmenter.fingerprint, "images": digest([s.image for s in images])}
    folder, say = kept(run.results / "pseudo_labels" / name, **made_from), ThrottledProgress()
    labels = {}
    for sample in images:
        path = folder / f"{sample.name}.png"
        if not path.exists():
            say(f"{name}, fold {run.parameters.fold}: segmenting {sample.name}, {len(labels) + 1} of {len(images)}")
            write_mask(path, segmenter.predict(sample.image))
        labels[sample.name] = read_mask(path)[0]
    return labels


def all_pseudo_labels(run: Run, translators: dict[str, Translator]) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Run every strategy with every translator: masks by image, keyed by (strategy, translator)."""
    source, images = source_segmenter(run), run.scored_images()
    labels = {("pretrained", "none"): pseudo_labels(run, source, images, "pretrained-none")}
    for name, translator in translators.items():
        if name == "none":
            continue  # without a translation both strategies are the pre-trained model
        away = translated(run, translator, images, "L")
        labels["adaptation", name] = pseudo_labels(run, source, away, f"adaptation-{name}")
        labels["tutorship", name] = pseudo_labels(run, student(run, translator), images, f"tutorship-{name}")
    if bound := supervised(run):
        labels["supervised", "none"] = pseudo_labels(run, *bound, "supervised-none")
    return labels


def dice_rows(run: Run, labels: dict[tuple[str, str], dict[str, np.ndarray]]) -> pd.DataFrame:
    """Score pseudo labels against the expert masks; one row an image and class, columns as in reports/dice.csv."""
    truth, subject = run.target_masks(), {s.name: s.subject for s in run.target_images()}
    rows = [
        {"strategy": strategy, "translator": translator, "image": name, "subject": subject[name], **scores}
        for (strategy, translator), masks in labels.items()
        for name, mask in masks.items()
        if name in truth
        for scores in class_scores(truth[name], mask)
    ]
    return pd.DataFrame(rows).assign(**run.key)


def worst_image(rows: pd.DataFrame) -> str:
    """Return the image on which SynDiff's labels have the lowest mean Dice."""
    learned = rows[rows["translator"] == "syndiff"]
    return learned.groupby("image")["dice"].mean().idxmin()


def panels(
    run: Run, translators: dict[str, Translator], labels: dict, name: str
) -> tuple[np.ndarray, np.ndarray, dict, dict, dict]:
    """Return what `figures.pseudo_labels` shows of one image: image, truth, masks, translations and Dice as text."""
    sample = next(s for s in run.target_images() if s.name == name)
    truth = run.target_masks()[name]
    masks, translations, dice = {}, {}, {}
    for (strategy, translator), found in labels.items():
        if name in found:
            key = f"{strategy} {translator}"
            masks[key] = found[name]
            dice[key] = "  ".join(f"{r['class']} {r['dice']:.2f}" for r in class_scores(truth, found[name]))
            if strategy == "adaptation":
                translations[key] = translated(run, translators[translator], [sample], "L")[0].image
    return sample.image, truth, masks, translations, dice


def _seed(run: Run) -> int:
    return run.seed + run.parameters.fold


def continued(run: Run, name: str, start: Segmenter, examples: Examples, *, steps: int) -> Segmenter:
    """Return a segmenter of the fold that goes on from the weights of another, on other examples (kept)."""
    segmenter = start.warm_start(seed=_seed(run), steps=steps)
    return _trained(run, f"{name}, fold {run.parameters.fold}", segmenter, examples)


def _trained(run: Run, name: str, segmenter: Segmenter, examples: Examples) -> Segmenter:
    """Train a segmenter (resuming), or return the one that was trained before from the same start and examples.

    They are kept by what they were made from, not by who asked: what L alone teaches (the source segmenter, the judge,
    the student of negatives) is the same for every pair and protocol. A job that asks for what another is training
    waits for it.
    """
    pairs = [image for image, _ in examples], [mask for _, mask in examples]
    settings = segmenter.settings.model_dump(mode="json")
    made_from = {"settings": settings, "seed": segmenter.seed, "start": segmenter.fingerprint, "pairs": digest(pairs)}
    home = kept(run.segmenters / digest(made_from), **made_from)
    model, draft = home / "model.pt", home / "model.checkpoint"
    with file_lock(home / ".lock"):
        if model.exists():
            return Segmenter.load(model)
        segmenter.fit(*pairs, name=name, checkpoint=draft)
        segmenter.save(model)
        draft.unlink(missing_ok=True)
    return segmenter
