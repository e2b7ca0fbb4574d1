"""Folds: every subject is in one fold, and a left-out subject is never seen."""

import random

import pytest

from histobridge.data.datasets import subjects
from histobridge.data.folds import PROTOCOLS, split, subject_folds
from histobridge.data.manifest import load_dataset
from histobridge.errors import UserError

SOURCE = [name for name in "abcdefg" for _ in range(ord(name) - 90)]  # 7 to 13 images a subject
TARGET = list("uuuvwwxyz")


def folds(n: int = 5, *, source=SOURCE, target=TARGET) -> dict:
    """Return the folds of both domains."""
    return {"source": subject_folds(source, n), "target": subject_folds(target, n)}


@pytest.mark.parametrize("n", [1, 2, 3, 5, 50])
@pytest.mark.parametrize("images", [SOURCE, TARGET, ["only"]])
def test_every_subject_is_in_exactly_one_fold(images, n):
    """Folds divide the subjects: each is in one fold, and no fold is empty."""
    found = subject_folds(images, n)
    assert sorted(subject for fold in found for subject in fold) == sorted(set(images))
    assert len(found) == min(n, len(set(images))) and all(found)


def test_order_does_not_matter():
    """The folds depend on names and counts alone, not on the order of the files."""
    shuffled = random.Random(0).sample(SOURCE, len(SOURCE))
    assert shuffled != SOURCE and subject_folds(shuffled, 3) == subject_folds(SOURCE, 3)
    assert subject_folds(iter(SOURCE), 3) == subject_folds(SOURCE, 3)


def test_folds_have_about_equally_many_images():
    """No two folds differ by more images than the largest subject has."""
    sizes = [sum(SOURCE.count(subject) for subject in fold) for fold in subject_folds(SOURCE, 3)]
    assert max(sizes) - min(sizes) <= max(map(SOURCE.count, set(SOURCE)))


def test_fewer_subjects_than_folds():
    """The three subjects of bf make three folds of one subject each."""
    assert subject_folds(subjects(load_dataset("bf")), 5) == [["21G-20"], ["23G-15"], ["21G-28"]]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_source_subjects_train_or_are_left_out(protocol):
    """In each fold a source subject either trains or is left out; over all folds, each is left out once."""
    found = [split(folds(), fold, protocol) for fold in range(5)]
    for one in found:
        assert not one.source_train & one.source_left_out
        assert one.source_train | one.source_left_out == set(SOURCE)
    assert sorted(name for one in found for name in one.source_left_out) == sorted(set(SOURCE))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_supervised_bound_is_scored_on_other_subjects(protocol):
    """The supervised bound is never scored on a subject that trained it; over all folds, each is scored once."""
    found = [split(folds(), fold, protocol) for fold in range(5)]
    for one in found:
        assert not one.target_train & one.target_supervised
        assert one.target_train | one.target_supervised == set(TARGET)
    assert sorted(name for one in found for name in one.target_supervised) == sorted(set(TARGET))


def test_inductive_never_sees_what_it_scores():
    """Inductive: images seen and images scored share no subject, and over all folds each subject is scored once."""
    found = [split(folds(), fold, "inductive") for fold in range(5)]
    for one in found:
        assert not one.target_seen & one.target_scored
        assert one.target_seen | one.target_scored == set(TARGET)
        assert one.target_scored == one.target_supervised
    assert sorted(name for one in found for name in one.target_scored) == sorted(set(TARGET))


def test_transductive_sees_and_scores_all_of_the_target():
    """Transductive: every image of U is seen, without its mask, and scored."""
    for fold in range(5):
        one = split(folds(), fold, "transductive")
        assert one.target_seen == one.target_scored == set(TARGET)


def test_a_target_with_fewer_folds_starts_over():
    """With three target folds, fold 3 leaves out what fold 0 did."""
    few = folds(target="uvw")
    left_out = [split(few, fold, "inductive").target_scored for fold in range(5)]
    assert left_out == [{"u"}, {"v"}, {"w"}, {"u"}, {"v"}]


@pytest.mark.parametrize("fold", [-1, 5])
def test_a_fold_out_of_range_is_refused(fold):
    """A fold that does not exist is refused, with the valid range."""
    with pytest.raises(UserError, match=rf"no fold {fold}: .* 0 to 4"):
        split(folds(), fold, "transductive")


def test_inductive_needs_two_subjects():
    """With one subject of U the inductive protocol is refused, and the transductive one works."""
    with pytest.raises(UserError, match="run the transductive one"):
        split(folds(target="u"), 0, "inductive")
    assert split(folds(target="u"), 0, "transductive").target_seen == {"u"}
