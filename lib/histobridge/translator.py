"""Translators between the labelled domain L and the unlabelled domain U, behind one small interface.

A translator learns from images alone; nothing here has ever heard of a mask.

=======================  ==============================================================================
`none`                   the image as it is
`invert`                 the negative
`histogram`              grey values matched to those of the other domain
`invert-histogram`       the negative, matched
`histogram-blur`         as blurred as the other domain, then matched (`blur.py`)
`invert-histogram-blur`  the negative, as blurred, matched
`cycle`                  the non-diffusive generators inside SynDiff (a CycleGAN)
`syndiff`                the diffusive generators of SynDiff, T steps from noise
=======================  ==============================================================================
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import gaussian_filter
from skimage.exposure import match_histograms
from torch import Tensor, nn

from histobridge import checkpoint as checkpoints
from histobridge.adversarial import SynDiffTraining, build_generators
from histobridge.blur import extra_blur
from histobridge.compute import device, launch, weights_of
from histobridge.crops import check_domain, stack
from histobridge.diffusion import posterior, vp_schedule
from histobridge.errors import UserError, one_of
from histobridge.kept import digest
from histobridge.settings import CONTROLS, SynDiffSettings
from histobridge.tiling import Place, noise_canvas, over_windows
from histobridge.training import Report, saver, silent, train

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Domain = Literal["L", "U"]


class Translator(Protocol):
    """What every translator can do; images are float32 [H, W] in 0..1."""

    name: str
    fingerprint: str
    """A hash of everything `translate` depends on."""

    def fit(self, source: list[np.ndarray], target: list[np.ndarray]) -> None:
        """Learn from unpaired images of L (`source`) and U (`target`)."""

    def translate(self, image: np.ndarray, to: Domain, *, seed: int = 0) -> np.ndarray:
        """Translate an image of the other domain `to` L or U; the shape stays."""

    def save(self, path: Path) -> None:
        """Write everything `translate` needs."""

    @classmethod
    def load(cls, path: Path) -> Translator:
        """Read what `save` wrote."""


class Control:
    """A classical translator with nothing to train: the yardstick that any learned one must beat."""

    def __init__(self, name: str):
        self.name = one_of("control", name, CONTROLS)
        self.greys: dict[str, np.ndarray] = {}
        self.blur: dict[str, float] = {}

    def fit(self, source: list[np.ndarray], target: list[np.ndarray]) -> None:
        """Keep what the name asks for: 4096 quantiles of the pooled greys of either domain, the blur (px) to it."""
        if "histogram" in self.name:
            self.greys = {d: _pooled_quantiles(images) for d, images in (("L", source), ("U", target))}
        if "blur" in self.name:
            self.blur = {"L": extra_blur(target, source), "U": extra_blur(source, target)}

    def translate(self, image: np.ndarray, to: Domain, *, seed: int = 0) -> np.ndarray:
        """Invert, blur and match as the name says; `seed` changes nothing."""
        if "invert" in self.name:
            image = 1 - image
        if "blur" in self.name:
            image = gaussian_filter(image, self.blur[to])
        if "histogram" in self.name:
            image = match_histograms(image, self.greys[to][None])
        return np.asarray(image, np.float32)

    @property
    def fingerprint(self) -> str:
        """A hash of the quantiles and the blur."""
        return digest(self.name, self.greys, self.blur)

    def save(self, path: Path) -> None:
        """Write the quantiles and the blur."""
        greys = {d: torch.from_numpy(v) for d, v in self.greys.items()}
        checkpoints.save(path, greys, {"translator": self.name, "blur": self.blur})

    @classmethod
    def load(cls, path: Path) -> Control:
        """Read a saved control."""
        saved = checkpoints.load(path)
        control = cls(saved["settings"]["translator"])
        control.greys = {d: v.numpy() for d, v in saved["state"].items()}
        control.blur = saved["settings"].get("blur", {})  # controls of older runs have none
        return control


def _pooled_quantiles(images: list[np.ndarray]) -> np.ndarray:
    per_image = [_quantiles(image) for image in images]
    return _quantiles(np.concatenate(per_image)).astype(np.float32)


def _quantiles(values: np.ndarray) -> np.ndarray:
    # So many quantiles of so many values are had a hundred times faster from values that are sorted already.
    return np.quantile(np.sort(values, axis=None), np.linspace(0, 1, 4096))


class SynDiff:
    """Adversarial diffusion between two unpaired domains (Özbey et al., arXiv 2207.08208).

    Parameters
    ----------
    settings : SynDiffSettings
        Size and training.
    sign : {1, -1}
        The polarity that the generators start at: 1 keeps the contrast, -1 inverts it. See `polarity.py`.
    seed : int
        Same seed, settings, images and machine: same weights, bit for bit.
    """

    name = "syndiff"

    def __init__(self, settings: SynDiffSettings, *, sign: int, seed: int = 0):
        self.settings, self.sign, self.seed = settings, sign, seed
        self.generators: nn.ModuleDict = build_generators(settings, sign)
        self.schedule = vp_schedule(settings.diffusion_steps, settings.beta_min, settings.beta_max)

    def fit(
        self,
        source: list[np.ndarray],
        target: list[np.ndarray],
        *,
        checkpoint: Path | None = None,
        report: Report | None = None,
    ) -> pd.DataFrame:
        """Train on unpaired images, resuming from `checkpoint`; return the losses of every step (see `train`).

        All visible GPUs share each batch, as far as it can be shared (see `compute.launch`); the result is the same,
        up to rounding, for any number of them.

        Raises
        ------
        UserError
            If a domain has no image or one smaller than a crop, a loss is not finite, or the checkpoint does not fit.
        """
        for images, name in (source, "L (labelled)"), (target, "U (unlabelled)"):
            check_domain(images, self.settings.crop, name)
        history, weights = launch(
            _train, self._settings(), source, target, checkpoint, report, batch=self.settings.joint_batch
        )
        self.generators.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        return history

    def translate(self, image: np.ndarray, to: Domain, *, seed: int = 0) -> np.ndarray:
        """Walk T steps from noise to an image of domain `to`, conditioned on `image` (SynDiff section III-C).

        Another `seed` draws another latent and another noise canvas, and so another plausible translation.
        """

        def denoise(condition: Tensor, place: Place) -> Tensor:
            return deque(self.walk(condition, to, place, seed=seed), maxlen=1).pop()[1]  # the last stop

        return self._tiled(image, denoise)

    def walk(
        self, condition: Tensor, to: Domain, place: Place, *, seed: int = 0
    ) -> Iterator[tuple[int, Tensor, Tensor | None]]:
        """Yield every stop from noise to an image of domain `to`: level t (T to 0), x_t and the guess of x_0.

        Parameters
        ----------
        condition : Tensor, float [1, 1, H, W] in -1..1
            The image, or a window of it, that leads the walk.
        to : {"L", "U"}
        place : tuple of slice
            Rows and columns of the window in the image, which decide its noise.
        seed : int

        Yields
        ------
        tuple of int, Tensor, Tensor or None
            Both tensors are like `condition`; at level 0 there is nothing left to guess.
        """
        generator, steps = self.generators[f"G_{to}"].eval(), self.schedule.steps
        latents = _latents(seed, steps, self.settings.latent)
        x = noise_canvas(seed, steps, place).to(condition)
        for level in reversed(range(steps)):
            t = torch.tensor([level], device=condition.device)
            x_0 = generator(x, condition, t + 1, latents[level]).float().clamp(-1, 1)
            yield level + 1, x, x_0
            x = posterior(self.schedule, x_0, x, t, noise_canvas(seed, level, place).to(condition))
        yield 0, x, None

    def _tiled(self, image: np.ndarray, network) -> np.ndarray:
        return np.clip((over_windows(_to_network(image), network)[0] + 1) / 2, 0, 1)

    def _settings(self) -> dict:
        return {**self.settings.model_dump(mode="json"), "sign": self.sign, "seed": self.seed}

    @property
    def fingerprint(self) -> str:
        """A hash of the settings and the generators' weights."""
        return digest(self.name, self._settings(), weights_of(self.generators))

    def save(self, path: Path) -> None:
        """Write the averaged generators and the settings."""
        checkpoints.save(path, self.generators.state_dict(), self._settings())

    @classmethod
    def load(cls, path: Path) -> SynDiff:
        """Read a saved translator."""
        saved = checkpoints.load(path)
        translator = cls(**_arguments(saved["settings"]))
        translator.generators.load_state_dict(saved["state"])
        return translator


def _arguments(saved: dict) -> dict:
    """Return what `SynDiff` is made with from the settings that it saves."""
    settings = dict(saved)
    return {"sign": settings.pop("sign"), "seed": settings.pop("seed"), "settings": SynDiffSettings(**settings)}


def _train(
    fabric: Fabric,
    settings: dict,
    source: list[np.ndarray],
    target: list[np.ndarray],
    checkpoint: Path | None,
    report: Report | None,
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Train in each of the processes that Fabric started; return the history and the averaged generators.

    All that goes in and comes out is NumPy, which passes through a pipe: tensors would go through /dev/shm, which
    containers keep small.
    """
    tensors = [[stack(_to_network(image)) for image in images] for images in (source, target)]
    training = SynDiffTraining(fabric, **_arguments(settings), source=tensors[0], target=tensors[1])
    history = train(
        training,
        training.settings.steps,
        name=SynDiff.name,
        settings=settings,
        checkpoint=checkpoint,
        save_every=training.settings.save_every,
        report=report if fabric.is_global_zero else silent,
        save=saver(fabric),
    )
    return history, weights_of(training.average)


class Cycle(SynDiff):
    """SynDiff's own non-diffusive generators, which come for free: one pass, no noise."""

    name = "cycle"

    def translate(self, image: np.ndarray, to: Domain, *, seed: int = 0) -> np.ndarray:
        """Translate in one pass; `seed` changes nothing."""
        generator = self.generators[f"F_{to}"].eval()
        return self._tiled(image, lambda piece, place: generator(piece))


def load_translator(name: str, path: Path) -> Translator:
    """Read the saved translator `name`; `cycle` and `syndiff` share one file."""
    kinds = {"cycle": Cycle, "syndiff": SynDiff} | dict.fromkeys(CONTROLS, Control)
    try:
        return kinds[one_of("translator", name, kinds)].load(path)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} holds no '{name}' of this version. Delete it to train anew.") from error


def _to_network(image: np.ndarray) -> np.ndarray:
    return 2 * image - 1


def _latents(seed: int, steps: int, length: int) -> list[Tensor]:
    """Draw one latent for each step, the same for every window of an image."""
    rng = np.random.default_rng([seed, steps, 0, 0, 1])
    return [torch.from_numpy(rng.standard_normal((1, length), dtype=np.float32)).to(device()) for _ in range(steps)]
