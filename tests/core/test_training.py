"""loop.py and the two trainings: a resumed training repeats an uninterrupted one bit for bit, and NaN stops it."""

import math

import numpy as np
import pytest
import torch

from histobridge.config import training_profile
from histobridge.errors import UserError
from histobridge.io.progress import ThrottledProgress
from histobridge.segmenter import Segmenter, SegmenterTraining
from histobridge.training import checkpoint as checkpoints
from histobridge.training import loop
from histobridge.training.crops import stack
from histobridge.training.distributed import fabric
from histobridge.training.loop import cosine_decay, linear_decay, train
from histobridge.training.philox import Draws
from histobridge.translators.syndiff_training import SynDiffTraining, gradient_energy

MODELS = ("syndiff", "segmenter")


class Counter:
    """A training that adds up one random number per step; its loss is given by `losses`, then 1."""

    to_fit = "take less"

    def __init__(self, losses=()):
        self.total, self.steps, self.losses = torch.zeros(()), [], losses

    def step(self, number):
        """Add the random number of this step."""
        self.total = self.total + Draws(0, torch.tensor(number)).uniform()
        self.steps.append(number)
        return {"good": 1.0, "bad": self.losses[number] if number < len(self.losses) else 1.0}

    def state(self):
        """Return the sum."""
        return {"total": self.total}

    def restore(self, state):
        """Continue from a sum."""
        self.total = state["total"]


@pytest.fixture
def start(drawn, tiny_syndiff, tiny_segmenter):
    """A function that returns a new training of SynDiff or of the segmenter."""

    def begin(model: str, *, seed: int = 0, sign: int = -1, **changes):
        if model == "segmenter":
            return SegmenterTraining(Segmenter(tiny_segmenter, seed=seed), [stack(*pair) for pair in drawn["tem"]])
        source, target = ([stack(2 * image - 1) for image, _ in drawn[m]] for m in ("tem", "sem"))
        settings = tiny_syndiff.model_copy(update=changes)
        return SynDiffTraining(fabric(), settings, sign, seed, source, target)

    return begin


def run(training, steps=6, *, checkpoint=None, report=lambda line: None, save_every=2):
    """Train without output."""
    options = dict(name="it", settings={"steps": 6}, save_every=save_every)
    return train(training, steps, checkpoint=checkpoint, report=report, **options)


def kill_at(step: int):
    """A report that interrupts the training after `step` steps."""

    def report(line):
        if f"step {step} of" in line:
            raise KeyboardInterrupt

    return report


def leaves(state) -> list[torch.Tensor]:
    """All tensors and numbers of nested dicts and lists, as tensors."""
    if isinstance(state, dict):
        state = [value for _, value in sorted(state.items(), key=lambda item: str(item[0]))]
    if isinstance(state, list | tuple):
        return [leaf for value in state for leaf in leaves(value)]
    return [] if state is None else [torch.as_tensor(state)]


def same_state(first, second) -> bool:
    """Whether two trainings have the same weights, averages and optimisers, bit for bit."""
    first, second = leaves(first.state()), leaves(second.state())
    assert len(first) == len(second) > 0
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def gradients(training: SynDiffTraining) -> list[torch.Tensor]:
    """A list to which every optimiser step adds its gradients, as one vector."""
    found = []

    def note(optimiser, *_):
        found.append(torch.cat([p.grad.flatten() for p in optimiser.param_groups[0]["params"]]))

    for optimiser in (training.generator_optimiser, training.critic_optimiser):
        optimiser.register_step_pre_hook(note)
    return found


# --- Resuming -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_resumed_training_equals_an_uninterrupted_one(start, tmp_path, model):
    """Two saved steps, one lost by a kill and two more give the weights and losses of four steps in one go."""
    path = tmp_path / "it.pt"
    whole, broken, resumed = start(model), start(model), start(model)
    expected = run(whole, 4)
    with pytest.raises(KeyboardInterrupt):
        run(broken, 4, checkpoint=path, report=kill_at(3))
    found = run(resumed, 4, checkpoint=path)
    assert same_state(resumed, whole)
    losses = expected.columns.drop("seconds")
    assert found[losses].equals(expected[losses]) and found["seconds"].is_monotonic_increasing


@pytest.mark.parametrize("killed_at", range(1, 7))
def test_a_kill_loses_only_the_steps_since_the_last_save(tmp_path, killed_at):
    """A second run starts at the last save and ends like an uninterrupted run."""
    path, whole, resumed = tmp_path / "it.pt", Counter(), Counter()
    run(whole)
    with pytest.raises(KeyboardInterrupt):
        run(Counter(), checkpoint=path, report=kill_at(killed_at))
    run(resumed, checkpoint=path)
    assert resumed.steps[0] == (killed_at - 1) // 2 * 2 and torch.equal(resumed.total, whole.total)


def test_a_finished_training_is_not_repeated(tmp_path):
    """A complete checkpoint gives its history and state without a step."""
    path, first, second = tmp_path / "it.pt", Counter(), Counter()
    before, after = run(first, checkpoint=path, save_every=100), run(second, checkpoint=path)
    assert second.steps == [] and torch.equal(first.total, second.total) and after.equals(before)


@pytest.mark.parametrize("fault", ["other settings", "cut", "empty", "a bit"])
def test_a_checkpoint_that_cannot_be_continued_from_is_set_aside(tmp_path, capsys, fault):
    """Training begins anew and ends as if nothing had been there; the old file stays beside it (rows 14 and 15)."""
    path = tmp_path / "it.pt"
    run(Counter(), 4, checkpoint=path)
    content = bytearray(path.read_bytes())
    if fault == "other settings":
        checkpoints.save(path, {"training": {}, "history": []}, {"steps": 7})
    elif fault == "a bit":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(content[: len(content) // 2] if fault == "cut" else b"")
    training = Counter()
    assert run(training, 4, checkpoint=path)["step"].tolist() == [0, 1, 2, 3] and training.steps == [0, 1, 2, 3]
    told = capsys.readouterr().out
    assert told.startswith(f"{path} ") and "it is made anew" in told
    assert (tmp_path / "it.pt.set-aside").exists()


def test_seconds_count_training_only(tmp_path, monkeypatch):
    """Seconds before an interruption are added, the interruption is not."""
    clock = iter(range(0, 10_000, 1))
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(clock))
    path = tmp_path / "it.pt"
    with pytest.raises(KeyboardInterrupt):
        run(Counter(), checkpoint=path, report=kill_at(3))
    for _ in range(1000):
        next(clock)
    assert run(Counter(), checkpoint=path)["seconds"].tolist() == [1, 2, 3, 4, 5, 6]


# --- Divergence -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "rate"), [("syndiff", "lr_generator"), ("syndiff", "lr_critic"), ("segmenter", "lr")]
)
def test_a_diverging_training_stops(start, tmp_path, model, rate):
    """A learning rate far too high ends in an error that names the loss."""
    training = start(model)
    training.settings = training.settings.model_copy(update={rate: 1e30})
    with pytest.raises(UserError, match=r"it stopped at step \d: the loss .* is not finite.*learning rate"):
        run(training, checkpoint=tmp_path / "it.pt")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_leaves_the_last_good_checkpoint(tmp_path, bad):
    """The error names the loss and the checkpoint, from which training can continue."""
    path = tmp_path / "it.pt"
    with pytest.raises(UserError, match=r"step 3: the loss bad is not finite.*stays in .*it\.pt"):
        run(Counter([1, 1, 1, bad]), checkpoint=path)
    state = checkpoints.load(path)["state"]
    assert len(state["history"]) == 2 and all(row["bad"] == 1 for row in state["history"])
    healthy = Counter()
    run(healthy, checkpoint=path)
    assert healthy.steps == [2, 3, 4, 5]


def test_an_error_before_the_first_save_names_no_checkpoint(tmp_path):
    """The error says that nothing was saved."""
    for path in (None, tmp_path / "it.pt"):
        with pytest.raises(UserError, match="Nothing was saved"):
            run(Counter([math.nan]), checkpoint=path)


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    """A step that breaks the weights after its loss was computed does not replace a good checkpoint."""

    class Breaks(Counter):
        def step(self, number):
            losses = super().step(number)
            self.total = self.total + (math.nan if number == 3 else 0)
            return losses

    path = tmp_path / "it.pt"
    with pytest.raises(UserError):
        run(Breaks(), checkpoint=path)
    assert torch.isfinite(checkpoints.load(path)["state"]["training"]["total"])


# --- Reports --------------------------------------------------------------------------------------------


def test_history_has_one_row_per_step():
    """The columns are the step, each loss by its name, and the seconds so far."""
    history = run(Counter([0.5]), 3)
    assert history.columns.tolist() == ["step", "good", "bad", "threads", "seconds"]
    assert history["step"].tolist() == [0, 1, 2] and history["bad"].tolist() == [0.5, 1, 1]
    assert history["seconds"].is_monotonic_increasing


def test_progress_lines_show_step_pace_time_left_and_losses(monkeypatch):
    """Every step reports one line."""
    clock = iter(range(0, 10_000, 30))
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(clock))
    lines = []
    run(Counter([0.25]), 4, report=lines.append)
    assert lines[0] == "it: step 1 of 4, 30.00 s a step, 1.5 min left  |  good 1.000  bad 0.250"
    assert len(lines) == 4 and lines[-1].startswith("it: step 4 of 4, 30.00 s a step, 0.0 min left")


def test_the_default_report_prints_every_ten_seconds(monkeypatch, capsys):
    """The first line is printed, later ones only after ten seconds."""
    clock = iter([0.0, 0.0, 9.0, 10.0, 10.0, 11.0, 25.0, 25.0])
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(clock))
    report = ThrottledProgress(10)
    for word in ("first", "early", "second", "soon", "third"):
        report(word)
    assert capsys.readouterr().out.split() == ["first", "second", "third"]


# --- Seeds and learning rates ------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_weights_depend_on_the_seed_alone(start, model):
    """The same seed gives the same weights whatever else was drawn; another seed gives others."""
    first, again, other = start(model), start(model), start(model, seed=1)
    run(first, 2)
    torch.manual_seed(99)
    run(again, 2)
    run(other, 1)
    assert same_state(first, again) and not same_state(first, other)


def test_linear_decay_is_constant_and_then_falls_to_zero():
    """The factor is 1 up to the middle and then a straight line to 0."""
    factors = np.array([linear_decay(step, 10) for step in range(11)])
    np.testing.assert_allclose(factors, [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0], atol=1e-12)


def test_cosine_decay_falls_from_one_to_zero():
    """The factor is cos²(pi s / 2 S), by the half-angle identity."""
    steps = np.arange(11)
    factors = np.array([cosine_decay(step, 10) for step in steps])
    np.testing.assert_allclose(factors, np.cos(np.pi * steps / 20) ** 2, atol=1e-12)


@pytest.mark.parametrize(("decay", "factor"), [("linear", 1.0), ("cosine", 0.75)])
def test_the_setting_decay_sets_both_learning_rates(start, decay, factor):
    """After a third of the steps, linear decay has not begun and the cosine is at (1 + cos 60°) / 2."""
    training = start("syndiff", decay=decay)
    training.step(2)  # of 6
    s = training.settings
    assert training.generator_optimiser.param_groups[0]["lr"].item() == pytest.approx(factor * s.lr_generator)
    assert training.critic_optimiser.param_groups[0]["lr"].item() == pytest.approx(factor * s.lr_critic)


# --- Steps ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_training_changes_every_weight(start, model):
    """After three steps every parameter has moved."""
    training = start(model)
    networks = ("generators", "critics", "average") if model == "syndiff" else ("network",)

    def weights():
        return {f"{part}.{k}": p.clone() for part in networks for k, p in getattr(training, part).named_parameters()}

    before = weights()
    run(training, 3)
    after = weights()
    assert [name for name in before if torch.equal(before[name], after[name])] == []


def test_diffusive_generators_learn_at_the_levels_of_the_translation(start):
    """SynDiff trains at levels 1 to T, never at the clean level 0."""
    training, levels = start("syndiff"), set()
    for domain in "LU":
        generator = training.generators[f"G_{domain}"]
        generator.register_forward_pre_hook(lambda module, inputs: levels.update(inputs[2].tolist()))
    run(training, 3)
    assert levels == {1, 2, 3, 4}


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize(("batch", "accumulate"), [(2, 2), (1, 4)])
def test_accumulated_batches_equal_one_large_batch(start, batch, accumulate):
    """Gradients (with R1), losses and the next step are those of four images at once."""
    whole = start("syndiff", batch=4)
    parts = start("syndiff", batch=batch, accumulate=accumulate)
    expected, found = gradients(whole), gradients(parts)
    for number in range(2):
        assert parts.step(number) == pytest.approx(whole.step(number), rel=1e-4, abs=1e-6)
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.linalg.norm(mine - theirs) < 1e-3 * torch.linalg.norm(theirs)


def test_every_accumulated_batch_counts(start):
    """Replacing the last of four batches by the first changes the gradient."""
    whole, parts = start("syndiff", batch=4), start("syndiff", batch=1, accumulate=4)
    expected, found = gradients(whole), gradients(parts)
    whole.step(0)
    original = parts._draw_parts
    parts._draw_parts = lambda: (lambda p, w: ([*p[:3], p[0]], w))(*original())
    parts.step(0)
    assert torch.linalg.norm(found[1] - expected[1]) > 1e-2 * torch.linalg.norm(expected[1])


def test_the_identity_loss_keeps_images_of_the_target_domain(start):
    """It applies where the contrast is kept, is zero at the start, and a large weight keeps it small."""
    assert "identity" not in run(start("syndiff", sign=-1))
    assert "identity" not in run(start("syndiff", sign=1, weight_identity=0.0))
    free, bound = (run(start("syndiff", sign=1, weight_identity=w))["identity"] / w for w in (1e-6, 100.0))
    assert free[0] == bound[0] == pytest.approx(0, abs=1e-6)
    assert 0 < bound.iloc[-1] < 0.7 * free.iloc[-1]


def test_the_published_size_takes_a_step(drawn):
    """With the profile `gpu`, on one crop of 64 px, all losses are finite and all networks move."""
    settings = training_profile("gpu").translator.model_copy(update={"crop": 64, "batch": 1})
    source, target = ([stack(2 * image - 1) for image, _ in drawn[m]] for m in ("tem", "sem"))
    training = SynDiffTraining(fabric(), settings, 1, 0, source, target)
    before = [p.detach().clone() for net in (training.generators, training.critics) for p in net.parameters()]
    assert all(map(math.isfinite, training.step(0).values()))
    after = [p for net in (training.generators, training.critics) for p in net.parameters()]
    assert all(torch.isfinite(p).all() for p in after)
    last = [training.generators[f"F_{d}"].unet.last.weight for d in "LU"]  # the residual of F starts at zero
    assert all(p.abs().max().item() == pytest.approx(1.6e-4, rel=0.01) for p in last)
    assert sum(not torch.equal(a, b) for a, b in zip(before, after, strict=True)) > 20


def test_compiled_networks_train_alike(start, monkeypatch):
    """With the setting `compile` networks are traced and run as compiled code, the R1 penalty without; losses agree.

    In float32: compiled code rounds to bfloat16 elsewhere than the network does.
    """
    import torch._dynamo

    monkeypatch.setenv("HISTOBRIDGE_PRECISION", "float32")

    def traced(network):
        network._compiled_call_impl = torch.compile(network._call_impl, backend="aot_eager", fullgraph=True)

    monkeypatch.setattr("histobridge.translators.syndiff_training.compiles", lambda device: True)
    monkeypatch.setattr(torch.nn.Module, "compile", traced)
    plain, compiled = start("syndiff", r1_every=2), start("syndiff", r1_every=2, compile=True)
    for number in range(3):
        assert compiled.step(number) == pytest.approx(plain.step(number), rel=1e-3)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    assert list(compiled.state()["generators"]) == list(plain.state()["generators"])


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"batch": 8}, "`batch: 4` and `accumulate: 2`"),
        ({"batch": 3}, "`batch: 1` and `accumulate: 3`"),
        ({"batch": 1}, "`crop` or `width`"),
    ],
)
def test_what_to_set_where_a_step_does_not_fit(start, changes, advice):
    """Half of the batch twice, one image at a time, or less of everything."""
    assert advice in start("syndiff", **changes).to_fit


def test_r1_is_the_squared_gradient_by_the_less_noisy_image_alone():
    """A critic with logits 3 x_t + 5 x_{t+1}, one a pixel, has the energy 3² = 9."""

    class Linear:
        def forward(self, x, level):
            return 3 * x[:, :1] + 5 * x[:, 1:]

    assert gradient_energy(Linear(), torch.rand(2, 2, 4, 4), torch.tensor([0, 1])).item() == pytest.approx(9)


def test_only_the_critics_of_diffusion_are_penalised(start):
    """After one step with a strong R1 the critics of the cycle are those of a step without R1; the others are not."""
    plain, strong = start("syndiff", r1=0.0), start("syndiff", r1=1e4)
    for training in plain, strong:
        training.step(0)
    states = [training.critics.state_dict() for training in (plain, strong)]
    changed = {name.split(".")[0] for name in states[0] if not torch.equal(states[0][name], states[1][name])}
    assert changed == {"DG_L", "DG_U"}


def test_diffusive_generators_do_not_start_as_the_inverse_of_the_cycle(start):
    """In the first step G is far from the real image, unless it has the shortcut: then it returns the image exactly."""
    assert start("syndiff").step(0)["l1"] > 0.1
    assert start("syndiff", condition_shortcut=True).step(0)["l1"] == 0
