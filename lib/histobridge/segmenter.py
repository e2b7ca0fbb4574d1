"""The segmenter: a small U-Net for background, myelin and axon. It does not know which strategy uses it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from histobridge.cache import digest
from histobridge.config import SegmenterSettings
from histobridge.io.progress import Report
from histobridge.training import checkpoint as checkpoints
from histobridge.training.crops import check_domain, random_crops, stack
from histobridge.training.device import adam, autocast, device, place, weights_of
from histobridge.training.loop import linear_decay, step_generator, train
from histobridge.training.sliding_window import over_windows

CLASSES = 3


class Segmenter:
    """Train on images with masks, predict class probabilities.

    Parameters
    ----------
    settings : SegmenterSettings
        Size and training.
    seed : int
        Same seed, settings, images and machine: same weights, bit for bit.
    """

    def __init__(self, settings: SegmenterSettings, *, seed: int = 0):
        from monai.networks.nets import BasicUNet  # seconds, which only a segmenter should cost

        self.settings, self.seed = settings, seed
        torch.manual_seed(seed)
        # Group norm: the statistics of instance norm, MONAI's default, change more from window to window.
        norm, folded = ("group", {"num_groups": 8}), settings.stem**2
        unet = BasicUNet(2, folded, CLASSES * folded, settings.widths, norm=norm)
        self.network = place(nn.Sequential(nn.PixelUnshuffle(settings.stem), unet, nn.PixelShuffle(settings.stem)))

    def warm_start(self, *, seed: int, **changes) -> Segmenter:
        """Return a segmenter that starts from the weights of this one; `changes` are settings, such as `steps`."""
        other = Segmenter(self.settings.model_copy(update=changes), seed=seed)
        other.network.load_state_dict(self.network.state_dict())
        return other

    def fit(
        self,
        images: list[np.ndarray],
        masks: list[np.ndarray],
        *,
        name: str = "segmenter",
        checkpoint: Path | None = None,
        report: Report | None = None,
    ) -> pd.DataFrame:
        """Train on images float32 [H, W] in 0..1 with masks uint8 [H, W]; return the losses of every step.

        Raises
        ------
        UserError
            If there is no image or one is smaller than a crop, or a loss is not finite.
        """
        check_domain(images, self.settings.crop, name)
        pairs = [stack(image, mask) for image, mask in zip(images, masks, strict=True)]
        return train(
            SegmenterTraining(self, pairs),
            self.settings.steps,
            name=name,
            settings=self._settings(),
            checkpoint=checkpoint,
            save_every=self.settings.save_every,
            report=report,
        )

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Return float32 [3, H, W], the probability of background, myelin and axon at every pixel of `image`."""
        self.network.eval()

        def classify(piece: Tensor, where: object) -> Tensor:
            return self.network(piece).float().softmax(1)

        return over_windows(image, classify)

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Return the mask uint8 [H, W] of the most probable class."""
        rows = self.probabilities(image).swapaxes(0, 1)
        return np.stack([row.argmax(0).astype(np.uint8) for row in rows])  # at once it were 8 bytes a pixel

    def _settings(self) -> dict:
        return {**self.settings.model_dump(mode="json"), "seed": self.seed}

    @property
    def fingerprint(self) -> str:
        """A hash of the weights."""
        return digest(weights_of(self.network))

    def save(self, path: Path) -> None:
        """Write weights and settings."""
        checkpoints.save(path, self.network.state_dict(), self._settings())

    @classmethod
    def load(cls, path: Path) -> Segmenter:
        """Read a saved segmenter."""
        saved = checkpoints.load(path)
        settings = dict(saved["settings"])
        segmenter = cls(seed=settings.pop("seed"), settings=SegmenterSettings(**settings))
        segmenter.network.load_state_dict(saved["state"])
        return segmenter


class SegmenterTraining:
    """A segmenter in training (a `Trainee`)."""

    def __init__(self, segmenter: Segmenter, pairs: list[Tensor]):
        from monai.losses import DiceCELoss

        self.network, self.settings, self.seed = segmenter.network, segmenter.settings, segmenter.seed
        self.pairs = pairs
        self.loss = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True)
        self.optimiser = adam(self.network, self.settings.lr, torch.optim.AdamW)

    def step(self, number: int) -> dict[str, float]:
        """Train one step on augmented crops."""
        self.network.train()
        rng = step_generator(self.seed, number)
        image, mask = augmented_crops(self.pairs, self.settings, rng)
        with autocast():
            logits = self.network(place(image))
        loss = self.loss(logits.float(), mask.to(device()))
        self.optimiser.param_groups[0]["lr"] = self.settings.lr * linear_decay(number, self.settings.steps)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return {"loss": loss.item()}

    def state(self) -> dict:
        """Return weights and optimiser."""
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def restore(self, state: dict) -> None:
        """Take up what `state` returned."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])


def augmented_crops(pairs: list[Tensor], s: SegmenterSettings, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw crops at a random zoom, with random gamma, contrast, brightness and noise, some of them partly blank.

    Parameters
    ----------
    pairs : list of Tensor, float [2, H, W]
        Image in 0..1 and mask 0..2.

    Returns
    -------
    image : Tensor, float [B, 1, crop, crop]
    mask : Tensor, float [B, 1, crop, crop], values 0, 1, 2
    """
    zoom = _uniform(rng, *s.zoom)
    smallest = min(min(pair.shape[-2:]) for pair in pairs)
    side = min(round(s.crop / zoom), smallest)
    crops = random_crops(pairs, side, s.batch, rng)
    image = F.interpolate(crops[:, :1], size=(s.crop, s.crop), mode="bilinear", antialias=side > s.crop)
    mask = F.interpolate(crops[:, 1:], size=(s.crop, s.crop), mode="nearest-exact")
    return _blank(_jitter(image, rng), mask, s.blank, rng)


def _jitter(image: Tensor, rng: torch.Generator) -> Tensor:
    """Vary gamma, contrast, brightness and noise: wide enough that an image darker than all others is nothing new."""
    n = len(image)
    image = image.clamp(0, 1) ** torch.exp(_each(n, -0.8, 0.8, rng))
    image = (image - 0.5) * _each(n, 0.6, 1.25, rng) + 0.5 + _each(n, -0.15, 0.15, rng)
    return image + _each(n, 0, 0.06, rng) * torch.randn(image.shape, generator=rng)


def _blank(image: Tensor, mask: Tensor, share: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Paint over a blob (5 to 45 % of a crop) with one grey and little noise, and call it background.

    Empty resin, lumen and smooth background look like the inside of a large axon. L has little of them, U may have
    much: the sheath must decide. Measured on development images with the source segmenter of fold 0 (axon Dice without
    and with): 0.43 and 0.70 on another laboratory's TEM, 0.66 and 0.73 on bright field, 0.67 and 0.76 on
    negatives of SEM.
    """
    n, _, height, width = image.shape
    field = F.interpolate(torch.rand(n, 1, 4, 4, generator=rng), size=(height, width), mode="bicubic")
    rest = (_each(n, 0.55, 0.95, rng) * height * width).long()  # pixels outside the blob
    edge = field.flatten(1).sort(1).values.gather(1, rest.flatten(1)).view_as(rest)
    blob = (field > edge) & (_each(n, 0, 1, rng) < share)
    grey = _each(n, -0.1, 1.1, rng) + _each(n, 0, 0.08, rng) * torch.randn(image.shape, generator=rng)
    return torch.where(blob, grey, image), torch.where(blob, 0.0, mask)


def _each(n: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, 1, 1, 1, generator=rng)


def _uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))
