"""Comments on a wrong number: the mistake that it looks like, without the right answer."""

import math
from collections.abc import Callable, Iterator

CLOSE = 0.05  # of the right number
_KIB = 1024 / 1000


def number_comment(given: float, right: float, tolerance: float) -> str:
    """Comment on a wrong answer to a question in a sentence.

    Args:
        given: the wrong number.
        right: the right number; the comment does not reveal it.
        tolerance: largest |difference| that counts as right.
    """
    if not math.isfinite(given):
        return "The answer is a finite number."
    for sentence, undo in _kinds(given, right):
        try:
            undone = undo(given)
        except (ZeroDivisionError, OverflowError):
            continue
        if abs(undone - right) <= max(tolerance, 1e-6 * abs(right)):
            return sentence
    return _size(given, right)


def _kinds(given: float, right: float) -> Iterator[tuple[str, Callable[[float], float]]]:
    """Yield (comment, the function that corrects such a mistake), likely mistakes first."""
    if given and right:
        yield "The magnitude is right, but the sign is not.", lambda x: -x
        yield "That is 100 times too large. Is it in percent, although the question does not ask for it?", _times(0.01)
        yield "That is 100 times too small. Is it a fraction, although the question asks for percent?", _times(100)
        yield from _factors(right)
        yield "That is the reciprocal: divide the other way round.", lambda x: 1 / x
    yield "That is the complement: 100 % minus the answer.", lambda x: 100 - x
    yield "That is the complement: 1 minus the answer.", lambda x: 1 - x
    yield "You are off by one. Check where the count begins and ends.", lambda x: x + math.copysign(1, right - x)
    if given and right:
        yield "That is twice the right number.", _times(0.5)
        yield "That is half of the right number.", _times(2)
        yield "That is the square of the right number.", lambda x: math.copysign(math.sqrt(abs(x)), right)
        yield "That is the square root of the right number.", lambda x: math.copysign(x * x, right)
    yield "Two digits are swapped. Is it a typing error?", lambda x: _swapped(x, right)


def _factors(right: float) -> Iterator[tuple[str, Callable[[float], float]]]:
    units = "Check the units."
    for factor, hint in (
        *((10**k, f"{units[:-1]} and the decimal point.") for k in (1, *range(3, 13))),
        *((1024**k, units) for k in (1, 2, 3)),
        (8, "Are bits and bytes mixed up?"),
    ):
        yield f"That is {factor:,} times too large. {hint}", _times(1 / factor)
        yield f"That is {factor:,} times too small. {hint}", _times(factor)
    kib = "That looks like a factor of 1000 instead of 1024, or the other way round."
    for k in (-3, -2, -1, 1, 2, 3):
        yield kib, lambda x, k=k: right if math.isclose(x * _KIB**k, right, rel_tol=1e-4) else x


def _times(factor: float) -> Callable[[float], float]:
    return lambda x: x * factor


def _swapped(given: float, right: float) -> float:
    """`right` if the two differ only by a swap of two neighbouring digits, else `given`."""
    mine, its = f"{given:g}", f"{right:g}"
    differing = [i for i, (a, b) in enumerate(zip(mine, its, strict=False)) if a != b]
    if len(mine) != len(its) or len(differing) != 2 or differing[1] != differing[0] + 1:
        return given
    i, j = differing
    return right if (mine[i], mine[j]) == (its[j], its[i]) else given


def _size(given: float, right: float) -> str:
    if abs(given - right) <= CLOSE * abs(right):
        return "You are close. Did you round too early?"
    if given * right < 0:
        return "The sign is wrong, and so is the magnitude."
    return f"That is too {'large' if given > right else 'small'}."
