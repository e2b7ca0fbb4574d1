"""A labeller as one network: every view and segmenter, their mean, and anatomy. It takes images of any size."""

from __future__ import annotations

import warnings
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from histobridge.segmenter import CLASSES
from histobridge.strategies import Labeller
from histobridge.strategies.tta import View
from histobridge_label.model_export.anatomy import with_anatomy
from histobridge_label.model_export.components import slopes
from histobridge_label.model_export.windows import blended, cut, padded, window_pixels, window_side

TRACED_PX = 96, 160
"""Height and width of the image that is traced; the network takes others too."""


class LabellerNetwork(nn.Module):
    """Maps images float32 [B, 1, H, W] in 0..1 to float32 [B, 3, H, W]: background, myelin and axon, of sum 1.

    These are the probabilities of a labeller. Where anatomy corrects a class, that of the correction is 1. So the
    most probable class is that of `Labeller.label`. All windows of a view are computed at once: a large image needs
    memory.

    Parameters
    ----------
    labeller : Labeller
        Its networks are copied to the CPU.
    """

    def __init__(self, labeller: Labeller):
        super().__init__()
        self.networks = nn.ModuleList(deepcopy(s.network).to("cpu", torch.float32) for s in labeller.segmenters)
        self.views, self.anatomy = labeller.views, labeller.anatomy
        self.background_weight, self.axon_px = labeller.background_weight, labeller.axon_px
        self.register_buffer("tangents", slopes())
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        """Return the classes [B, 3, H, W] of images [B, 1, H, W]."""
        probabilities = self.weighted(sum(self.of_view(image, view) for view in self.views) / len(self.views))
        if not self.anatomy:
            return probabilities
        mask = probabilities.argmax(1)
        corrected = with_anatomy(mask, self.tangents, self.axon_px)
        certain = torch.stack([corrected == value for value in range(CLASSES)], 1).float()
        return torch.where((corrected == mask)[:, None], probabilities, certain)

    def weighted(self, probabilities: Tensor) -> Tensor:
        """Return the probabilities [B, 3, H, W] with the weight of background, of sum 1."""
        background, others = probabilities[:, :1] * self.background_weight, probabilities[:, 1:]
        weighed = torch.cat([background, others], 1)
        return weighed / weighed.sum(1, keepdim=True)

    def of_view(self, image: Tensor, view: View) -> Tensor:
        """Return the probabilities [B, 3, H, W] of images [B, 1, H, W] that are seen enlarged, turned and mirrored."""
        sides, percent = [image.shape[2], image.shape[3]], round(100 * view.zoom)
        enlarged = [(side * percent + 50) // 100 for side in sides]
        seen = interpolate(image, enlarged, mode="bilinear") if percent != 100 else image
        seen = turned(seen, view.turns)
        classes = self.in_windows(seen.flip(3) if view.mirrored else seen)
        classes = turned(classes.flip(3) if view.mirrored else classes, -view.turns)
        return interpolate(classes, sides, mode="bilinear") if percent != 100 else classes

    def in_windows(self, image: Tensor) -> Tensor:
        """Return the mean probabilities [B, 3, H, W] of the networks, which see overlapping windows."""
        height, width = image.shape[2], image.shape[3]
        whole = padded(image)
        rows = window_pixels(whole[0, 0, :, 0], window_side(height))
        columns = window_pixels(whole[0, 0, 0], window_side(width))
        windows = cut(whole, rows, columns)
        classes = sum(network(windows).softmax(1) for network in self.networks) / len(self.networks)
        top, left = (whole.shape[2] - height) // 2, (whole.shape[3] - width) // 2
        return blended(classes, rows, columns, whole)[:, :, top : top + height, left : left + width]


def turned(images: Tensor, turns: int) -> Tensor:
    """Return images [B, C, H, W] turned by quarters as `numpy.rot90` does; ONNX knows no operation for it."""
    images = images.flip(2, 3) if turns % 4 >= 2 else images
    return images.transpose(2, 3).flip(2) if turns % 2 else images


def traced(labeller: Labeller) -> torch.jit.ScriptModule:
    """Return the network of a labeller as TorchScript, traced on one image of `TRACED_PX`."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # MONAI compares shapes, which are equal
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        return torch.jit.trace(LabellerNetwork(labeller), torch.rand(1, 1, *TRACED_PX), check_trace=False)
