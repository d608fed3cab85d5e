"""Compare any result with the expected one: describe the difference, or only say whether they agree."""

import contextlib
import re

import torch
from torch import Tensor

from nnopt_lab.course.differences.exact import EXACT
from nnopt_lab.course.differences.kinds import kind_difference
from nnopt_lab.course.differences.patterns import common_pattern
from nnopt_lab.course.differences.single import number_difference
from nnopt_lab.course.differences.tensors import tensor_difference
from nnopt_lab.course.differences.values import has_parts, unwrapped
from nnopt_lab.course.display import kind, let_interrupts_through, show
from nnopt_lab.workbench.language import Message, counted_message

LONGEST = 32  # most values of a sequence that are compared pairwise


def difference(got, wanted, tolerance: float, *, named: bool = True) -> Message | None:
    """Describe how `got` differs from `wanted` in a sentence; None if they agree. Never raises an error.

    Args:
        got: any object.
        wanted: a tensor, number, boolean, string or None, or a list or tuple of these.
        tolerance: largest allowed |difference|; for floats, relative to the expected value if that is above 1.
            Integers of any size are compared exactly.
        named: whether to name a common mistake that the difference looks like; a single pair may do so by chance.
    """
    try:
        return _difference(got, wanted, tolerance, named)
    except BaseException as error:  # a dtype without arithmetic, for example, or an object whose methods raise
        let_interrupts_through(error)
        return Message(
            "Expected {wanted}, but got {got}, which can't be compared ({error}).",
            wanted=kind(wanted),
            got=kind(got),
            error=type(error).__name__,
        )


def clue(sentence: str) -> str:
    """The part of a `difference` that names a mistake, without the values."""
    if sentence.startswith("Expected shape"):
        return sentence.partition("]: ")[2]
    return re.split("; the first at|; value [0-9]|: expected", sentence)[0]


def _difference(got, wanted, tolerance: float, named: bool) -> str | None:
    if isinstance(wanted, Tensor):
        return tensor_difference(got, wanted, tolerance, named)
    if isinstance(wanted, (tuple, list)):
        return _sequence_difference(got, wanted, tolerance, named)
    if isinstance(wanted, (str, bool)) or wanted is None:
        got = unwrapped(got)
        return None if type(got) is type(wanted) and got == wanted else kind_difference(got, wanted)
    return number_difference(got, wanted, tolerance, named)


def agree(got, wanted, tolerance: float) -> bool:
    """Whether two values agree: `difference` without the sentence."""
    try:
        return _agree(got, wanted, tolerance)
    except BaseException as error:  # a list whose own methods raise
        let_interrupts_through(error)
        return False


def _agree(got, wanted, tolerance: float) -> bool:
    if type(got) is type(wanted) and type(got) in (int, float, bool, str) and got == wanted:
        return True  # most calls compare a number with its own copy, and the other checks take twenty times as long
    if isinstance(wanted, (tuple, list)):
        return (
            isinstance(got, (tuple, list))
            and len(got) == len(wanted)
            and all(agree(g, w, tolerance) for g, w in zip(got, wanted, strict=True))
        )
    return difference(got, wanted, tolerance) is None


def _sequence_difference(got, wanted, tolerance: float, named: bool) -> str | None:
    if not isinstance(got, (tuple, list)):
        return kind_difference(got, wanted)
    if len(got) != len(wanted):
        return counted_message(
            len(wanted),
            "Expected {wanted} value, but got {got}.",
            "Expected {wanted} values, but got {got}.",
            wanted=len(wanted),
            got=len(got),
        )
    if agree(got, wanted, tolerance):
        return None
    if named and (found := _order_difference(got, wanted, tolerance) or _list_pattern(got, wanted)):
        return found
    at = next(i for i, (g, w) in enumerate(zip(got, wanted, strict=True)) if not agree(g, w, tolerance))
    inner = difference(got[at], wanted[at], tolerance, named=named)
    return in_part(wanted, at, inner)


def in_part(wanted, at: int, sentence: str) -> Message:
    """A sentence about the value at index `at` of a list or tuple, which the cards call by the same name."""
    if has_parts(wanted):
        return Message("In result {number}: {sentence}", number=at + 1, sentence=sentence)
    return Message("In value {place}: {sentence}", place=at, sentence=sentence)


def _order_difference(got, wanted, tolerance: float) -> str | None:
    """A sentence if the right values are in another order, else None."""
    if not 2 <= len(wanted) <= LONGEST:
        return None
    free, places = list(range(len(wanted))), []
    for g in got:
        # Its own place first, so that equal values, such as several zeros, count as being in place.
        candidates = sorted(free, key=lambda j: j != len(places))
        place = next((j for j in candidates if agree(g, wanted[j], tolerance)), None)
        if place is None:
            return None
        free.remove(place)
        places.append(place)
    at = next((i for i, place in enumerate(places) if i != place), None)
    if at is None:
        return None
    return Message(
        "The results are right, but in another order: value {value} is at position {position}.",
        value=places[at],
        position=at,
    )


def _list_pattern(got, wanted) -> str | None:
    """A sentence if all numbers of a list are wrong in the same way, else None."""
    if len(wanted) < 2 or not all(type(v) in (int, float) for v in (*map(unwrapped, got), *wanted)):
        return None
    if any(abs(unwrapped(v)) > EXACT for v in (*got, *wanted) if isinstance(unwrapped(v), int)):
        return None  # as doubles, different integers could become equal
    with contextlib.suppress(OverflowError):
        got, wanted = (
            torch.tensor([float(unwrapped(v)) for v in values], dtype=torch.double) for values in (got, wanted)
        )
        pattern = common_pattern(got, wanted)
        expected, given = show(wanted[0].item()), show(got[0].item())
        return pattern and Message(
            "{pattern}; value 0: expected {wanted}, got {got}.", pattern=pattern, wanted=expected, got=given
        )
    return None
