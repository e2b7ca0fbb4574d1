"""The segmenter: a small U-Net that labels every pixel as background, myelin or axon."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from histobridge.cache import digest
from histobridge.config import SegmenterSettings
from histobridge.io.progress import Report
from histobridge.training import checkpoint as checkpoints
from histobridge.training.augmentation import augmented_crops
from histobridge.training.crops import CropSource, check_domain, stack
from histobridge.training.device import adam, autocast, device, place, restore_optimiser, set_rate, weight_arrays
from histobridge.training.loop import linear_decay, train
from histobridge.training.philox import Draws
from histobridge.training.replay import Replayed, graphs_for
from histobridge.training.sliding_window import MULTIPLE, over_windows

CLASSES = 3
"""Background, myelin and axon."""
# Group norm, because the statistics of MONAI's default, instance norm, change more from window to window.
NORMS = {"group": ("group", {"num_groups": 8}), "batch": ("batch", {})}
"""Layers of MONAI by the setting `norm`."""


class Segmenter:
    """A U-Net on images [H, W] in 0..1, trained with masks uint8 [H, W] of the classes in `histobridge.classes`.

    Parameters
    ----------
    settings : SegmenterSettings
        Size and training.
    seed : int
        The same seed, settings, images and machine give the same weights, bit for bit.
    """

    def __init__(self, settings: SegmenterSettings, *, seed: int = 0):
        from monai.networks.nets import BasicUNet  # slow to import, so only for a segmenter

        self.settings, self.seed = settings, seed
        torch.manual_seed(seed)
        stem = settings.stem
        unet = BasicUNet(2, stem**2, CLASSES * stem**2, settings.widths, norm=NORMS[settings.norm])
        # [B, 1, H, W] -> [B, stem², H / stem, W / stem] -> [B, 3 stem², H / stem, W / stem] -> [B, 3, H, W]
        self.network = place(nn.Sequential(nn.PixelUnshuffle(stem), unet, nn.PixelShuffle(stem)))

    def warm_start(self, *, seed: int, **changes) -> Segmenter:
        """Return a new segmenter that starts from the weights of this one.

        Parameters
        ----------
        seed : int
            Of the further training.
        **changes
            Settings that differ from those of this segmenter, such as `steps`.
        """
        other = Segmenter(self.settings.model_copy(update=changes), seed=seed)
        other.network.load_state_dict(self.network.state_dict())
        return other

    def renormalised(self, images: list[np.ndarray], *, batches: int = 50) -> Segmenter:
        """Return a segmenter of other images: the same weights, with the statistics of batch norm taken from `images`.

        No mask is needed. The method is adaptive batch normalisation (AdaBN; Li et al., arXiv 1603.04779). The means
        and variances are averages over batches of random crops, as large as those of the training.

        Parameters
        ----------
        images : list of ndarray, float32 [H, W] in 0..1
            Not empty, with sides of at least `MULTIPLE` px.
        batches : int

        Raises
        ------
        ValueError
            If the setting `norm` is not "batch".
        """
        if self.settings.norm != "batch":
            raise ValueError("only a segmenter with batch norm can be renormalised")
        other, crops = self.warm_start(seed=self.seed), CropSource([stack(image) for image in images], device())
        side = min(self.settings.crop, crops.smallest // MULTIPLE * MULTIPLE)
        for layer in other.network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.reset_running_stats()
                layer.momentum = None  # the average over all batches, each with the same weight
        other.network.train()
        with torch.no_grad(), autocast():
            for number in range(batches):
                draws = Draws(self.seed, torch.tensor(number, device=device()))
                other.network(place(crops.draw(side, self.settings.batch, draws)))
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
        """Train on images with masks.

        Parameters
        ----------
        images : list of ndarray, float32 [H, W] in 0..1
        masks : list of ndarray, uint8 [H, W]
        name : str
            Name of the model in progress lines and errors.
        checkpoint, report
            As in `training.loop.train`.

        Returns
        -------
        DataFrame
            The loss of every step, as `training.loop.train` returns it.

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
        """Return the probabilities float32 [3, H, W] of background, myelin and axon in an image float32 [H, W]."""
        return over_windows(image, self._classify)

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Return the mask uint8 [H, W] of the most probable class in an image float32 [H, W]."""
        # `max` finds the indices ten times as fast as `argmax` does on a CPU.
        return over_windows(image, self._classify, finish=lambda rows: rows.max(0).indices.to(torch.uint8))

    def _classify(self, windows: Tensor, places: object) -> Tensor:
        """Return the probabilities [B, 3, h, w] of the classes in windows [B, 1, h, w]."""
        return self.network.eval()(windows).float().softmax(1)

    def _settings(self) -> dict:
        return {**self.settings.model_dump(mode="json"), "seed": self.seed}

    @property
    def fingerprint(self) -> str:
        """A hash of the weights."""
        return digest(weight_arrays(self.network))

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
    """A segmenter in training (see `training.loop.Training`), on pairs float [2, H, W] of image and mask."""

    to_fit = "set a smaller `batch` or `crop` of the segmenter in its profile"

    def __init__(self, segmenter: Segmenter, pairs: list[Tensor]):
        from monai.losses import DiceCELoss

        self.network, self.settings = segmenter.network, segmenter.settings
        self.pairs = CropSource(pairs, device())
        self.loss = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True)
        self.optimiser = adam(self.network, torch.optim.AdamW)
        self.number = torch.zeros((), dtype=torch.int64, device=device())
        self.draws = Draws(segmenter.seed, self.number)
        self._step = Replayed(self._train, graphs_for(device()))

    def step(self, number: int) -> dict[str, float]:
        """Train one step on augmented crops; return the loss."""
        self.network.train()
        self.number.fill_(number)
        set_rate(self.optimiser, self.settings.lr * linear_decay(number, self.settings.steps))
        return {"loss": self._step().item()}

    def _train(self) -> Tensor:
        """Do the step that `number` and the learning rate describe; return its loss."""
        image, mask = augmented_crops(self.pairs, self.settings, self.draws.begin())
        with autocast():
            logits = self.network(place(image))  # [B, 3, crop, crop]
        loss = self.loss(logits.float(), mask)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def state(self) -> dict:
        """Return weights and optimiser."""
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def restore(self, state: dict) -> None:
        """Continue from what `state` returned."""
        self.network.load_state_dict(state["network"])
        restore_optimiser(self.optimiser, state["optimiser"])
