"""Numbers that are all wrong in the same way: a factor, a shift, a reciprocal."""

import math
from collections.abc import Callable, Iterator, Sequence

from nnopt_lab.course.differences import INVERTED
from nnopt_lab.course.display import show
from nnopt_lab.course.slips.values import each, first_pair, is_number, is_whole
from nnopt_lab.workbench.language import Message, joined

DISTINCT = 3  # different results for two mistakes: two different ones would fit any factor and shift
_UNITS = Message("Check the units.")
_BASE = Message("Check the base of the logarithm.")
COUNT = Message("Check where the count begins and ends.")
_HINTS = {  # what a factor usually means
    100: Message("Are fractions and percent mixed up?"),
    8: Message("Are bits and bytes mixed up?"),
    **{10**k: _UNITS for k in (1, *range(3, 13))},
    **{1024**k: _UNITS for k in (1, 2, 3)},
    **{1.024**k: Message("Are 1000 and 1024 mixed up?") for k in (1, 2, 3)},
    **dict.fromkeys((1 / math.log(2), math.log(10), math.log2(10)), _BASE),
}
Slip = tuple[Message, Callable]  # a description of the slip, and the function that undoes it


def of_numbers(got, wanted) -> Iterator[Slip]:
    """Yield the slips of numbers that the first result may show."""
    yield INVERTED, lambda value: each(lambda mask: ~mask, value, masks=True)
    yield from _factor(got, wanted)
    yield from _shift(got, wanted)
    one = is_number(got)
    for sentence, undo in (
        (
            Message("The result is the reciprocal of the expected one. Divide the other way round.")
            if one
            else Message("Every value is the reciprocal of the expected one. Divide the other way round."),
            lambda x: 1 / x,
        ),
        (
            Message("The result is 1 minus the expected one.")
            if one
            else Message("Every value is 1 minus the expected one."),
            lambda x: 1 - x,
        ),
        (
            Message("The result is 100 minus the expected one.")
            if one
            else Message("Every value is 100 minus the expected one."),
            lambda x: 100 - x,
        ),
    ):
        yield sentence, lambda value, undo=undo: each(undo, value)


def _factor(got, wanted) -> Iterator[Slip]:
    g, w = first_pair(got, wanted, lambda g, w: g and w and g != w)
    if not g:
        return
    factor = g / w
    size = max(abs(factor), 1 / abs(factor))
    name = next((known for known in _HINTS if math.isclose(size, known, rel_tol=1e-5)), None)
    if math.isclose(factor, -1, rel_tol=1e-5):
        sentence = Message("The sign is flipped.") if is_number(got) else Message("All signs are flipped.")
    else:
        sentence = joined(_times(factor, size, is_number(got)), *([_HINTS[name]] if name else []))
    exact = math.copysign(name if abs(factor) > 1 else 1 / name, factor) if name else factor
    yield sentence, lambda value: each(lambda x: x / exact, value)
    yield sentence, lambda value: each(lambda x: x / round(factor), value)


def _times(factor: float, size: float, one: bool) -> Message:
    if factor < 0 or not math.isclose(size, round(size), rel_tol=1e-5):
        times = show(factor)
        if one:
            return Message("The result is {times} times the expected one.", times=times)
        return Message("Every value is {times} times the expected one.", times=times)
    times = f"{round(size):,}"
    if one and factor > 1:
        return Message("The result is {times} times too large.", times=times)
    if one:
        return Message("The result is {times} times too small.", times=times)
    if factor > 1:
        return Message("Every value is {times} times too large.", times=times)
    return Message("Every value is {times} times too small.", times=times)


def _shift(got, wanted) -> Iterator[Slip]:
    g, w = first_pair(got, wanted, lambda g, w: g != w)
    if g == w:
        return
    shift = g - w
    if math.isclose(abs(shift), 1, rel_tol=1e-5):
        hints = [COUNT] if is_whole(wanted) else []
        sentence = joined(_one_off(shift > 0, is_number(got)), *hints)
        shift = round(shift)
    elif is_number(got):
        sentence = Message("The result is off by {amount}.", amount=show(shift))
    else:
        sentence = Message("Every value is off by {amount}.", amount=show(shift))
    yield sentence, lambda value: each(lambda x: x - shift, value)


def _one_off(larger: bool, one: bool) -> Message:
    if one:
        return Message("The result is one too large.") if larger else Message("The result is one too small.")
    return Message("Every value is one too large.") if larger else Message("Every value is one too small.")


def affine(values: Sequence, wanted: Sequence, first: int) -> Iterator[Slip]:
    """A factor and a shift at once, from the first numbers of two cases."""
    one = first_pair(values[first], wanted[first], lambda g, w: g != w)
    pairs = [first_pair(v, w, lambda g, w: w not in (0, one[1])) for v, w in zip(values, wanted, strict=True)]
    others = {w: g for g, w in pairs if w}
    if len(others) + 1 < DISTINCT:
        return
    other = next((g, w) for w, g in others.items())
    factor = (one[0] - other[0]) / (one[1] - other[1])
    shift = one[0] - factor * one[1]
    if not factor or not math.isfinite(shift) or abs(shift) < 1e-6 or math.isclose(factor, 1, rel_tol=1e-5):
        return
    numbers = {"times": show(factor), "amount": show(shift)}
    if is_number(values[first]):
        sentence = Message("The result is {times} times the expected one, shifted by {amount}.", **numbers)
    else:
        sentence = Message("Every value is {times} times the expected one, shifted by {amount}.", **numbers)
    yield sentence, lambda value: each(lambda x: (x - shift) / factor, value)
