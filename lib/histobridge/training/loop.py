"""The training loop of every model: it reports progress, saves, resumes, and stops at the first NaN."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pandas as pd
import torch

from histobridge.errors import BrokenError, UserError
from histobridge.io.kept import set_aside
from histobridge.io.progress import Report, ThrottledProgress
from histobridge.training import checkpoint as checkpoints
from histobridge.training.device import device
from histobridge.training.threads import ThreadChoice, candidates


class Training(Protocol):
    """A model in training, as `train` needs it.

    All random numbers of a step must depend on its number alone (see `philox.Draws`). A resumed training then repeats
    exactly what an uninterrupted one would have done, without saving the state of a random generator.
    """

    to_fit: str
    """What to set where a step does not fit on the card, as the end of a sentence."""

    def step(self, number: int) -> dict[str, float]:
        """Train one step, numbered from 0, and return its losses by name."""

    def state(self) -> dict:
        """Return everything that changes during training, as nested dicts of tensors and numbers."""

    def restore(self, state: dict) -> None:
        """Continue from what `state` returned."""


def train(
    training: Training,
    steps: int,
    *,
    name: str,
    settings: dict,
    checkpoint: Path | None = None,
    save_every: int = 100,
    report: Report | None = None,
    save: Callable[[Path, dict, dict], None] = checkpoints.save,
) -> pd.DataFrame:
    """Train up to step `steps`, from the last checkpoint if there is one.

    Parameters
    ----------
    training : Training
        The model in training.
    steps : int
        Total number of steps, including those of an interrupted run.
    name : str
        Name of the model in progress lines and errors.
    settings : dict
        Saved with the weights. A checkpoint with other settings, or a damaged one, is set aside.
    checkpoint : Path, optional
        File to save to, every `save_every` steps and at the end. By default nothing is saved.
    report : callable, optional
        Called with a progress line at each step. By default a line is printed every ten seconds.
    save : callable
        Writes a checkpoint, as `checkpoint.save` does.

    Returns
    -------
    DataFrame
        One row per step: `step`, one column per loss, `threads` (of the CPU), and `seconds` (training time so far).

    Raises
    ------
    UserError
        If a loss or a weight is not finite; the checkpoint on disk is then the last good one. If the card is too small.
    """
    report = report or ThrottledProgress()
    history, choice = [], ThreadChoice(candidates(device()))
    if checkpoint is not None and (saved := _last(checkpoint, settings)):
        training.restore(saved["training"])
        history = saved["history"]
        for row in range(len(history)):  # so that the same steps run with the same number of threads as without a kill
            choice.note(_duration(history, row))
    first, seconds_before = len(history), history[-1]["seconds"] if history else 0.0
    start = time.monotonic() - seconds_before
    for number in range(first, steps):
        torch.set_num_threads(choice.threads)
        losses = _step(training, number, name)
        _check_finite(losses, name, number, checkpoint)
        history.append({"step": number, **losses, "threads": choice.threads, "seconds": time.monotonic() - start})
        choice.note(_duration(history, number))
        report(_progress_line(name, number + 1, steps, first, history))
        if checkpoint is not None and ((number + 1) % save_every == 0 or number + 1 == steps):
            state = training.state()
            _check_finite({"weights": _total(state)}, name, number, checkpoint)
            save(checkpoint, {"training": state, "history": history}, settings)
    return pd.DataFrame(history)


def _step(training: Training, number: int, name: str) -> dict[str, float]:
    try:
        return training.step(number)
    except torch.OutOfMemoryError as error:
        total = torch.cuda.get_device_properties(device()).total_memory if torch.cuda.is_available() else 0
        raise UserError(
            f"Training of {name} does not fit on this card of {total / 2**30:.0f} GiB: {training.to_fit}."
        ) from error


def _duration(history: list[dict], row: int) -> float:
    """Return the seconds from the end of the step before to the end of a step."""
    return history[row]["seconds"] - (history[row - 1]["seconds"] if row else 0.0)


def _last(checkpoint: Path, settings: dict) -> dict | None:
    """Return the state in a checkpoint; None where there is none that can be continued from."""
    if not checkpoint.exists():
        return None
    try:
        return checkpoints.load(checkpoint, settings)["state"]
    except BrokenError as error:
        set_aside(checkpoint, str(error).removeprefix(f"{checkpoint} ").rstrip("."))
        return None


def _check_finite(losses: dict[str, float], name: str, step: int, checkpoint: Path | None) -> None:
    bad = [loss for loss, value in losses.items() if not math.isfinite(value)]
    if not bad:
        return
    saved = checkpoint is not None and checkpoint.exists()
    remains = f"The last good checkpoint stays in {checkpoint}." if saved else "Nothing was saved."
    raise UserError(
        f"Training of {name} stopped at step {step}: the loss {', '.join(bad)} is not finite. {remains} "
        "Lower the learning rate in the settings, or look for broken images."
    )


def _total(state: object) -> float:
    """Return the sum of all tensors in nested dicts and lists: not finite if one of them is not."""
    if isinstance(state, dict):
        return sum(map(_total, state.values()))
    if isinstance(state, list | tuple):
        return sum(map(_total, state))
    return float(state.sum()) if isinstance(state, torch.Tensor) else 0.0


def _progress_line(name: str, done: int, steps: int, first: int, history: list[dict]) -> str:
    """Describe the last step of `history`: number, pace since the step `first`, minutes left, losses."""
    seconds_before = history[first - 1]["seconds"] if first else 0.0
    pace = (history[-1]["seconds"] - seconds_before) / (done - first)
    minutes_left = pace * (steps - done) / 60
    losses = {k: v for k, v in history[-1].items() if k not in ("step", "threads", "seconds") and "logit" not in k}
    shown = "  ".join(f"{loss} {value:.3f}" for loss, value in losses.items())
    return f"{name}: step {done} of {steps}, {pace:.2f} s a step, {minutes_left:.1f} min left  |  {shown}"


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
"""Factors of the learning rate, by the value of the setting `decay`."""
