"""Run a training step as a CUDA graph: all its kernels are launched at once, and nothing waits for Python.

A graph repeats the same kernels on the same memory. So a step that can be replayed is a function without arguments: it
reads tensors that stay where they are (images, weights, the number of the step, learning rates), and it never asks for
a value on the card. On a CPU that function is simply called: one code path serves both.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch import Tensor

from histobridge.errors import one_of

WARM_UP = 3
"""Calls before a function is captured: libraries choose their kernels, compilers run, optimisers make their state."""


def wanted(name: str) -> bool:
    """Return whether a way of being fast is wanted: True unless the environment variable `name` is `off`.

    Raises
    ------
    UserError
        If it is neither `auto` nor `off`.
    """
    return one_of(name, os.environ.get(name, "auto"), ("auto", "off")) == "auto"


class CudaGraphs:
    """CUDA graphs that share one pool of memory, as functions that are never in use at the same time may."""

    def __init__(self):
        self.pool = torch.cuda.graph_pool_handle()
        self.stream = torch.cuda.Stream()

    def warm_up(self, function: Callable[[], Tensor]) -> Tensor:
        """Call a function on a stream of its own, as CUDA asks of all work before a capture."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            result = function()
        torch.cuda.current_stream().wait_stream(self.stream)
        return result

    def capture(self, function: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """Record the kernels of a function without running them; return what runs them, and where the result lies."""
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
                result = function()
        finally:
            torch.cuda.set_stream(current)  # a capture that fails would leave its own stream
        return graph.replay, result


class Replayed:
    """A function of tensors that stay where they are, captured after a few calls and replayed from then on.

    Parameters
    ----------
    function : callable
        Without arguments, and with a tensor as its result.
    graphs : CudaGraphs, optional
        By default the function is called as it is.
    """

    def __init__(self, function: Callable[[], Tensor], graphs: CudaGraphs | None):
        self.function, self.graphs, self.calls = function, graphs, 0
        self.replay: Callable[[], None] | None = None
        self.result: Tensor | None = None

    def __call__(self) -> Tensor:
        """Return the result; the next call overwrites it."""
        if self.graphs and self.calls == WARM_UP:
            self._capture()
        self.calls += 1
        if self.replay:
            self.replay()
            return self.result
        return self.graphs.warm_up(self.function) if self.graphs else self.function()

    def _capture(self) -> None:
        """Capture the function. Where that fails nothing has run, and the function is called as it is from then on."""
        try:
            self.replay, self.result = self.graphs.capture(self.function)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            print(f"The step cannot be captured as a graph ({reason}): it runs without one, slower.", flush=True)
            self.graphs = None


def graphs_for(device: torch.device, processes: int = 1) -> CudaGraphs | None:
    """Return the means to capture on a device, or None where functions are called as they are.

    That is so on a CPU, with HISTOBRIDGE_GRAPHS=off, and where several processes average their gradients in the step.
    """
    return CudaGraphs() if device.type == "cuda" and processes == 1 and wanted("HISTOBRIDGE_GRAPHS") else None


def compiles(device: torch.device) -> bool:
    """Return whether networks are compiled on a device: on a card with Triton, unless HISTOBRIDGE_COMPILE=off."""
    if device.type != "cuda" or not wanted("HISTOBRIDGE_COMPILE"):
        return False
    return torch.utils._triton.has_triton()
