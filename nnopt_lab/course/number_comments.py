"""Comments on a wrong number: the mistake that it looks like, without the right answer."""

import math
from collections.abc import Iterator
from itertools import pairwise

from nnopt_lab.workbench.language import Message, joined

CLOSE = 0.05  # of the right number
EXACT, PRINTED, TYPED = 1e-6, 1e-5, 1e-4  # tolerances of a reading, relative to the right number
NOT_FINITE = Message("The answer is a finite number.")
UNKNOWN = Message("That is the right order of magnitude, but not the number.")  # of a sealed question
_KIB = 1024 / 1000


def number_comment(given: float, right: float, tolerance: float) -> Message:
    """Comment on a wrong answer to a question in a sentence.

    Args:
        given: the wrong number.
        right: the right number; the comment does not reveal it.
        tolerance: largest |difference| that counts as right.
    """
    if not math.isfinite(given):
        return NOT_FINITE
    for sentence, number, relative in readings(given, scaled=bool(given and right)):
        if abs(number - right) <= max(tolerance, relative * abs(right)):
            return sentence
    return _size(given, right)


def readings(given: float, scaled: bool = True) -> Iterator[tuple[Message, float, float]]:
    """Yield (comment, the right number if this is the mistake, its relative tolerance), likely mistakes first.

    Args:
        given: a finite wrong number.
        scaled: whether a factor may be wrong, which makes no sense if one of the two numbers is 0.
    """
    if scaled:
        yield Message("The magnitude is right, but the sign is not."), -given, EXACT
        percent = Message("Is it in percent, although the question does not ask for it?")
        fraction = Message("Is it a fraction, although the question asks for percent?")
        yield joined(_too_large(100), percent), given / 100, EXACT
        yield joined(_too_small(100), fraction), given * 100, EXACT
        yield from _factors(given)
        yield Message("That is the reciprocal: divide the other way round."), 1 / given, EXACT
    yield Message("That is the complement: 100 % minus the answer."), 100 - given, EXACT
    yield Message("That is the complement: 1 minus the answer."), 1 - given, EXACT
    for number in (given - 1, given + 1):
        yield Message("You are off by one. Check where the count begins and ends."), number, EXACT
    if scaled:
        yield Message("That is twice the right number."), given / 2, EXACT
        yield Message("That is half of the right number."), given * 2, EXACT
        root, square = math.sqrt(abs(given)), given * given
        for sign in (1, -1):
            yield Message("That is the square of the right number."), sign * root, EXACT
        for sign in (1, -1):
            yield Message("That is the square root of the right number."), sign * square, EXACT
    for number in _swapped(given):
        yield Message("Two digits are swapped. Is it a typing error?"), number, PRINTED


def _factors(given: float) -> Iterator[tuple[Message, float, float]]:
    units = Message("Check the units.")
    for factor, hint in (
        *((10**k, Message("Check the units and the decimal point.")) for k in (1, *range(3, 13))),
        *((1024**k, units) for k in (1, 2, 3)),
        (8, Message("Are bits and bytes mixed up?")),
    ):
        yield joined(_too_large(factor), hint), given / factor, EXACT
        yield joined(_too_small(factor), hint), given * factor, EXACT
    kib = Message("That looks like a factor of 1000 instead of 1024, or the other way round.")
    for k in (-3, -2, -1, 1, 2, 3):
        yield kib, given * _KIB**k, TYPED


def _too_large(factor: int) -> Message:
    return Message("That is {times} times too large.", times=f"{factor:,}")


def _too_small(factor: int) -> Message:
    return Message("That is {times} times too small.", times=f"{factor:,}")


def _swapped(given: float) -> Iterator[float]:
    """The numbers that differ from `given`, as printed with six digits, by a swap of two neighbouring digits."""
    text = f"{given:g}"
    for i, (a, b) in enumerate(pairwise(text)):
        if a != b and a.isdigit() and b.isdigit():
            yield float(f"{text[:i]}{b}{a}{text[i + 2 :]}")


def _size(given: float, right: float) -> Message:
    if abs(given - right) <= CLOSE * abs(right):
        return Message("You are close. Did you round too early?")
    if given * right < 0:
        return Message("The sign is wrong, and so is the magnitude.")
    return Message("That is too large.") if given > right else Message("That is too small.")
