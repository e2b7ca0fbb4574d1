"""training.py: a broken-off training repeats what an unbroken one would have done, bit for bit, and NaN stops it."""

import math

import numpy as np
import pytest
import torch

from histobridge.errors import UserError
from histobridge.io.progress import ThrottledProgress
from histobridge.segmenter import Segmenter, SegmenterTraining
from histobridge.training import checkpoint as checkpoints
from histobridge.training import loop as training
from histobridge.training.crops import stack
from histobridge.training.distributed import fabric
from histobridge.training.loop import cosine_decay, linear_decay, step_generator, train
from histobridge.translators.syndiff_training import SynDiffTraining
from histobridge_study.config import load_study

MODELS = ("syndiff", "segmenter")


class Counter:
    """A trainee that adds up what the generators of its steps draw; its loss is what `losses` lists, or 1."""

    def __init__(self, losses=()):
        self.total, self.steps, self.losses = torch.zeros(()), [], losses

    def step(self, number):
        """Add one random number, whatever the loss."""
        self.total = self.total + torch.rand((), generator=step_generator(0, number))
        self.steps.append(number)
        return {"good": 1.0, "bad": self.losses[number] if number < len(self.losses) else 1.0}

    def state(self):
        """The sum."""
        return {"total": self.total}

    def restore(self, state):
        """Take up a sum."""
        self.total = state["total"]


@pytest.fixture
def start(drawn, tiny_syndiff, tiny_segmenter):
    """A function that returns a fresh training of a real model: SynDiff or the segmenter."""

    def begin(model: str, *, seed: int = 0, sign: int = -1, **changes):
        if model == "segmenter":
            return SegmenterTraining(Segmenter(tiny_segmenter, seed=seed), [stack(*pair) for pair in drawn["tem"]])
        source, target = ([stack(2 * image - 1) for image, _ in drawn[m]] for m in ("tem", "sem"))
        settings = tiny_syndiff.model_copy(update=changes)
        return SynDiffTraining(fabric(), settings, sign, seed, source, target)

    return begin


def run(trainee, steps=6, *, checkpoint=None, report=lambda line: None, save_every=2):
    """Train quietly."""
    options = dict(name="it", settings={"steps": 6}, save_every=save_every)
    return train(trainee, steps, checkpoint=checkpoint, report=report, **options)


def kill_at(step: int):
    """A report that ends the process, as far as Python can, when `step` steps are done."""

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


def assert_same(first, second):
    """Two trainees are in the same state, bit for bit: weights, averages, optimisers."""
    first, second = leaves(first.state()), leaves(second.state())
    assert len(first) == len(second) > 0
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("model", MODELS)
def test_killed_and_resumed_is_the_same_as_unbroken(start, tmp_path, model):
    """Two steps saved, one lost in a kill, two more: the same weights and losses as four in one go, bit for bit."""
    path = tmp_path / "it.pt"
    whole, broken, resumed = start(model), start(model), start(model)
    expected = run(whole, 4)
    with pytest.raises(KeyboardInterrupt):
        run(broken, 4, checkpoint=path, report=kill_at(3))
    found = run(resumed, 4, checkpoint=path)
    assert_same(resumed, whole)
    losses = expected.columns.drop("seconds")
    assert found[losses].equals(expected[losses]) and found["seconds"].is_monotonic_increasing


@pytest.mark.parametrize("killed_at", range(1, 7))
def test_a_kill_costs_no_more_than_the_steps_since_the_last_save(tmp_path, killed_at):
    """Wherever it is killed, the second run starts at the last save and ends where an unbroken run does."""
    path, whole, resumed = tmp_path / "it.pt", Counter(), Counter()
    run(whole)
    with pytest.raises(KeyboardInterrupt):
        run(Counter(), checkpoint=path, report=kill_at(killed_at))
    run(resumed, checkpoint=path)
    assert resumed.steps[0] == (killed_at - 1) // 2 * 2 and torch.equal(resumed.total, whole.total)


@pytest.mark.parametrize("model", MODELS)
def test_the_seed_is_all_that_matters(start, model):
    """Same seed, same weights, whatever was drawn elsewhere in between; another seed, other weights."""
    first, again, other = start(model), start(model), start(model, seed=1)
    run(first, 2)
    torch.manual_seed(99)
    run(again, 2)
    assert_same(first, again)
    run(other, 1)
    with pytest.raises(AssertionError):
        assert_same(first, other)


@pytest.mark.parametrize("model", MODELS)
def test_training_changes_every_weight(start, model):
    """No weight is forgotten by the optimisers: after some steps each parameter has moved."""
    trainee = start(model)
    networks = ("generators", "critics", "average") if model == "syndiff" else ("network",)
    before = {f"{part}.{name}": p.clone() for part in networks for name, p in getattr(trainee, part).named_parameters()}
    run(trainee, 3)
    after = {f"{part}.{name}": p for part in networks for name, p in getattr(trainee, part).named_parameters()}
    assert [name for name in before if torch.equal(before[name], after[name])] == []


def test_generators_learn_at_every_level_they_will_be_asked(start):
    """SynDiff draws the noisy image at levels 1 to T, never the clean level 0, as `translate` will."""
    trainee, levels = start("syndiff"), set()
    for domain in "LU":
        generator = trainee.generators[f"G_{domain}"]
        generator.register_forward_pre_hook(lambda module, inputs: levels.update(inputs[2].tolist()))
    run(trainee, 3)
    assert levels == {1, 2, 3, 4}


def gradients(trainee: SynDiffTraining) -> list[torch.Tensor]:
    """A list to which every optimiser step adds its gradients, as one vector."""
    found = []

    def note(optimiser, *_):
        found.append(torch.cat([p.grad.flatten() for p in optimiser.param_groups[0]["params"]]))

    for optimiser in (trainee.generator_optimiser, trainee.critic_optimiser):
        optimiser.register_step_pre_hook(note)
    return found


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize(("batch", "accumulate"), [(2, 2), (1, 4)])
def test_micro_batches_make_the_step_of_the_whole_batch(start, batch, accumulate):
    """Gradients, R1's included, and losses are those of four images at once, and so is the step after."""
    whole = start("syndiff", batch=4)
    parts = start("syndiff", batch=batch, accumulate=accumulate)
    expected, found = gradients(whole), gradients(parts)
    for number in range(2):
        assert parts.step(number) == pytest.approx(whole.step(number), rel=1e-4, abs=1e-6)
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.linalg.norm(mine - theirs) < 1e-3 * torch.linalg.norm(theirs)


def test_no_micro_batch_is_left_out(start):
    """Each of four images changes the gradient: with one put in the place of another the gradient is not the same."""
    whole, parts = start("syndiff", batch=4), start("syndiff", batch=1, accumulate=4)
    expected, found = gradients(whole), gradients(parts)
    whole.step(0)
    original = parts._parts
    parts._parts = lambda number: (lambda p, w: ([*p[:3], p[0]], w))(*original(number))
    parts.step(0)
    assert torch.linalg.norm(found[1] - expected[1]) > 1e-2 * torch.linalg.norm(expected[1])


def test_the_published_size_takes_a_whole_step(drawn):
    """The profile gpu, at full width on one crop of 64 px: every loss is finite and every network has moved."""
    settings = load_study().profiles["gpu"].translator.model_copy(update={"crop": 64, "batch": 1})
    source, target = ([stack(2 * image - 1) for image, _ in drawn[m]] for m in ("tem", "sem"))
    trainee = SynDiffTraining(fabric(), settings, 1, 0, source, target)
    before = [p.detach().clone() for net in (trainee.generators, trainee.critics) for p in net.parameters()]
    assert all(map(math.isfinite, trainee.step(0).values()))
    after = [p for net in (trainee.generators, trainee.critics) for p in net.parameters()]
    assert all(torch.isfinite(p).all() for p in after)
    last = [n.unet.last.weight for n in trainee.generators.values()]  # the residual starts at zero: the rest waits
    assert all(p.abs().max().item() == pytest.approx(1.6e-4, rel=0.01) for p in last)
    assert sum(not torch.equal(a, b) for a, b in zip(before, after, strict=True)) > 20


RATES = [("syndiff", "lr_generator"), ("syndiff", "lr_critic"), ("segmenter", "lr")]


@pytest.mark.parametrize(("model", "rate"), RATES)
def test_a_diverging_training_stops(start, tmp_path, model, rate):
    """A learning rate far too high ends in a sentence that names a loss, not in a useless model."""
    trainee = start(model)
    trainee.settings = trainee.settings.model_copy(update={rate: 1e30})
    with pytest.raises(UserError, match=r"it stopped at step \d: the loss .* is not finite.*learning rate"):
        run(trainee, checkpoint=tmp_path / "it.pt")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nan_stops_and_keeps_the_last_good_checkpoint(tmp_path, bad):
    """The message names the loss and the checkpoint, which holds the steps before the last save."""
    path = tmp_path / "it.pt"
    with pytest.raises(UserError, match=r"step 3: the loss bad is not finite.*stays in .*it\.pt"):
        run(Counter([1, 1, 1, bad]), checkpoint=path)
    state = checkpoints.load(path)["state"]
    assert len(state["history"]) == 2 and all(row["bad"] == 1 for row in state["history"])
    healthy = Counter()
    run(healthy, checkpoint=path)
    assert healthy.steps == [2, 3, 4, 5]


def test_nan_before_the_first_save_promises_no_checkpoint(tmp_path):
    """Where nothing was saved yet, the message does not send the user to a file that is not there."""
    for path in (None, tmp_path / "it.pt"):
        with pytest.raises(UserError, match="Nothing was saved"):
            run(Counter([math.nan]), checkpoint=path)


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    """Losses are those of before the step: a step that breaks the weights must not replace a good checkpoint."""

    class Breaks(Counter):
        def step(self, number):
            losses = super().step(number)
            self.total = self.total + (math.nan if number == 3 else 0)
            return losses

    path = tmp_path / "it.pt"
    with pytest.raises(UserError):
        run(Breaks(), checkpoint=path)
    assert torch.isfinite(checkpoints.load(path)["state"]["trainee"]["total"])


def test_history_has_a_row_a_step():
    """Step, each loss by its name, and the seconds so far."""
    history = run(Counter([0.5]), 3)
    assert history.columns.tolist() == ["step", "good", "bad", "seconds"]
    assert history["step"].tolist() == [0, 1, 2] and history["bad"].tolist() == [0.5, 1, 1]
    assert history["seconds"].is_monotonic_increasing


def test_a_finished_training_is_not_repeated(tmp_path):
    """With a complete checkpoint no step is run; the history and the state are those of before."""
    path, first, second = tmp_path / "it.pt", Counter(), Counter()
    before, after = run(first, checkpoint=path, save_every=100), run(second, checkpoint=path)
    assert second.steps == [] and torch.equal(first.total, second.total) and after.equals(before)


def test_time_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """Seconds count training only: those before a break are added, the break is not."""
    clock = iter(range(0, 10_000, 1))
    monkeypatch.setattr(training.time, "monotonic", lambda: next(clock))
    path = tmp_path / "it.pt"
    with pytest.raises(KeyboardInterrupt):
        run(Counter(), checkpoint=path, report=kill_at(3))
    for _ in range(1000):
        next(clock)
    assert run(Counter(), checkpoint=path)["seconds"].tolist() == [1, 2, 3, 4, 5, 6]


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    """Nobody continues a training by accident with other settings."""
    path = tmp_path / "it.pt"
    run(Counter(), checkpoint=path)
    with pytest.raises(UserError, match="steps: 6 then, 7 now"):
        train(Counter(), 7, name="it", settings={"steps": 7}, checkpoint=path)


def test_progress_lines(monkeypatch):
    """Each step reports its number, the pace, the time left and the losses."""
    clock = iter(range(0, 10_000, 30))
    monkeypatch.setattr(training.time, "monotonic", lambda: next(clock))
    lines = []
    run(Counter([0.25]), 4, report=lines.append)
    assert lines[0] == "it: step 1 of 4, 30.00 s a step, 1.5 min left  |  good 1.000  bad 0.250"
    assert len(lines) == 4 and lines[-1].startswith("it: step 4 of 4, 30.00 s a step, 0.0 min left")


def test_the_default_report_prints_now_and_then(monkeypatch, capsys):
    """The first line comes at once, later ones not before ten seconds have passed."""
    clock = iter([0.0, 0.0, 9.0, 10.0, 10.0, 11.0, 25.0, 25.0])
    monkeypatch.setattr(training.time, "monotonic", lambda: next(clock))
    say = ThrottledProgress(10)
    for word in ("first", "early", "second", "soon", "third"):
        say(word)
    assert capsys.readouterr().out.split() == ["first", "second", "third"]


def test_each_step_has_its_own_random_numbers():
    """Steps and seeds draw independent numbers; step and seed again draw the same."""
    drawn = {(s, n): torch.rand(3, generator=step_generator(s, n)).tolist() for s in (0, 1) for n in (0, 1, 2)}
    assert len(set(map(tuple, drawn.values()))) == 6
    assert drawn[1, 2] == torch.rand(3, generator=step_generator(1, 2)).tolist()


def test_the_learning_rate_is_constant_and_then_falls_to_zero():
    """1 up to the middle, then a straight line that would reach 0 after the last step."""
    factors = np.array([linear_decay(step, 10) for step in range(11)])
    np.testing.assert_allclose(factors, [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0], atol=1e-12)


def test_the_cosine_falls_from_one_to_zero():
    """cos²(pi s / 2 S) in closed form, the identity of half angles; settings choose it by name."""
    steps = np.arange(11)
    factors = np.array([cosine_decay(step, 10) for step in steps])
    np.testing.assert_allclose(factors, np.cos(np.pi * steps / 20) ** 2, atol=1e-12)


def test_what_looks_like_its_target_already_is_left_alone(start):
    """Where the contrast is kept, changing an image of the domain itself costs: nothing at the start, little later."""
    assert "identity" not in run(start("syndiff", sign=-1))
    assert "identity" not in run(start("syndiff", sign=1, weight_identity=0.0))
    free, bound = (run(start("syndiff", sign=1, weight_identity=w))["identity"] / w for w in (1e-6, 100.0))
    assert free[0] == bound[0] == pytest.approx(0, abs=1e-6)
    assert 0 < bound.iloc[-1] < 0.7 * free.iloc[-1]


@pytest.mark.parametrize(("decay", "factor"), [("linear", 1.0), ("cosine", 0.75)])
def test_the_decay_of_the_settings_sets_both_rates(start, decay, factor):
    """A third of the way, linear decay has not begun and the cosine is at (1 + cos 60°) / 2."""
    trainee = start("syndiff", decay=decay)
    trainee.step(2)  # of 6
    s = trainee.settings
    assert trainee.generator_optimiser.param_groups[0]["lr"] == pytest.approx(factor * s.lr_generator)
    assert trainee.critic_optimiser.param_groups[0]["lr"] == pytest.approx(factor * s.lr_critic)


def test_settings_of_before_are_the_settings_of_now(tiny_syndiff):
    """A setting added later is not dumped at its default, so that older checkpoints and folders still fit."""
    assert not {"decay", "accumulate"} & tiny_syndiff.model_dump().keys()
    changed = tiny_syndiff.model_copy(update={"decay": "cosine", "accumulate": 3})
    assert type(changed)(**changed.model_dump(mode="json")) == changed
