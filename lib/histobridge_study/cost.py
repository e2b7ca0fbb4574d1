"""What a training of SynDiff costs: parameters, arithmetic and memory, counted on one small step and scaled.

Work and activations of a convolution grow with the number of pixels, so that a step on one small crop tells those of
any crop and batch; self-attention, whose work grows with the square, sits at the coarsest level only and is next to
nothing there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from histobridge.config import SynDiffSettings
from histobridge.training.distributed import fabric
from histobridge.translators.syndiff_training import SynDiffTraining, build_critics, build_generators

GIB = 2**30
ADAM = 2  # moments a weight


@dataclass(frozen=True)
class Cost:
    """The cost of training.

    Attributes
    ----------
    parameters : dict of str to int
        By kind of network: G (diffusive), F (non-diffusive), DG and DF (their discriminators); there are two of each.
    tflop : float
        A step of the joint batch without R1, 10^12 operations: a multiplication and an addition are two.
    state_gib : float
        Weights, averaged weights, gradients and the moments of Adam, float32.
    activations_gib : float
        The most that is kept for a backward pass at once, for `batch` images, in the precision of this machine's
        Fabric: with bfloat16 about half of float32's.
    """

    parameters: dict[str, int]
    tflop: float
    state_gib: float
    activations_gib: float


class Ledger:
    """Counts the bytes that autograd keeps, each storage once; weights, which are there anyway, not at all."""

    def __init__(self, weights: list[Tensor]):
        self.weights = {_storage(w) for w in weights}
        self.kept: Counter[int] = Counter()
        self.now = self.most = 0

    def pack(self, tensor: Tensor) -> Kept:
        """Note a tensor that is kept."""
        return Kept(tensor, self)


class Kept:
    """A tensor that autograd keeps, crossed out in the ledger when it is let go."""

    def __init__(self, tensor: Tensor, ledger: Ledger):
        self.tensor, self.ledger, self.storage = tensor, ledger, _storage(tensor)
        self.bytes = 0 if self.storage in ledger.weights else tensor.untyped_storage().nbytes()
        ledger.kept[self.storage] += 1
        if ledger.kept[self.storage] == 1:
            ledger.now += self.bytes
            ledger.most = max(ledger.most, ledger.now)

    def __del__(self):
        """Cross it out with its last keeper."""
        self.ledger.kept[self.storage] -= 1
        if self.ledger.kept[self.storage] == 0:
            self.ledger.now -= self.bytes


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def training_cost(settings: SynDiffSettings, *, crop: int = 64) -> Cost:
    """Take two steps on one crop of `crop` px of noise and scale to a step of `settings` by the number of pixels."""
    networks = {**build_generators(settings, 1), **build_critics(settings)}
    parameters = {name[:-2]: _size(network) for name, network in networks.items() if name.endswith("L")}
    operations, activations = _two_steps(settings, crop)
    area = (settings.crop / crop) ** 2
    kept = {"G": 3 + ADAM, "F": 3 + ADAM, "DG": 2 + ADAM, "DF": 2 + ADAM}  # weights, gradients, averages; moments
    return Cost(
        parameters,
        tflop=operations * area * settings.joint_batch / 1e12,
        state_gib=sum(2 * 4 * kept[name] * size for name, size in parameters.items()) / GIB,
        activations_gib=activations * area * settings.batch / GIB,
    )


def _size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def _two_steps(settings: SynDiffSettings, crop: int) -> tuple[int, int]:
    """Return the operations of a step without R1, which the counter does not bear, and the most kept in one with."""
    small = settings.model_copy(update={"crop": crop, "batch": 1, "accumulate": 1, "r1_every": 2})
    noise = list(torch.rand(2, 1, crop, crop, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    training = SynDiffTraining(fabric(), small, 1, 0, noise, noise)
    ledger = Ledger([*training.generators.parameters(), *training.critics.parameters()])
    with saved_tensors_hooks(ledger.pack, lambda kept: kept.tensor):
        training.step(0)
    with FlopCounterMode(display=False) as counter:
        training.step(1)
    return counter.get_total_flops(), ledger.most
