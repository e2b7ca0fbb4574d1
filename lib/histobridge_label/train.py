"""From labelled examples and unlabelled images to a model: students, self-training and, if wanted, a translator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.cache import Cache, digest
from histobridge.config import MATCHED, REFINED, Polarity, TrainingProfile
from histobridge.data.datasets import evenly_chosen
from histobridge.errors import BrokenError
from histobridge.io.files import read_json, read_table, write_json, write_table
from histobridge.io.kept import kept, set_aside
from histobridge.io.progress import Report
from histobridge.segmenter import Segmenter
from histobridge.strategies import (
    Examples,
    Labeller,
    TranslatorRecipe,
    cached,
    label_free,
    refine,
    tutor,
    with_look_of,
)
from histobridge.strategies.recommend import Method, recommend_method
from histobridge.translators import SynDiff
from histobridge_label.model import Model
from histobridge_label.scale import typical_axon_px

CONTROLS = ("none", *MATCHED.values())
"""No translation, for the pretrained model, and the controls that students learn from, by either sign."""
SHOWN = dict(zip(MATCHED.values(), ("matched grey values", "negatives with matched grey values"), strict=True))
SHOWN["syndiff"] = "translations"
"""What a student is shown of L, in words, by the name of the translator."""
LABELLER_FIELDS = ("segmenters", "views", "anatomy", "background_weight", "axon_px")
CHECKED = 8  # images of U, evenly chosen, whose translations are checked


@dataclass
class ModelTraining:
    """All that is trained for one folder of images; each part is trained, or recalled, when it is first asked for.

    Attributes
    ----------
    examples : sequence of (image, mask)
        Of the labelled source L.
    images : sequence of ndarray, float32 [H, W] in 0..1
        Of U, at the working scale.
    profile : TrainingProfile
        Its `refinement.syndiff` says whether SynDiff is trained and teaches a student.
    cache : Cache
        Remembers models and translations.
    seed : int
    polarity : {"auto", 1, -1}
    further : sequence of sequence of (image, mask)
        Of further labelled sets, each at the scale at which its axons have the size of those of L.
    """

    examples: Examples
    images: Sequence[np.ndarray]
    profile: TrainingProfile
    cache: Cache
    seed: int = 0
    polarity: Polarity = "auto"
    further: Sequence[Examples] = ()

    @cached_property
    def recipe(self) -> TranslatorRecipe:
        """The steps to the translators."""
        return TranslatorRecipe(
            self.examples,
            self.images,
            self.profile.learned,
            self.profile.for_polarity,
            wanted=(*CONTROLS, "syndiff") if self.profile.refinement.syndiff else CONTROLS,
            polarity=self.polarity,
            seed=self.seed,
            fit_segmenter=partial(cached.fit_segmenter, self.cache, name="polarity segmenter"),
            fit_translator=partial(cached.fit_translator, self.cache),
        )

    @property
    def syndiff(self) -> SynDiff | None:
        """The trained SynDiff, if it is wanted."""
        return self.recipe.translators["syndiff"] if self.profile.refinement.syndiff else None

    @property
    def teachers(self) -> tuple[str, ...]:
        """The names of the translators that teach a student each: SynDiff, if it is wanted, and matched greys."""
        matched = MATCHED[self.recipe.sign]
        return ("syndiff", matched) if self.profile.refinement.syndiff else (matched,)

    @property
    def methods(self) -> tuple[Method, ...]:
        """What the model can use. It holds no translator but SynDiff, so that no control can adapt."""
        simple = ("pretrained", "none"), ("tutorship", MATCHED[self.recipe.sign])
        learned = (("adaptation", "syndiff"), ("tutorship", "syndiff")) if self.profile.refinement.syndiff else ()
        return (*simple, *learned, (REFINED, self.teachers[0]))

    @cached_property
    def translators(self) -> dict[str, cached.CachedTranslator]:
        """`none` and the teachers by name; they remember their translations."""
        made = self.recipe.translators
        return {name: cached.CachedTranslator(made[name], self.cache) for name in ("none", *self.teachers)}

    def check(self) -> None:
        """Raise a `PolarityError` if SynDiff swaps classes."""
        self.recipe.check(self.translators["syndiff"], self.recipe.source, evenly_chosen(self.images, CHECKED))

    @cached_property
    def source(self) -> Segmenter:
        """The segmenter of L."""
        untrained = Segmenter(self.profile.segmenter, seed=self.seed)
        return cached.fit_segmenter(self.cache, untrained, self.examples, name="source segmenter")

    def continued(self, examples: Examples, start: Segmenter, *, steps: int, name: str) -> Segmenter:
        """Return a segmenter that continues from the weights of another."""
        return cached.fit_segmenter(self.cache, start.warm_start(seed=self.seed, steps=steps), examples, name=name)

    def fit(self, examples: Examples, start: Segmenter | None = None) -> Segmenter:
        """Train a student: from the segmenter of L, or in a round of self-training from an earlier student."""
        if start is None:
            return self.continued(examples, self.source, steps=self.profile.student_steps, name="student")
        return self.continued(examples, start, steps=self.profile.refinement.steps, name="self-training")

    @cached_property
    def further_examples(self) -> Examples:
        """The examples of the further labelled sets, with the look of U."""
        return with_look_of(self.images, self.further, source=self.examples, sign=self.recipe.sign)

    @cached_property
    def refined(self) -> Labeller:
        """The labeller of strategy `refined`."""
        file = self._folder("models/refined") / "labeller.json"

        def make(path: Path) -> None:
            chosen = [self.translators[name] for name in self.teachers]
            options = {"others": self.further_examples, "rounds": self.profile.refinement.rounds, "seed": self.seed}
            made = refine(self.examples, self.images, chosen, self.fit, **options)
            write_json(path, made.save(path.parent))

        def read(path: Path) -> Labeller:
            return Labeller.load(path.parent, read_json(path, fields=LABELLER_FIELDS))

        try:
            return kept(file, make, read)
        except BrokenError as error:
            set_aside(file, f"names what cannot be used ({error})")
            return kept(file, make, read)

    def _folder(self, name: str) -> Path:
        """Return the folder of a result that depends on the data, the settings and all translators."""
        models = {name: translator.fingerprint for name, translator in self.translators.items()}
        models["source"] = self.source.fingerprint
        settings = {"profile": self.profile.model_dump(mode="json"), "seed": self.seed}
        return self.cache.folder(name, **settings, models=models, data=digest(self.examples, self.images, self.further))

    def labeller(self, method: Method) -> tuple[Labeller, bool]:
        """Return the labeller of a method, and whether it segments translations to L instead of images of U."""
        strategy, translator = method
        if strategy == REFINED:
            return self.refined, False
        if strategy == "tutorship":
            student = tutor(self.examples, self.translators[translator], self.fit, seed=self.seed)
            return Labeller((student,), anatomy=False), False
        return Labeller((self.source,), anatomy=False), strategy == "adaptation"

    def label_free_scores(self, *, report: Report | None = None) -> pd.DataFrame:
        """Score `methods` without masks, which takes minutes, or recall the scores."""
        file = self._folder("label_free") / "scores.csv"

        def score(path: Path) -> None:
            given = self.examples, self.images, self.translators, self.source
            candidate = partial(label_free.candidate, refined=self.refined, seed=self.seed)
            methods = {method: candidate(method, *given, self.fit) for method in self.methods}
            fit = partial(self.continued, start=self.source, steps=label_free.REVERSE_STEPS, name="reverse validation")
            options = {"to_u": self.teachers[0], "seed": self.seed, "report": report}
            write_table(path, label_free.scores(methods, *given, fit, **options))

        return kept(file, score, read_table)


def train_model(training: ModelTraining, um_per_px: float, facts: dict, *, guide: bool, begin: Report) -> Model:
    """Train, or recall, all that labels images of U.

    Parameters
    ----------
    training : ModelTraining
    um_per_px : float
        The working scale.
    facts : dict
        Facts about the source and the images, for the model's provenance.
    guide : bool
        Whether to score every method without masks and take the best; otherwise it is `refined`.
    begin : callable
        Called with the name of each step.

    Raises
    ------
    PolarityError
        If a translator swaps classes.
    """
    begin("the polarity segmenter")
    sign = training.recipe.sign
    if training.profile.refinement.syndiff:
        begin(f"the translator, which {'keeps' if sign > 0 else 'inverts'} the contrast")
        _ = training.syndiff
        begin("checking that it keeps classes apart")
        training.check()
    students = " and one of ".join(SHOWN[name] for name in training.teachers)
    begin(f"a student of {students}{', again with all labelled sets' if training.further else ''}, and self-training")
    method, advice, _ = (REFINED, training.teachers[0]), None, training.refined
    if guide:
        begin("scoring every method without masks")
        method, advice = recommend_method(training.label_free_scores())
    labeller, of_translations = training.labeller(method)
    facts = facts | {"strategy": "-".join(method), "advice": advice}
    axon_px = typical_axon_px(mask for _, mask in training.examples)
    return Model(labeller, um_per_px, axon_px, training.syndiff, of_translations, facts)
