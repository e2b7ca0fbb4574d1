"""CycleGAN (Zhu et al., arXiv 1703.10593), on the networks of this library and by itself.

`cycle`, the non-diffusive half of SynDiff, is a CycleGAN too, but one that is trained beside diffusive generators. This
one shows what the published method does with all of the time.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import l1_loss

from histobridge.translator_settings import CycleGanSettings
from histobridge.translators.gan import GanTraining, GanTranslator


class CycleGanTraining(GanTraining):
    """Adversarial loss, cycle loss, and identity loss where the contrast is kept."""

    settings: CycleGanSettings

    def generator_losses(self, real: dict[str, Tensor], fake: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the cycle loss (section 3.2) and the identity loss (section 5.2)."""
        s, to = self.settings, self.generators
        cycled = {"L": to["L"](fake["U"]), "U": to["U"](fake["L"])}
        loss = {"cycle": s.weight_cycle * sum(l1_loss(cycled[d], real[d]) for d in "LU")}
        # Where the contrast is inverted no image of L could pass for one of U: there is nothing to keep.
        if self.sign > 0 and s.weight_identity:
            loss["identity"] = s.weight_identity * sum(l1_loss(to[d](real[d]), real[d]) for d in "LU")
        return loss


class CycleGan(GanTranslator):
    """CycleGAN; the parameters are those of `GanTranslator`, with `CycleGanSettings`."""

    name = "cyclegan"
    settings_class = CycleGanSettings
    training_class = CycleGanTraining
