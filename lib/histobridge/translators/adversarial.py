"""What trainings of generators against critics share: rates, averaged weights and state."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from histobridge.training.device import restore_optimiser, set_rate


class AdversarialTraining:
    """Generators, critics, an optimiser of each, and the average of the generators' weights, which translates later.

    A class that inherits from it makes the attributes below; `number` and `decay` are what a step reads besides images
    and weights, and stay where they are.
    """

    networks: ClassVar[tuple[str, ...]] = ("generators", "critics", "average")
    optimisers: ClassVar[tuple[str, ...]] = ("generator_optimiser", "critic_optimiser")
    generators: nn.ModuleDict
    critics: nn.ModuleDict
    average: nn.ModuleDict
    generator_optimiser: torch.optim.Optimizer
    critic_optimiser: torch.optim.Optimizer
    number: Tensor
    decay: Tensor

    def begin_step(self, number: int, *, lr_generator: float, lr_critic: float, ema: float) -> None:
        """Set the number of a step, both learning rates, and the decay of the average, at most `ema`."""
        set_rate(self.generator_optimiser, lr_generator)
        set_rate(self.critic_optimiser, lr_critic)
        self.decay.fill_(min(ema, (1 + number) / (10 + number)))  # the average follows faster at the beginning
        self.number.fill_(number)

    def update_average(self) -> None:
        """Let the exponential moving average (EMA) follow the weights of the generators."""
        with torch.no_grad():
            average = list(self.average.parameters())
            torch._foreach_mul_(average, self.decay)
            torch._foreach_add_(average, torch._foreach_mul(list(self.generators.parameters()), 1 - self.decay))

    def state(self) -> dict:
        """Return weights, averaged weights and optimisers."""
        return {name: getattr(self, name).state_dict() for name in (*self.networks, *self.optimisers)}

    def restore(self, state: dict) -> None:
        """Continue from what `state` returned."""
        for name in self.networks:
            getattr(self, name).load_state_dict(state[name])
        for name in self.optimisers:
            restore_optimiser(getattr(self, name), state[name])
