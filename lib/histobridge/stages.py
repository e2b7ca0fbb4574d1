"""What the notebooks 02 and 03 do, stage by stage: train or load, translate or read back, predict, score.

Everything slow is kept in the run's folder as soon as it exists and is taken from there the next time, so that a
killed run loses at most one checkpoint interval.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.domains import Sample, load_images, load_masks
from histobridge.files import write_text
from histobridge.images import read_image, read_mask, write_image, write_mask
from histobridge.metrics import ClassSwap, class_scores, class_swap, l1, offset_px, psnr, seam, ssim
from histobridge.polarity import choose_sign, evidence
from histobridge.segmenter import Segmenter
from histobridge.strategies import train_segmenter
from histobridge.study import Run
from histobridge.tiling import window_starts
from histobridge.training import Say
from histobridge.translator import CONTROLS, OVERLAP, WINDOW, Control, SynDiff, Translator, load_translator

# --- images -----------------------------------------------------------------------------------------------


def source_images(run: Run) -> list[Sample]:
    """Return the labelled domain's development images."""
    return load_images(run.pair.source.dataset, run.pair.source.um_per_px, run.data)


def target_images(run: Run, *, split: str | None = None) -> list[Sample]:
    """Return the unlabelled domain's images of a split (the run's own by default); images only, never a mask."""
    at = run.pair.target
    return load_images(at.dataset, at.um_per_px, run.data, split=split or run.parameters.split)


def target_masks(run: Run, *, split: str | None = None) -> dict[str, np.ndarray]:
    """Return the expert masks of the target, to score with and to train the supervised bound, for nothing else."""
    at = run.pair.target
    return load_masks(at.dataset, at.um_per_px, run.data, split=split or run.parameters.split)


def of_subjects(samples: Iterable[Sample], subjects: frozenset[str]) -> list[Sample]:
    """Return the samples of the named subjects."""
    return [sample for sample in samples if sample.subject in subjects]


def scored_images(run: Run) -> list[Sample]:
    """Return the target images on which the label-free strategies are scored; all of them in `locked-test`."""
    images = target_images(run)
    return images if run.parameters.split == "locked-test" else of_subjects(images, run.split.target_scored)


# --- notebook 02: translators -----------------------------------------------------------------------------


def source_segmenter(run: Run) -> Segmenter:
    """Train (or load) the segmenter of L on the fold's training subjects.

    A translator that serves all folds asks the one of fold 0 about polarity, whichever fold runs first.
    """
    masks = load_masks(run.pair.source.dataset, run.pair.source.um_per_px, run.data)
    images = of_subjects(source_images(run), run.split.source_train)
    return _segmenter(run, "source", images, [masks[s.name] for s in images])


def _segmenter(run: Run, name: str, images: list[Sample], masks: list[np.ndarray]) -> Segmenter:
    fold = run.parameters.fold
    return train_segmenter(
        [s.image for s in images],
        masks,
        run.profile.segmenter,
        seed=run.seed + fold,
        name=f"{name} segmenter, fold {fold}",
        path=run.models / f"fold{fold}" / f"{name}.pt",
    )


def polarity_evidence(run: Run, judge: Segmenter, images: list[Sample]) -> pd.DataFrame:
    """Return what the source segmenter sees in images of U and in their negatives (kept as polarity.csv)."""
    found = evidence(judge.probabilities, [s.image for s in images])
    return _kept_table(run.models / f"polarity-{run.translator_key}.csv", found)


def sign_for(run: Run, found: pd.DataFrame) -> int:
    """Return the sign that translators start at: from the evidence, unless study.yaml names one for this pair."""
    return choose_sign(found) if run.pair.polarity == "auto" else run.pair.polarity


def train_syndiff(run: Run, sign: int, source: list[Sample], target: list[Sample]) -> pd.DataFrame:
    """Train SynDiff (resuming) unless that was done before; return the losses of every step."""
    path, log = _translator_path(run, "syndiff"), run.models / f"losses-{run.translator_key}.csv"
    if path.exists() and log.exists():
        return pd.read_csv(log)
    translator = SynDiff(run.profile.translator, sign=sign, seed=run.seed)
    draft = path.with_suffix(".checkpoint")
    history = translator.fit([s.image for s in source], [s.image for s in target], checkpoint=draft)
    _kept_table(log, history)
    translator.save(path)
    draft.unlink(missing_ok=True)
    return history


def fit_controls(run: Run, source: list[Sample], target: list[Sample]) -> None:
    """Fit and save the classical controls."""
    for name in set(run.translators) & set(CONTROLS):
        control = Control(name)
        control.fit([s.image for s in source], [s.image for s in target])
        control.save(_translator_path(run, name))


def trained_translators(run: Run) -> dict[str, Translator]:
    """Return the study's translators by name, as notebook 02 has left them.

    Raises
    ------
    UserError
        If notebook 02 has not run yet.
    """
    return {name: load_translator(name, _translator_path(run, name)) for name in run.translators}


def _translator_path(run: Run, name: str) -> Path:
    file = "syndiff" if name == "cycle" else name  # the cycle generators are part of SynDiff
    return run.models / "translators" / run.translator_key / f"{file}.pt"


def translated(run: Run, translator: Translator, samples: list[Sample], to: str) -> list[Sample]:
    """Return samples translated `to` L or U, kept as 8-bit PNGs; a second call reads those."""
    folder, say = run.shared / "translations" / translator.name / f"to-{to}", Say()
    away = []
    for number, sample in enumerate(samples, 1):
        path = folder / f"{sample.name}.png"
        if not path.exists():
            say(f"{translator.name}: translating {sample.name} to {to}, image {number} of {len(samples)}")
            write_image(path, translator.translate(sample.image, to, seed=run.seed))
        away.append(Sample(sample.name, sample.subject, read_image(path)))
    return away


def translation_rows(
    run: Run, translator: Translator, samples: list[Sample], there: list[Sample], to: str
) -> pd.DataFrame:
    """Score translations `there` of `samples`: round trip by SSIM, PSNR, L1; one way by offset (px) and seam.

    Returns
    -------
    DataFrame
        One row an image, columns as in reports/translation.csv.
    """
    back = "L" if to == "U" else "U"
    rows, say = [], Say()
    for number, (sample, away) in enumerate(zip(samples, there, strict=True), 1):
        say(f"{translator.name}: round trip of {sample.name} over {to}, image {number} of {len(samples)}")
        again = translator.translate(away.image, back, seed=run.seed)
        rows.append({"image": sample.name, **_translation_scores(sample.image, away.image, again)})
    p = run.parameters
    key = {"pair": p.pair, "protocol": p.protocol, "fold": run.translator_key, "translator": translator.name}
    return pd.DataFrame(rows).assign(**key, direction=f"{back}->{to}", split=p.split)


def _translation_scores(image: np.ndarray, away: np.ndarray, again: np.ndarray) -> dict[str, float]:
    rows, columns = (window_starts(side, WINDOW, OVERLAP) for side in image.shape)
    return {
        "ssim": ssim(image, again),
        "psnr": psnr(image, again),
        "l1": l1(image, again),
        "offset_px": offset_px(image, away),
        "seam": seam(away, rows=rows, columns=columns),
    }


def round_trip_swap(
    judge: Segmenter, translator: Translator, samples: list[Sample], there: list[Sample], *, seed: int
) -> ClassSwap:
    """Return the share of pixels of L whose class, as the source segmenter sees it, the round trip changes."""
    before = [judge.predict(s.image).ravel() for s in samples]
    after = [judge.predict(translator.translate(s.image, "L", seed=seed)).ravel() for s in there]
    return class_swap(np.concatenate(before)[None], np.concatenate(after)[None])


# --- notebook 03: pseudo labels ---------------------------------------------------------------------------


def student(run: Run, translator: Translator) -> Segmenter:
    """Train (or load) the student of tutorship: images of L translated to U, with the masks of L."""
    masks = load_masks(run.pair.source.dataset, run.pair.source.um_per_px, run.data)
    images = translated(run, translator, of_subjects(source_images(run), run.split.source_train), "U")
    return _segmenter(run, f"tutorship-{translator.name}", images, [masks[s.name] for s in images])


def supervised(run: Run) -> tuple[Segmenter, list[Sample]]:
    """Train (or load) the upper bound on development masks of U; return it with the images of the left-out subjects."""
    images = target_images(run, split="development")
    masks = target_masks(run, split="development")
    training = of_subjects(images, run.split.target_train)
    segmenter = _segmenter(run, "supervised", training, [masks[s.name] for s in training])
    locked = run.parameters.split == "locked-test"
    return segmenter, target_images(run) if locked else of_subjects(images, run.split.target_supervised)


def pseudo_labels(run: Run, segmenter: Segmenter, images: list[Sample], name: str) -> dict[str, np.ndarray]:
    """Predict masks by image name, kept as PNGs under pseudo_labels/`name`; a second call reads those."""
    folder, say = run.results / "pseudo_labels" / name, Say()
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
    source, images = source_segmenter(run), scored_images(run)
    labels = {("pretrained", "none"): pseudo_labels(run, source, images, "pretrained-none")}
    for name, translator in translators.items():
        if name == "none":
            continue  # without a translation both strategies are the pre-trained model
        away = translated(run, translator, images, "L")
        labels["adaptation", name] = pseudo_labels(run, source, away, f"adaptation-{name}")
        labels["tutorship", name] = pseudo_labels(run, student(run, translator), images, f"tutorship-{name}")
    bound, held_out = supervised(run)
    labels["supervised", "none"] = pseudo_labels(run, bound, held_out, "supervised-none")
    return labels


def dice_rows(run: Run, labels: dict[tuple[str, str], dict[str, np.ndarray]]) -> pd.DataFrame:
    """Score pseudo labels against the expert masks; one row an image and class, columns as in reports/dice.csv."""
    truth, subject = target_masks(run), {s.name: s.subject for s in target_images(run)}
    rows = [
        {"strategy": strategy, "translator": translator, "image": name, "subject": subject[name], **scores}
        for (strategy, translator), masks in labels.items()
        for name, mask in masks.items()
        for scores in class_scores(truth[name], mask)
    ]
    p = run.parameters
    return pd.DataFrame(rows).assign(pair=p.pair, protocol=p.protocol, fold=p.fold, split=p.split)


def worst_image(rows: pd.DataFrame) -> str:
    """Return the image on which SynDiff's labels have the lowest mean Dice."""
    learned = rows[rows["translator"] == "syndiff"]
    return learned.groupby("image")["dice"].mean().idxmin()


def panels(run: Run, labels: dict, name: str) -> tuple[np.ndarray, np.ndarray, dict, dict, dict]:
    """Return what `figures.pseudo_labels` shows of one image: image, truth, masks, translations and Dice as text."""
    image = next(s.image for s in target_images(run) if s.name == name)
    truth = target_masks(run)[name]
    masks, translations, dice = {}, {}, {}
    for (strategy, translator), found in labels.items():
        if name in found:
            key = f"{strategy} {translator}"
            masks[key] = found[name]
            dice[key] = "  ".join(f"{r['class']} {r['dice']:.2f}" for r in class_scores(truth, found[name]))
            if strategy == "adaptation":
                path = run.shared / "translations" / translator / "to-L" / f"{name}.png"
                translations[key] = read_image(path)
    return image, truth, masks, translations, dice


# --- helpers ----------------------------------------------------------------------------------------------


def _kept_table(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    write_text(path, table.to_csv(index=False))
    return table
