"""What a run may see: the images and masks of a pair, by fold and protocol.

Masks of U come by a method of their own, so that code that asks for images cannot get a mask by accident.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from histobridge.cache import digest
from histobridge.data.datasets import Examples, Sample, load_examples, load_images, load_masks, of_subjects, subjects
from histobridge.data.folds import Protocol, Split, split, subject_folds
from histobridge.data.manifest import Dataset
from histobridge.errors import UserError
from histobridge_study.config import Pair


@dataclass(frozen=True)
class RunData:
    """The images and masks of one pair in one fold.

    Attributes
    ----------
    pair : Pair
    source, target : Dataset
    others : tuple of Dataset
        In the order of those of the pair.
    folder : Path
        That holds the files of the datasets.
    folds : int
        Into which the subjects are divided.
    fold : int
    protocol : {"transductive", "inductive"}
    scored_split : {"development", "locked-test"}
    """

    pair: Pair
    source: Dataset
    target: Dataset
    others: tuple[Dataset, ...]
    folder: Path
    folds: int
    fold: int
    protocol: Protocol
    scored_split: str

    @cached_property
    def split(self) -> Split:
        """Which subjects each stage of this fold may see."""
        sides = {"source": self.source, "target": self.target}
        folds = {side: subject_folds(subjects(dataset), self.folds) for side, dataset in sides.items()}
        return split(folds, self.fold, self.protocol)

    @cached_property
    def source_images(self) -> list[Sample]:
        """The development images of L."""
        return load_images(self.source, self.pair.source.um_per_px, self.folder)

    @cached_property
    def source_masks(self) -> dict[str, np.ndarray]:
        """The expert masks of L by image name."""
        return load_masks(self.source, self.pair.source.um_per_px, self.folder)

    @property
    def source_examples(self) -> Examples:
        """All development images of L with their masks: for translators (images alone) and polarity."""
        return examples(self.source_images, self.source_masks)

    @property
    def training_examples(self) -> Examples:
        """The images of L with their masks that train the segmenters of this fold."""
        return examples(of_subjects(self.source_images, self.split.source_train), self.source_masks)

    @cached_property
    def other_examples(self) -> list[Examples]:
        """The development images of the further labelled sets that have a mask, with it; one entry a set."""
        sets = zip(self.others, self.pair.others, strict=True)
        return [load_examples(dataset, domain.um_per_px, self.folder) for dataset, domain in sets]

    @cached_property
    def target_images(self) -> list[Sample]:
        """The images of U of the scored split; images only, never a mask."""
        return load_images(self.target, self.pair.target.um_per_px, self.folder, split=self.scored_split)

    @cached_property
    def target_masks(self) -> dict[str, np.ndarray]:
        """The expert masks of U of the scored split, to score with and for nothing else."""
        return load_masks(self.target, self.pair.target.um_per_px, self.folder, split=self.scored_split)

    @cached_property
    def development_images(self) -> list[Sample]:
        """The development images of U."""
        if self.scored_split == "development":
            return self.target_images
        return load_images(self.target, self.pair.target.um_per_px, self.folder)

    @property
    def seen_images(self) -> list[Sample]:
        """The images of U that translators and students learn from: development images of the seen subjects."""
        return of_subjects(self.development_images, self.split.target_seen)

    @property
    def scored_images(self) -> list[Sample]:
        """The images of U on which label-free strategies are scored; all of them in `locked-test`."""
        if self.scored_split == "locked-test":
            return self.target_images
        return of_subjects(self.target_images, self.split.target_scored)

    def supervised_examples(self) -> Examples:
        """Return images of U with expert masks that train the supervised reference: development images of this fold."""
        masks = load_masks(self.target, self.pair.target.um_per_px, self.folder)
        training = of_subjects(self.development_images, self.split.target_train)
        return examples([sample for sample in training if sample.name in masks], masks)

    @property
    def supervised_images(self) -> list[Sample]:
        """The scored images of subjects that the supervised reference has not learned from.

        Where a subject stands in both splits, its locked images are left out of the folds that train on it.
        """
        return [sample for sample in self.target_images if sample.subject not in self.split.target_train]

    def refuse_unscored(self) -> None:
        """Refuse a fold that scores no image of the target with an expert mask, before any training.

        Raises
        ------
        UserError
            Saying what to do instead.
        """
        scored = [image for image in self.target.images if image.split == self.scored_split]
        if self.scored_split == "development":
            scored = of_subjects(scored, self.split.target_scored)
        if not self.target.procedural and not any(image.mask for image in scored):
            raise UserError(
                f"No {self.scored_split} image of '{self.target.name}' that this fold scores has an expert mask, so "
                "that nothing can be scored: label such images with `histobridge label`."
            )

    @cached_property
    def checksums(self) -> dict[str, str]:
        """One checksum for each dataset, over its manifest and with it over all its files."""
        sides = (self.source, self.target, *self.others)
        return {dataset.name: digest([image.model_dump() for image in dataset.images]) for dataset in sides}


def examples(samples: list[Sample], masks: dict[str, np.ndarray]) -> Examples:
    """Return images with their masks, which are given by name."""
    return [(sample.image, masks[sample.name]) for sample in samples]
