"""cost.py: counts that can be done by hand, and those of the published size."""

import pytest
import torch

from histobridge.config import SynDiffSettings
from histobridge_study.config import load_study
from histobridge_study.cost import GIB, Kept, Ledger, training_cost


@pytest.mark.usefixtures("in_float32")  # bfloat16 copies of the weights are kept too, however small a crop
def test_cost_grows_with_pixels(tiny_syndiff):
    """Measured on crops of 32 or 64 px, a step of one setting costs the same; four times the images cost four times."""
    small, large = training_cost(tiny_syndiff, crop=32), training_cost(tiny_syndiff, crop=64)
    assert large.tflop == pytest.approx(small.tflop, rel=0.02)
    assert large.activations_gib == pytest.approx(small.activations_gib, rel=0.1)
    more = training_cost(tiny_syndiff.model_copy(update={"accumulate": 4}), crop=32)
    assert more.tflop == pytest.approx(4 * small.tflop)
    assert more.activations_gib == small.activations_gib  # only `batch` images are held at once


def test_state_is_five_copies_of_generators_and_four_of_discriminators(tiny_syndiff):
    """Weights, gradients, two moments; generators also their average; two of each network, four bytes a number."""
    cost = training_cost(tiny_syndiff, crop=32)
    n = cost.parameters
    assert cost.state_gib * GIB == pytest.approx(8 * (5 * (n["G"] + n["F"]) + 4 * (n["DG"] + n["DF"])))


def test_the_ledger_counts_each_storage_once_and_no_weights():
    """Two views of one tensor of 4000 bytes, kept and let go: at most 4000, then 0."""
    weight, tensor = torch.ones(10), torch.ones(1000)
    ledger = Ledger([weight])
    kept = [Kept(t, ledger) for t in (weight, tensor, tensor[:10])]
    assert (ledger.now, ledger.most) == (4000, 4000)
    del kept
    assert (ledger.now, ledger.most) == (0, 4000)


def test_the_published_size_costs_what_the_study_says():
    """A generator of 23 M parameters, 9 TFLOP a step, and memory that fits 24 GiB: even in float32, closely."""
    compact, published = SynDiffSettings(), load_study().profiles["gpu"].translator
    cost = training_cost(published)
    assert cost.parameters["G"] == pytest.approx(23.3e6, rel=0.01)
    assert cost.tflop == pytest.approx(9.1, rel=0.05)
    assert cost.state_gib + cost.activations_gib < 24
    assert cost.tflop > 100 * training_cost(compact).tflop
