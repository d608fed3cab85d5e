"""Comments on a wrong number: the mistake that it looks like, without the right answer."""

import math
from collections.abc import Iterator
from itertools import pairwise

CLOSE = 0.05  # of the right number
EXACT, PRINTED, TYPED = 1e-6, 1e-5, 1e-4  # tolerances of a reading, relative to the right number
NOT_FINITE = "The answer is a finite number."
_KIB = 1024 / 1000


def number_comment(given: float, right: float, tolerance: float) -> str:
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


def readings(given: float, scaled: bool = True) -> Iterator[tuple[str, float, float]]:
    """Yield (comment, the right number if this is the mistake, its relative tolerance), likely mistakes first.

    Args:
        given: a finite wrong number.
        scaled: whether a factor may be wrong, which makes no sense if one of the two numbers is 0.
    """
    if scaled:
        yield "The magnitude is right, but the sign is not.", -given, EXACT
        percent = "Is it in percent, although the question does not ask for it?"
        yield f"That is 100 times too large. {percent}", given / 100, EXACT
        yield (
            "That is 100 times too small. Is it a fraction, although the question asks for percent?",
            given * 100,
            EXACT,
        )
        yield from _factors(given)
        yield "That is the reciprocal: divide the other way round.", 1 / given, EXACT
    yield "That is the complement: 100 % minus the answer.", 100 - given, EXACT
    yield "That is the complement: 1 minus the answer.", 1 - given, EXACT
    for number in (given - 1, given + 1):
        yield "You are off by one. Check where the count begins and ends.", number, EXACT
    if scaled:
        yield "That is twice the right number.", given / 2, EXACT
        yield "That is half of the right number.", given * 2, EXACT
        root, square = math.sqrt(abs(given)), given * given
        for sign in (1, -1):
            yield "That is the square of the right number.", sign * root, EXACT
        for sign in (1, -1):
            yield "That is the square root of the right number.", sign * square, EXACT
    for number in _swapped(given):
        yield "Two digits are swapped. Is it a typing error?", number, PRINTED


def _factors(given: float) -> Iterator[tuple[str, float, float]]:
    units = "Check the units."
    for factor, hint in (
        *((10**k, "Check the units and the decimal point.") for k in (1, *range(3, 13))),
        *((1024**k, units) for k in (1, 2, 3)),
        (8, "Are bits and bytes mixed up?"),
    ):
        yield f"That is {factor:,} times too large. {hint}", given / factor, EXACT
        yield f"That is {factor:,} times too small. {hint}", given * factor, EXACT
    kib = "That looks like a factor of 1000 instead of 1024, or the other way round."
    for k in (-3, -2, -1, 1, 2, 3):
        yield kib, given * _KIB**k, TYPED


def _swapped(given: float) -> Iterator[float]:
    """The numbers that differ from `given`, as printed with six digits, by a swap of two neighbouring digits."""
    text = f"{given:g}"
    for i, (a, b) in enumerate(pairwise(text)):
        if a != b and a.isdigit() and b.isdigit():
            yield float(f"{text[:i]}{b}{a}{text[i + 2 :]}")


def _size(given: float, right: float) -> str:
    if abs(given - right) <= CLOSE * abs(right):
        return "You are close. Did you round too early?"
    if given * right < 0:
        return "The sign is wrong, and so is the magnitude."
    return "That is too large." if given > right else "That is too small."
