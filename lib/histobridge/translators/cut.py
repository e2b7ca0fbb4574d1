"""CUT, contrastive unpaired translation (Park et al., arXiv 2007.15651), on the networks of this library.

No round trip is needed. A patch of the translation must be more like the patch of the image at the same place than
like other patches of that image, as the encoder of the generator sees them (PatchNCE). Both directions are trained in
one step and share no weights: each is a CUT of its own.

Where the contrast is inverted the encoder is shown the negative of the translation. It would otherwise have to learn
that dark and bright are alike, and the loss could be met by turning the contrast back.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from histobridge.translator_settings import CutSettings
from histobridge.translators.gan import GanTraining, GanTranslator
from histobridge.translators.networks import UNet


def encoder_features(unet: UNet, image: Tensor) -> list[Tensor]:
    """Return the features [B, C, h, w] of an image [B, 1, H, W]: its pixels, every stage of the encoder, the middle."""
    pixels = F.pixel_unshuffle(image, unet.stem)
    h, found = unet.first(pixels), [pixels]
    for i, stage in enumerate(unet.down):
        if i and i % unet.blocks == 0:
            h = F.avg_pool2d(h, 2)
        h = stage(h, None)
        found.append(h)
    return [*found, unet.middle(h, None)]


def feature_channels(unet: UNet) -> list[int]:
    """Return the channels of the features of `encoder_features`."""
    stages = [stage.block.conv_2.out_channels for stage in unet.down]
    return [unet.stem**2, *stages, unet.middle.conv_2.out_channels]


def projection(inside: int, outside: int) -> nn.Module:
    """Return the two layers through which the features of patches pass before they are compared (section 3.1)."""
    return nn.Sequential(nn.Linear(inside, outside), nn.ReLU(), nn.Linear(outside, outside))


def patch_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Return the mean cross-entropy of finding, for each patch of a translation, the patch of the image at its place.

    Parameters
    ----------
    queries, keys : Tensor, float [B, S, C]
        Features of S patches of translations and of images; all patches of an image compete for each query.
    temperature : float
        By which cosine similarities are divided.
    """
    queries, keys = F.normalize(queries.float(), dim=2), F.normalize(keys.float(), dim=2)
    logits = queries @ keys.transpose(1, 2) / temperature  # [B, S, S]; the matching patch is on the diagonal
    return (logits.logsumexp(2) - logits.diagonal(dim1=1, dim2=2)).mean()


class CutTraining(GanTraining):
    """Adversarial loss, PatchNCE, and PatchNCE of the identity where the contrast is kept."""

    settings: CutSettings

    def build_helpers(self) -> nn.Module:
        """Return the projections of every direction and layer."""
        channels = feature_channels(self.generators["U"].unet)
        size = self.settings.projection
        return nn.ModuleDict({d: nn.ModuleList(projection(c, size) for c in channels) for d in "LU"})

    def generator_losses(self, real: dict[str, Tensor], fake: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the contrastive losses of both directions."""
        s = self.settings
        nce = self._nce("U", real["L"], fake["U"]) + self._nce("L", real["U"], fake["L"])
        loss = {"nce": s.weight_nce * nce}
        # Where the contrast is inverted no image of L could pass for one of U: there is nothing to keep.
        if self.sign > 0 and s.weight_identity:
            same = sum(self._nce(d, real[d], self.generators[d](real[d])) for d in "LU")
            loss["identity"] = s.weight_identity * same
        return loss

    def _nce(self, to: str, image: Tensor, translation: Tensor) -> Tensor:
        """Return the mean over the layers of the PatchNCE of images and their translations `to` a domain."""
        unet, losses = self.generators[to].unet, []
        with torch.no_grad():  # the image says what is where; only the translation is to follow
            images = encoder_features(unet, image)
        translations = encoder_features(unet, self.sign * translation)
        for project, key, query in zip(self.helpers[to], images, translations, strict=True):
            keys, queries = (f.flatten(2).transpose(1, 2) for f in (key, query))  # [B, h w, C]
            chosen = self.draws.uniform(keys.shape[1]).argsort()[: self.settings.patches]
            with torch.no_grad():
                keys = project(keys[:, chosen])
            losses.append(patch_nce(project(queries[:, chosen]), keys, self.settings.temperature))
        return sum(losses) / len(losses)


class Cut(GanTranslator):
    """CUT in both directions; the parameters are those of `GanTranslator`, with `CutSettings`."""

    name = "cut"
    settings_class = CutSettings
    training_class = CutTraining
