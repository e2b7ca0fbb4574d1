"""replay.py: a step that is replayed as a graph equals the step that is called, and without graphs everything runs.

No card is needed: `Recorder` does with the operations of a CPU what a CUDA graph does with kernels.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from histobridge.errors import UserError
from histobridge.segmenter import Segmenter, SegmenterTraining
from histobridge.training import replay
from histobridge.training.crops import stack
from histobridge.training.distributed import fabric
from histobridge.training.replay import WARM_UP, Replayed, compiles, graphs_for
from histobridge.translators.syndiff_training import SynDiffTraining

ATEN = torch.ops.aten
NOT_PERMITTED = {
    ATEN._local_scalar_dense: "a value is asked for",
    ATEN.nonzero: "a size depends on values",
    ATEN.masked_select: "a size depends on values",
    ATEN.equal: "a value is asked for",
    ATEN.lift_fresh: "a tensor is made of Python numbers",
    ATEN.rand: "a generator with a state is used",
    ATEN.randn: "a generator with a state is used",
    ATEN.randint: "a generator with a state is used",
    ATEN.bernoulli_: "a generator with a state is used",
    ATEN.normal_: "a generator with a state is used",
    ATEN.uniform_: "a generator with a state is used",
    ATEN.multinomial: "a generator with a state is used",
}


def storages(*values) -> set[int]:
    """The memory of all tensors in nested lists."""
    return {v.untyped_storage().data_ptr() for v in tree_flatten(values)[0] if isinstance(v, torch.Tensor)}


class Recorder(TorchDispatchMode):
    """Records operations with their tensors, and repeats them on the same memory.

    It refuses what CUDA refuses during a capture, and what a replay would not do anew.
    """

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if reason := NOT_PERMITTED.get(operation.overloadpacket):
            raise RuntimeError(f"operation not permitted when stream is capturing: {reason} ({operation})")
        result = operation(*args, **kwargs)
        self.operations.append((operation, args, kwargs, result, storages(args, kwargs)))
        return result

    @torch.no_grad()
    def repeat(self):
        """Run everything again."""
        for operation, args, kwargs, result, inputs in self.operations:
            again = operation(*args, **kwargs)
            for old, new in zip(tree_flatten(result)[0], tree_flatten(again)[0], strict=True):
                if isinstance(old, torch.Tensor) and old.untyped_storage().data_ptr() not in inputs:
                    old.copy_(new)  # a graph writes to the memory of its capture; views and changes in place do anyway


class RecordedGraphs:
    """`CudaGraphs` on a CPU."""

    def warm_up(self, function):
        """Call the function."""
        return function()

    def capture(self, function):
        """Record the function; a CPU runs it by that, which counts as the first replay."""
        with Recorder() as recorder:
            result = function()
        replays = iter([lambda: None])
        return (lambda: next(replays, recorder.repeat)()), result


@pytest.fixture(params=["syndiff", "syndiff in parts", "segmenter", "segmenter, randomised, with batch norm"])
def begin(request, drawn, tiny_syndiff, tiny_segmenter, monkeypatch):
    """A function that returns a new training, with or without graphs."""

    def training(graphs):
        for module in ("histobridge.segmenter", "histobridge.translators.syndiff_training"):
            monkeypatch.setattr(f"{module}.graphs_for", lambda *where: graphs)
        if request.param.startswith("segmenter"):
            others = {"randomise": True, "norm": "batch"} if "batch" in request.param else {}
            segmenter = Segmenter(tiny_segmenter.model_copy(update=others))
            return SegmenterTraining(segmenter, [stack(*pair) for pair in drawn["tem"]])
        parts = {"batch": 1, "accumulate": 2} if "parts" in request.param else {}
        settings = tiny_syndiff.model_copy(update={"r1_every": 2, **parts})
        return SynDiffTraining(fabric(), settings, 1, 0, *images(drawn))

    return training


def images(drawn):
    """Images of L and of U, in -1..1."""
    return [[stack(2 * image - 1) for image, _ in drawn[modality]] for modality in ("tem", "sem")]


def tensors(state) -> list[torch.Tensor]:
    """All tensors of a state."""
    return [value for value in tree_flatten(state)[0] if isinstance(value, torch.Tensor)]


def test_a_replayed_step_equals_a_called_one(begin):
    """Losses, weights, moments and averages are the same while steps are called, captured and replayed."""
    called, replayed = begin(None), begin(RecordedGraphs())
    for number in range(2 * WARM_UP + 4):
        assert replayed.step(number) == pytest.approx(called.step(number), rel=1e-4)
    steps = [replayed._step] if hasattr(replayed, "_step") else replayed._steps.values()
    assert all(step.replay for step in steps)
    for mine, theirs in zip(tensors(replayed.state()), tensors(called.state()), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_a_resumed_training_may_be_replayed(begin):
    """A state that was saved without graphs is continued with them, and the other way round."""
    called, broken, resumed, back = begin(None), begin(None), begin(RecordedGraphs()), begin(None)
    for number in range(10):
        expected = called.step(number)
        if number < 3:
            broken.step(number)
    resumed.restore(broken.state())
    for number in range(3, 10):
        found = resumed.step(number)
    assert found == pytest.approx(expected, rel=1e-4)
    back.restore(resumed.state())
    assert back.step(10) == pytest.approx(called.step(10), rel=1e-4)


def test_what_cannot_be_captured_runs_as_it_is(capsys):
    """A function that asks for a value is called in every step, and that is said once."""
    total = torch.zeros(())

    def add():
        total.add_(1)
        return total.clone() if total.item() > 0 else total

    function = Replayed(add, RecordedGraphs())
    total.zero_()
    function.calls = WARM_UP
    found = [function().item() for _ in range(3)]
    assert found[1:] == [found[0] + 1, found[0] + 2] and function.replay is None
    assert capsys.readouterr().out.count("cannot be captured") == 1


def test_too_little_memory_for_a_capture_is_told(monkeypatch):
    """It is no reason to go on without a graph, which needs as much."""

    class Full(RecordedGraphs):
        def capture(self, function):
            raise torch.OutOfMemoryError("CUDA out of memory")

    function = Replayed(lambda: torch.zeros(()), Full())
    function.calls = WARM_UP
    with pytest.raises(torch.OutOfMemoryError):
        function()


@pytest.mark.parametrize("name", ["HISTOBRIDGE_GRAPHS", "HISTOBRIDGE_COMPILE"])
def test_graphs_and_compiler_can_be_switched_off(monkeypatch, name):
    """A CPU has neither; on a card `off` switches them off, and other words are refused."""
    card = torch.device("cuda")
    monkeypatch.setattr(replay, "CudaGraphs", lambda: "graphs")
    monkeypatch.setattr(torch.utils._triton, "has_triton", lambda: True)
    assert graphs_for(torch.device("cpu")) is None and not compiles(torch.device("cpu"))
    assert graphs_for(card) == "graphs" and compiles(card) and graphs_for(card, processes=2) is None
    monkeypatch.setenv(name, "off")
    assert (graphs_for(card) is None) == (name == "HISTOBRIDGE_GRAPHS") and compiles(card) != (
        name != "HISTOBRIDGE_GRAPHS"
    )
    monkeypatch.setenv(name, "no")
    with pytest.raises(UserError, match=f"{name}.*auto, off"):
        graphs_for(card), compiles(card)
