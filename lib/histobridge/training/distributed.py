"""Start the processes that train: one on a CPU or GPU, or one for each GPU."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from histobridge.errors import UserError

if TYPE_CHECKING:
    from lightning_fabric import Fabric
from histobridge.training.device import device, has_bfloat16


def fabric(processes: int = 1) -> Fabric:
    """Return the Fabric of so many processes on this machine, in bfloat16 where that is faster; never in float16."""
    from lightning_fabric import Fabric  # seconds, which only a training should cost
    from lightning_fabric.plugins.environments import LightningEnvironment

    return Fabric(
        accelerator=device().type,
        devices=processes,
        strategy="auto" if processes == 1 else "ddp_spawn",
        precision="bf16-mixed" if has_bfloat16() else "32-true",
        plugins=[LightningEnvironment()],  # inside a SLURM job too: the processes are ours, not srun's
    )


def devices() -> int:
    """Return how many devices may train: all visible GPUs, or one CPU process, or what HISTOBRIDGE_DEVICES says.

    Raises
    ------
    UserError
        If HISTOBRIDGE_DEVICES is neither a positive number nor `auto`, or asks for more GPUs than there are.
    """
    gpus, asked = torch.cuda.device_count(), os.environ.get("HISTOBRIDGE_DEVICES", "auto")
    if asked == "auto":
        return max(1, gpus)
    if not asked.isdecimal() or int(asked) == 0:
        raise UserError(f"HISTOBRIDGE_DEVICES is '{asked}': set it to a number of processes (1, 2, ...) or to auto.")
    if 0 < gpus < int(asked):
        raise UserError(f"HISTOBRIDGE_DEVICES asks for {asked} GPUs, {gpus} are visible: lower it, or unset it.")
    return int(asked)


def launch(function: Callable, *args, batch: int):
    """Return `function(fabric, *args)` of the first of the processes that share a batch equally.

    One process is this one. More are started afresh, so that `function` must be importable, its arguments and result
    must pass through a pipe, and a script must guard its main part by `if __name__ == "__main__"`. They are started
    from a helper process, because a notebook's own can be neither forked (it may use the GPU already) nor, says
    Fabric, spawned from.

    Parameters
    ----------
    function : callable
        Called in every process with its Fabric and `args`.
    batch : int
        Images a step. As many of the `devices()` take part as can have equal shares of it.

    Raises
    ------
    UserError
        As `devices` and `function` do.
    """
    there = devices()
    processes = equal_shares(batch, there)
    if processes < there:
        print(f"{processes} of {there} devices train: a batch of {batch} has no {there} equal shares", flush=True)
    if processes == 1:
        result, error = fabric().launch(_answer, function, args)
    else:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn, initializer=_end_with_parent) as helper:
            result, error = helper.submit(_launch_many, processes, function, args).result()
    if error:
        raise error
    return result


def equal_shares(batch: int, most: int) -> int:
    """Return the largest number up to `most` that divides `batch`.

    >>> [equal_shares(8, most) for most in (1, 2, 3, 4, 100)]
    [1, 2, 2, 4, 8]
    """
    return max(n for n in range(1, most + 1) if batch % n == 0)


def _answer(fabric: Fabric, function: Callable, args: tuple) -> tuple:
    """Return the result and no error, or the user's mistake: raised, it would arrive as the text of a traceback."""
    try:
        return function(fabric, *args), None
    except UserError as error:
        return None, error


def _launch_many(processes: int, function: Callable, args: tuple) -> tuple:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "answer")
        fabric(processes).launch(_write_answer, file, function, args)
        return pickle.loads(file.read_bytes())


def _write_answer(fabric: Fabric, file: Path, function: Callable, args: tuple) -> None:
    """Leave the first process's answer in a file: Fabric empties its pipe, of 64 KiB, only when all have ended."""
    _end_with_parent()
    answer = _answer(fabric, function, args)
    if fabric.is_global_zero:
        file.write_bytes(pickle.dumps(answer))


def _end_with_parent() -> None:
    """Let this process end when its parent is gone, even killed: no training stays behind on the GPUs."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
