"""threads.py: the fastest number of threads is found, kept, recorded, and looked for again when the pace halves."""

import pytest
import torch

from histobridge.errors import UserError
from histobridge.training import loop, threads
from histobridge.training.loop import train
from histobridge.training.threads import TRIAL, WATCHED, ThreadChoice, candidates

CPU = torch.device("cpu")
QUIET, BUSY = {1: 0.4, 2: 0.23, 4: 0.3, 8: 0.2}, {1: 0.55, 2: 5.0, 4: 9.0, 8: 9.0}
"""Seconds a step by threads; BUSY is beside a process that keeps a core."""


def used(choice: ThreadChoice, pace: dict[int, float], calls: int) -> list[int]:
    """The numbers of threads of some calls at a pace."""
    found = []
    for _ in range(calls):
        found.append(choice.threads)
        choice.note(pace[choice.threads])
    return found


@pytest.mark.parametrize(("most", "expected"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (16, [1, 2, 4, 8, 16])])
def test_numbers_up_to_all_threads_are_tried(monkeypatch, most, expected):
    """They double; on a card, whose pace does not depend on them, there is one."""
    monkeypatch.setattr(threads, "MOST", most)
    monkeypatch.delenv("HISTOBRIDGE_THREADS", raising=False)
    assert candidates(CPU) == expected and candidates(torch.device("cuda")) == [most]


def test_a_fixed_number_can_be_asked_for(monkeypatch):
    """HISTOBRIDGE_THREADS is that number; other words are refused."""
    monkeypatch.setenv("HISTOBRIDGE_THREADS", "3")
    assert candidates(CPU) == [3] and used(ThreadChoice([3]), {3: 1.0}, 30) == [3] * 30
    for wrong in ("0", "-1", "two"):
        monkeypatch.setenv("HISTOBRIDGE_THREADS", wrong)
        with pytest.raises(UserError, match=r"HISTOBRIDGE_THREADS.*number of threads"):
            candidates(CPU)


def test_the_fastest_number_is_kept():
    """Each number is tried for a few calls, until one more is no gain."""
    assert used(ThreadChoice([1, 2]), QUIET, 50) == [1] * TRIAL + [2] * (50 - TRIAL)
    assert used(ThreadChoice([1, 2, 4, 8]), QUIET, 50) == [1] * TRIAL + [2] * TRIAL + [4] * TRIAL + [2] * (
        50 - 3 * TRIAL
    )


def test_a_hopeless_number_costs_two_calls():
    """Beside a busy process two threads are given up after two calls."""
    assert used(ThreadChoice([1, 2, 4]), BUSY, 10) == [1] * TRIAL + [2, 2] + [1] * (8 - TRIAL)


def test_the_first_call_does_not_count():
    """It is slow because memory and kernels are prepared."""
    choice = ThreadChoice([1, 2])
    choice.note(9.0)
    assert used(choice, QUIET, 20)[TRIAL - 1 :] == [2] * (21 - TRIAL)


@pytest.mark.parametrize(("slow", "again"), [(WATCHED - 1, False), (WATCHED, True)])
def test_the_numbers_are_tried_again_when_the_pace_halves_for_a_while(slow, again):
    """Some slow calls are borne; as many as are watched begin a new trial, which finds what is fastest now."""
    choice = ThreadChoice([1, 2])
    used(choice, QUIET, 20)
    assert used(choice, BUSY, slow) == [2] * slow
    assert used(choice, BUSY if again else QUIET, 20)[-1] == (1 if again else 2)


def test_a_pace_less_than_twice_as_slow_is_borne():
    """There is no new trial."""
    choice = ThreadChoice([1, 2])
    used(choice, QUIET, 20)
    assert set(used(choice, {2: 1.9 * QUIET[2]}, 50)) == {2}


# --- In a training --------------------------------------------------------------------------------------


class Paced:
    """A training whose steps take the time that the number of threads gives; a clock for `loop`."""

    def __init__(self):
        self.now, self.busy = 0.0, range(30, 60)

    def monotonic(self):
        """Seconds so far."""
        return self.now

    def step(self, number):
        """Take the time of a step."""
        self.now += (BUSY if number in self.busy else QUIET)[torch.get_num_threads()]
        return {"loss": 1.0}

    def state(self):
        """Nothing."""
        return {}

    def restore(self, state):
        """Nothing."""


@pytest.fixture
def paced(monkeypatch):
    """A function that trains 80 steps on up to two threads; neighbours keep a core in steps 30 to 59."""
    monkeypatch.setattr(threads, "MOST", 2)
    monkeypatch.delenv("HISTOBRIDGE_THREADS", raising=False)
    before = torch.get_num_threads()

    def run(checkpoint=None, report=lambda line: None):
        training = Paced()
        monkeypatch.setattr(loop, "time", training)
        return train(training, 80, name="it", settings={}, checkpoint=checkpoint, report=report, save_every=1)

    yield run
    torch.set_num_threads(before)


def test_a_training_records_the_threads_of_every_step(paced):
    """Two threads while it is quiet; soon after a neighbour comes, one."""
    found = paced()["threads"].tolist()
    assert found[:TRIAL] == [1] * TRIAL and set(found[TRIAL : 30 + WATCHED]) == {2}
    assert set(found[30 + WATCHED + TRIAL + 2 :]) == {1} and torch.get_num_threads() == 1


@pytest.mark.parametrize("killed_at", [1, 2, 4, 6, 20, 34, 39, 41, 43, 70])
def test_a_resumed_training_uses_the_same_threads(paced, tmp_path, killed_at):
    """Wherever it was killed, in a trial too, each step has the number that it has without a kill."""

    def kill(line):
        if f"step {killed_at} of" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paced(tmp_path / "it.pt", kill)
    whole, resumed = paced(), paced(tmp_path / "it.pt")
    assert resumed["threads"].tolist() == whole["threads"].tolist()


def test_a_card_that_is_too_small_is_one_sentence(paced, monkeypatch):
    """The error says what to set; nothing else is caught."""
    monkeypatch.setattr(Paced, "to_fit", "set `batch: 4` in its profile", raising=False)
    monkeypatch.setattr(Paced, "step", lambda self, number: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA")))
    with pytest.raises(
        UserError, match=r"^Training of it does not fit on this card.*: set `batch: 4` in its profile\.$"
    ):
        paced()
