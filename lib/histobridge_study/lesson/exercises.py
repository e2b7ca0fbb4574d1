"""Exercises that check themselves: right, not yet (with a hint that gives nothing away), or not answered yet.

`...` in a cell stands for no answer. It fails nothing, so that the notebook also runs from top to bottom unattended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape

import numpy as np

from histobridge.errors import one_of
from histobridge.metrics.overlap import dice, iou

Hint = str | None  # None: the answer is right
LOOKS = {True: ("✓ Right.", "#009E73"), False: ("Not yet.", "#D55E00"), None: ("Not answered yet.", "#777777")}


class WrongKind(Exception):
    """The answer is no number, no word or no list of words, whichever is asked for."""


@dataclass(frozen=True)
class Verdict:
    """What is said of an answer: `right` is None where there is none. Shown in a coloured frame, or as plain text."""

    right: bool | None
    words: str = ""

    def __repr__(self) -> str:
        return f"{LOOKS[self.right][0]} {self.words}".rstrip()

    def _repr_html_(self) -> str:
        colour = LOOKS[self.right][1]
        return f'<div style="border-left: 5px solid {colour}; padding: 0.3em 0.8em">{escape(repr(self))}</div>'


def check(exercise: str, answer: object, **given) -> Verdict:
    """Judge the answer to an exercise.

    Parameters
    ----------
    exercise : str
        One of `EXERCISES`.
    answer : object
        `...` or None if there is none yet.
    **given
        What the exercise is about, where that depends on the run; the right answer is worked out from it.

    Raises
    ------
    UserError
        If there is no such exercise.

    Examples
    --------
    >>> check("contrast", ...), check("contrast", "invert").right
    (Not answered yet. Replace the three dots by your answer and run the cell again., False)
    """
    polarity_segmenter = EXERCISES[one_of("exercise", exercise, EXERCISES)]
    if answer is None or answer is ...:
        return Verdict(None, "Replace the three dots by your answer and run the cell again.")
    try:
        hint = polarity_segmenter(answer, **given)
    except WrongKind:
        return Verdict(False, "That is not the kind of answer that is asked for: read the comment in the cell.")
    return Verdict(hint is None, hint or PRAISE[exercise])


def _pixels(answer: object, *, um: float, um_per_px: float) -> Hint:
    if _near(answer, um * um_per_px):
        return "That would make an axon smaller than a pixel. How many pixels lie side by side in one µm?"
    return None if _near(answer, um / um_per_px) else "Length in pixels times µm a pixel must give the length in µm."


def _dice(answer: object, *, true: np.ndarray, predicted: np.ndarray) -> Hint:
    if _near(answer, dice(true, predicted)):
        return None
    if _near(answer, iou(true, predicted)):
        return "That is intersection over union. Dice divides by the sum of both areas, and counts the overlap ..."
    if _number(answer) > 1:
        return "Dice is never above 1: what is divided by what?"
    return "Count the overlap for each of the two masks: perfect agreement must give 1."


def _contrast(answer: object) -> Hint:
    if _word(answer) not in ("keep", "invert"):
        return 'Answer "keep" or "invert".'
    return None if _word(answer) == "keep" else "Are the rings around axons dark or bright here, and in TEM?"


def _cycle(answer: object, *, names: Iterable[str], losses: Iterable[float]) -> Hint:
    known = dict(zip(names, losses, strict=True))
    named = _words(answer)
    if unknown := named - known.keys():
        return f"There is no {', '.join(sorted(unknown))}. Choose from {', '.join(known)}."
    seen = {name for name, loss in known.items() if loss > 1e-6}
    if named - seen:
        return "One that you name can be undone exactly, and then the loop closes without a trace."
    return None if named == seen else "One more does away with something that no way back can restore."


def _trap(answer: object) -> Hint:
    if _word(answer) == "enclosure":
        return None
    if "dice" in _word(answer):
        return "Dice tells, but needs the masks of U, which nobody has. Which column gets by without?"
    return "Does that column differ enough to bet all your labels on? One column knows some anatomy."


def _level(answer: object, *, alpha_bar: Iterable[float]) -> Hint:
    right = int(np.argmax(np.asarray(alpha_bar) < 0.5))
    if _near(answer, right):
        return None
    later = "later" if _number(answer) < right else "earlier"
    return f"It happens {later}: compare every ᾱ with 0.5."


def _last_step(answer: object) -> Hint:
    return None if _near(answer, 0) else "Put t = 0 into the variance: how much of x_0 is left at level 0?"


def _new_images(answer: object) -> Hint:
    if _word(answer) not in ("tutorship", "adaptation"):
        return 'Answer "tutorship" or "adaptation".'
    return None if _word(answer) == "tutorship" else "What must that one do with every new image before it labels?"


def _review(answer: object, *, found: Iterable[float]) -> Hint:
    right = int(np.argmax(np.asarray(found) >= 0.5)) + 1
    if _near(answer, right):
        return None
    if _near(answer, right - 1):
        return "Nearly: rows are numbered from 0, tiles are counted from 1; and half must be reached."
    return "Go down the column `found`: in which row does it first reach 0.5?"


def _near(answer: object, right: float) -> bool:
    return abs(_number(answer) - right) < 0.005 * max(1.0, abs(right))


def _number(answer: object) -> float:
    try:
        return float(answer)
    except (TypeError, ValueError) as error:
        raise WrongKind from error


def _word(answer: object) -> str:
    if not isinstance(answer, str):
        raise WrongKind
    return answer.strip().lower()


def _words(answer: object) -> set[str]:
    if not isinstance(answer, str | Iterable):
        raise WrongKind
    return {_word(word) for word in ([answer] if isinstance(answer, str) else answer)}


EXERCISES: dict[str, Callable[..., Hint]] = {
    "pixels": _pixels,
    "dice": _dice,
    "contrast": _contrast,
    "level": _level,
    "last step": _last_step,
    "cycle": _cycle,
    "trap": _trap,
    "new images": _new_images,
    "review": _review,
}
PRAISE = {
    "pixels": "And in a network that sees 64 px at a time, that is what an axon has to be.",
    "dice": "The overlap counts twice because it lies in both masks.",
    "contrast": "Both show dark sheaths; below, anatomy is asked for its opinion.",
    "level": "Half of the walk, and little is left to be seen of the image.",
    "last step": "So the last step returns the generator's guess itself.",
    "cycle": "All that can be undone passes unseen, whatever it does to labels.",
    "trap": "An axon wears a ring of myelin, in every microscope: that takes no label of U.",
    "new images": "The student reads U directly; the translator has done its work in the training.",
    "review": "Whoever looks at those tiles first has seen half of what is wrong.",
}
