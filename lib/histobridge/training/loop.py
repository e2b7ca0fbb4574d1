"""The loop that trains every model here: it reports, saves, resumes by itself, and stops at the first NaN."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pandas as pd
import torch

from histobridge.errors import UserError
from histobridge.training import checkpoint as checkpoints

if TYPE_CHECKING:
    from lightning_fabric import Fabric
from histobridge.io.progress import Report, ThrottledProgress


class Trainee(Protocol):
    """What the loop needs of a model in training.

    All randomness of a step must come from its number (see `step_generator`): then a resumed run repeats exactly
    what an unbroken one would have done, and no state of a random generator needs saving.
    """

    def step(self, number: int) -> dict[str, float]:
        """Train one step and return its losses by name."""

    def state(self) -> dict:
        """Everything that changes while training, as nested dicts of tensors and numbers."""

    def restore(self, state: dict) -> None:
        """Take up a saved state."""


def step_generator(seed: int, step: int) -> torch.Generator:
    """Return the generator of one training step, a function of the seed and the step's number alone.

    >>> torch.equal(torch.rand(2, generator=step_generator(0, 7)), torch.rand(2, generator=step_generator(0, 7)))
    True
    """
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def train(
    trainee: Trainee,
    steps: int,
    *,
    name: str,
    settings: dict,
    checkpoint: Path | None = None,
    save_every: int = 100,
    report: Report | None = None,
    save: Callable[[Path, dict, dict], None] = checkpoints.save,
) -> pd.DataFrame:
    """Train to step `steps`, from the last checkpoint if there is one.

    Parameters
    ----------
    trainee : Trainee
        The model in training.
    steps : int
        Total number of steps, those of an interrupted run included.
    name : str
        What the progress lines call it.
    settings : dict
        Saved beside the weights; a checkpoint with other settings is refused.
    checkpoint : Path, optional
        Where to save, every `save_every` steps and at the end; None trains in memory only.
    report : callable, optional
        Called with a progress line each step; prints one every ten seconds by default.
    save : callable
        Writes a checkpoint; several processes give `saver`.

    Returns
    -------
    DataFrame
        Column `step`, one column a loss, and `seconds` (training time so far); one row a step.

    Raises
    ------
    UserError
        If a loss is not finite; the checkpoint on disk is then the last good one.
    """
    report = report or ThrottledProgress()
    history = []
    if checkpoint is not None and checkpoint.exists():
        saved = checkpoints.load(checkpoint, settings)["state"]
        trainee.restore(saved["trainee"])
        history = saved["history"]
    spent = history[-1]["seconds"] if history else 0.0
    start, first = time.monotonic() - spent, len(history)
    for number in range(first, steps):
        losses = trainee.step(number)
        _refuse_nan(losses, name, number, checkpoint)
        history.append({"step": number, **losses, "seconds": time.monotonic() - start})
        report(_progress(name, number + 1, steps, first, history))
        if checkpoint is not None and ((number + 1) % save_every == 0 or number + 1 == steps):
            state = trainee.state()
            _refuse_nan({"weights": _total(state)}, name, number, checkpoint)
            save(checkpoint, {"trainee": state, "history": history}, settings)
    return pd.DataFrame(history)


def saver(fabric: Fabric) -> Callable[[Path, dict, dict], None]:
    """Return a `save` for several processes: the first one writes, and a failure of it stops them all."""

    def save(path: Path, state: dict, settings: dict) -> None:
        error = None
        if fabric.is_global_zero:
            try:
                checkpoints.save(path, state, settings)
            except UserError as failed:
                error = failed
        if error := fabric.broadcast(error):  # else the others would wait for the first one for ever
            raise error

    return save


def _refuse_nan(losses: dict[str, float], name: str, step: int, checkpoint: Path | None) -> None:
    bad = [loss for loss, value in losses.items() if not math.isfinite(value)]
    if bad:
        kept = (
            f"The last good checkpoint stays in {checkpoint}."
            if checkpoint and checkpoint.exists()
            else "Nothing was saved."
        )
        raise UserError(
            f"Training of {name} stopped at step {step}: the loss {', '.join(bad)} is not finite. {kept} "
            "Lower the learning rate in study.yaml, or look for broken images."
        )


def _total(state: object) -> float:
    """Return the sum of all tensors in nested dicts and lists: not finite if one of them is not."""
    if isinstance(state, dict):
        return sum(map(_total, state.values()))
    if isinstance(state, list | tuple):
        return sum(map(_total, state))
    return float(state.sum()) if isinstance(state, torch.Tensor) else 0.0


def _progress(name: str, done: int, steps: int, first: int, history: list[dict]) -> str:
    begun = history[first - 1]["seconds"] if first else 0.0
    pace = (history[-1]["seconds"] - begun) / (done - first)
    left = pace * (steps - done)
    losses = "  ".join(
        f"{k} {v:.3f}" for k, v in history[-1].items() if k not in ("step", "seconds") and "logit" not in k
    )
    return f"{name}: step {done} of {steps}, {pace:.2f} s a step, {left / 60:.1f} min left  |  {losses}"


def linear_decay(step: int, steps: int) -> float:
    """Factor of the learning rate: 1 for the first half of the training, then linearly to zero.

    >>> [linear_decay(step, 100) for step in (0, 50, 75, 100)]
    [1.0, 1.0, 0.5, 0.0]
    """
    return min(1.0, 2.0 * (1.0 - step / steps))


def cosine_decay(step: int, steps: int) -> float:
    """Factor of the learning rate: half a cosine from 1 to 0 (Loshchilov and Hutter, arXiv 1608.03983, eq. 5).

    >>> [round(cosine_decay(step, 100), 6) for step in (0, 50, 100)]
    [1.0, 0.5, 0.0]
    """
    return 0.5 * (1.0 + math.cos(math.pi * step / steps))


DECAYS = {"linear": linear_decay, "cosine": cosine_decay}
