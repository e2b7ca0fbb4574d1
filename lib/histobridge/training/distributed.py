"""Train in one process on a CPU or GPU, or in several processes with one GPU each.

Lightning Fabric starts the processes and averages over them. A single process takes the same path.
"""

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
from histobridge.machine import number_asked, precision
from histobridge.training import checkpoint as checkpoints
from histobridge.training.device import device

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def fabric(processes: int = 1) -> Fabric:
    """Return the Fabric of `processes` processes on this machine, in bfloat16 where the hardware supports it."""
    from lightning_fabric import Fabric  # slow to import, so only for training
    from lightning_fabric.plugins.environments import LightningEnvironment

    return Fabric(
        accelerator=device().type,
        devices=processes,
        strategy="auto" if processes == 1 else "ddp_spawn",
        precision="bf16-mixed" if precision() == "bfloat16" else "32-true",
        plugins=[LightningEnvironment()],  # inside a SLURM job too: this library starts the processes, not srun
    )


def device_count() -> int:
    """Return how many devices train: HISTOBRIDGE_DEVICES if set, else all visible GPUs, else one CPU process.

    Raises
    ------
    UserError
        If HISTOBRIDGE_DEVICES is neither a positive number nor `auto`, or exceeds the number of visible GPUs.
    """
    gpus, asked = torch.cuda.device_count(), number_asked("HISTOBRIDGE_DEVICES", "processes")
    if asked is None:
        return max(1, gpus)
    if 0 < gpus < asked:
        raise UserError(f"HISTOBRIDGE_DEVICES asks for {asked} GPUs, {gpus} are visible: lower it, or unset it.")
    return asked


def equal_shares(batch: int, most: int) -> int:
    """Return the largest number up to `most` that divides `batch`.

    >>> [equal_shares(8, most) for most in (1, 2, 3, 4, 100)]
    [1, 2, 2, 4, 8]
    """
    return max(n for n in range(1, most + 1) if batch % n == 0)


def launch(function: Callable, *args, batch: int):
    """Call `function(fabric, *args)` in all processes that share a batch; return the result of the first process.

    A single process is the current one. Several processes are spawned. Then `function` must be importable, its
    arguments and result are pickled, and a script must guard its main part by `if __name__ == "__main__"`.

    Parameters
    ----------
    function : callable
        Called in every process with its Fabric and `args`.
    batch : int
        Images per step. As many of the `device_count()` devices train as can have equal shares of it.

    Raises
    ------
    UserError
        As `device_count` and `function` do.
    """
    available = device_count()
    processes = equal_shares(batch, available)
    if processes < available:
        print(
            f"{processes} of {available} devices train: a batch of {batch} has no {available} equal shares", flush=True
        )
    if processes == 1:
        result, error = fabric().launch(_call, function, args)
    else:
        # Fabric refuses to spawn from a notebook, and a notebook cannot fork once it uses the GPU: a helper spawns.
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn, initializer=_exit_with_parent) as helper:
            result, error = helper.submit(_launch_processes, processes, function, args).result()
    if error:
        raise error
    return result


def save_from_first(fabric: Fabric, path: Path, state: dict, settings: dict) -> None:
    """Write a checkpoint in the first process. If that fails, all processes raise its `UserError`."""
    error = None
    if fabric.is_global_zero:
        try:
            checkpoints.save(path, state, settings)
        except UserError as failure:
            error = failure
    if error := fabric.broadcast(error):  # without it the other processes would wait for the first one for ever
        raise error


def _call(fabric: Fabric, function: Callable, args: tuple) -> tuple:
    """Return result and error. Fabric would turn a `UserError` raised in a process into the text of a traceback."""
    try:
        return function(fabric, *args), None
    except UserError as error:
        return None, error


def _launch_processes(processes: int, function: Callable, args: tuple) -> tuple:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "result")
        fabric(processes).launch(_call_and_write, file, function, args)
        return pickle.loads(file.read_bytes())


def _call_and_write(fabric: Fabric, file: Path, function: Callable, args: tuple) -> None:
    """Write the first process's result to a file: Fabric's own pipe of 64 KiB is not read until all processes end."""
    _exit_with_parent()
    outcome = _call(fabric, function, args)
    if fabric.is_global_zero:
        file.write_bytes(pickle.dumps(outcome))


def _exit_with_parent() -> None:
    """End this process when its parent ends, even if killed, so that no training stays behind on the GPUs."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
