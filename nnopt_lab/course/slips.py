"""Common slips in any answer: swapped results or arguments, a factor, a shift, a transpose.

A slip is named only if it explains every case: with the slip undone, the exercise accepts all results.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, permutations

from torch import Tensor

from nnopt_lab.course.differences import INVERTED, agree, count_values
from nnopt_lab.course.display import ignoring_faults, show
from nnopt_lab.workbench.language import Message, joined

MOST_RESULTS, MOST_AXES = 4, 5
SPARE = 64  # numbers allowed beyond twice the expected count: a huge result would take long, and is not a slip
_UNITS = Message("Check the units.")
_BASE = Message("Check the base of the logarithm.")
_COUNT = Message("Check where the count begins and ends.")
_HINTS = {  # what a factor usually means
    100: Message("Are fractions and percent mixed up?"),
    8: Message("Are bits and bytes mixed up?"),
    **{10**k: _UNITS for k in (1, *range(3, 13))},
    **{1024**k: _UNITS for k in (1, 2, 3)},
    **{1.024**k: Message("Are 1000 and 1024 mixed up?") for k in (1, 2, 3)},
    **dict.fromkeys((1 / math.log(2), math.log(10), math.log2(10)), _BASE),
}
Slip = tuple[Message, Callable]  # a description of the slip, and the function that undoes it


def slip(values: Sequence, wanted: Sequence, first: int, accepts: Callable[[int, object], bool]) -> str | None:
    """A sentence if all results are wrong in the same way, else None.

    Args:
        values: the results, one per case.
        wanted: the reference's results.
        first: index of a case with a wrong result.
        accepts: a function (index of a case, result) → whether the exercise accepts it.
    """
    numbers = (first, *(n for n in range(len(values)) if n != first))
    with ignoring_faults():  # results may be anything, such as lists whose methods raise
        pairs = zip(values, wanted, strict=True)
        limits = ((value, 2 * _size(its) + SPARE) for value, its in pairs)
        if not all(count_values(value, limit) <= limit for value, limit in limits):
            return None
        for sentence, undo in _slips(values, wanted, first):
            with ignoring_faults():
                if all(accepts(n, undo(values[n])) for n in numbers):
                    return sentence
        return _missing(values, wanted)
    return None


def swapped_arguments(
    inputs: Sequence[tuple], names: Sequence[str], matches: Callable[[int, tuple], bool]
) -> str | None:
    """A sentence if the results are right for two exchanged arguments, else None.

    Args:
        inputs: the arguments of each case.
        names: of the arguments.
        matches: a function (index of a case, arguments) → whether the reference's result for them is the learner's.
    """
    for i, j in combinations(range(len(names)), 2):
        if not all(_exchangeable(case[i], case[j]) for case in inputs):
            continue
        exchanged = [(*case[:i], case[j], *case[i + 1 : j], case[i], *case[j + 1 :]) for case in inputs]
        if all(matches(n, case) for n, case in enumerate(exchanged)):
            return Message(
                "Your result is right for `{one}` and `{other}` exchanged. Check where you use which.",
                one=names[i],
                other=names[j],
            )
    return None


def _exchangeable(a, b) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.dtype == b.dtype and a.shape == b.shape
    return type(a) is type(b) and not isinstance(a, (str, bool))


def _slips(values: Sequence, wanted: Sequence, first: int) -> Iterator[Slip]:
    count = _count(values, wanted)
    for order in permutations(range(count)) if count else ():
        if order != tuple(range(count)):
            two = Message("Your two results are right, but swapped. Check the order in which you return them.")
            more = Message("Your results are right, but in another order. Check the order in which you return them.")
            yield (two if count == 2 else more), lambda v, order=order: [_list(v)[i] for i in order]
    yield from _of_one(values[first], wanted[first])
    for i in range(count):
        for sentence, undo in _of_one(values[first][i], wanted[first][i]):
            named = Message("In value {place}: {sentence}", place=i, sentence=sentence)
            yield named, lambda v, i=i, undo=undo: [*_list(v)[:i], undo(v[i]), *v[i + 1 :]]


def _count(values: Sequence, wanted: Sequence) -> int:
    """The number of results per case, if all cases have as many as they should; else 0."""
    counts = {len(v) if isinstance(v, (list, tuple)) else 0 for v in (*values, *wanted)}
    count = counts.pop() if len(counts) == 1 else 0
    return count if 2 <= count <= MOST_RESULTS else 0


def _of_one(got, wanted) -> Iterator[Slip]:
    yield INVERTED, lambda value: _each(lambda mask: ~mask, value, masks=True)
    yield from _factor(got, wanted)
    yield from _shift(got, wanted)
    one = _is_number(got)
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
        yield sentence, lambda value, undo=undo: _each(undo, value)
    yield from _moved(got)


def _factor(got, wanted) -> Iterator[Slip]:
    g, w = _first_pair(got, wanted, lambda g, w: g and w and g != w)
    if not g:
        return
    factor = g / w
    size = max(abs(factor), 1 / abs(factor))
    name = next((known for known in _HINTS if math.isclose(size, known, rel_tol=1e-5)), None)
    if math.isclose(factor, -1, rel_tol=1e-5):
        sentence = Message("The sign is flipped.") if _is_number(got) else Message("All signs are flipped.")
    else:
        sentence = joined(_times(factor, size, _is_number(got)), *([_HINTS[name]] if name else []))
    exact = math.copysign(name if abs(factor) > 1 else 1 / name, factor) if name else factor
    yield sentence, lambda value: _each(lambda x: x / exact, value)
    yield sentence, lambda value: _each(lambda x: x / round(factor), value)


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
    g, w = _first_pair(got, wanted, lambda g, w: g != w)
    if g == w:
        return
    shift = g - w
    if math.isclose(abs(shift), 1, rel_tol=1e-5):
        hints = [_COUNT] if _is_whole(wanted) else []
        sentence = joined(_one_off(shift > 0, _is_number(got)), *hints)
        shift = round(shift)
    elif _is_number(got):
        sentence = Message("The result is off by {amount}.", amount=show(shift))
    else:
        sentence = Message("Every value is off by {amount}.", amount=show(shift))
    yield sentence, lambda value: _each(lambda x: x - shift, value)


def _one_off(larger: bool, one: bool) -> Message:
    if one:
        return Message("The result is one too large.") if larger else Message("The result is one too small.")
    return Message("Every value is one too large.") if larger else Message("Every value is one too small.")


def _moved(got) -> Iterator[Slip]:
    """Right values in the wrong place."""
    axes = range(min(got.ndim, MOST_AXES)) if isinstance(got, Tensor) else ()
    for a, b in combinations(axes, 2):
        transpose = Message("The axes are reversed: your result is the transpose of the expected one.")
        exchanged = Message("Axes {a} and {b} are swapped.", a=a, b=b)
        yield (transpose if got.ndim == 2 else exchanged), lambda v, a=a, b=b: v.transpose(a, b)
    for axis in axes:
        reversed_, shifted, at_end, at_beginning = _along(axis) if got.ndim > 1 else _IN_A_ROW
        yield reversed_, lambda value, axis=axis: value.flip(axis)
        for step in (1, -1):
            yield shifted, lambda value, axis=axis, step=step: value.roll(step, axis)
        yield at_end, lambda v, axis=axis: v.narrow(axis, 0, v.shape[axis] - 1)
        yield at_beginning, lambda v, axis=axis: v.narrow(axis, 1, v.shape[axis] - 1)
    if isinstance(got, (list, tuple)):
        reversed_, shifted, at_end, at_beginning = _IN_A_ROW
        yield reversed_, lambda value: _list(value)[::-1]
        for step in (1, -1):
            yield shifted, lambda value, step=step: _list(value)[step:] + _list(value)[:step]
        yield at_end, lambda value: _list(value)[:-1]
        yield at_beginning, lambda value: _list(value)[1:]


def _along(axis: int) -> tuple[Message, Message, Message, Message]:
    return (
        Message("The values are in reverse order along axis {axis}.", axis=axis),
        Message("Every value is shifted by one place along axis {axis}.", axis=axis),
        Message("There is one value too many at the end along axis {axis}.", axis=axis),
        Message("There is one value too many at the beginning along axis {axis}.", axis=axis),
    )


_IN_A_ROW = (
    Message("The values are in reverse order."),
    Message("Every value is shifted by one place."),
    Message("There is one value too many at the end."),
    Message("There is one value too many at the beginning."),
)


def _list(value) -> list:
    if not isinstance(value, (list, tuple)):  # an iterator, for example, may be endless
        raise ValueError("no list")
    return list(value)


def _missing(values: Sequence, wanted: Sequence) -> str | None:
    """A sentence if a value is missing at one end, else None; undoing isn't possible, so expected results are cut."""
    axes = min((w.ndim if isinstance(w, Tensor) else 1 for w in wanted if _is_sequence(w)), default=0)
    for axis in range(min(axes, MOST_AXES)):
        for end, start in (("last", 0), ("first", 1)):
            if all(agree(v, _cut(w, axis, start), 1e-5) for v, w in zip(values, wanted, strict=True)):
                return joined(_without(end, axis if axes > 1 else None), _COUNT)
    return None


def _without(end: str, axis: int | None) -> Message:
    if axis is None:
        return Message("The last value is missing.") if end == "last" else Message("The first value is missing.")
    if end == "last":
        return Message("The last value is missing along axis {axis}.", axis=axis)
    return Message("The first value is missing along axis {axis}.", axis=axis)


def _cut(value, axis: int, start: int):
    if isinstance(value, Tensor):
        return value.narrow(axis, start, value.shape[axis] - 1)
    return value[start : len(value) - 1 + start]


def _size(value) -> int:
    if isinstance(value, (list, tuple)):
        return sum(map(_size, value))
    return value.numel() if isinstance(value, Tensor) else 1


def _is_number(value) -> bool:
    return not _is_sequence(value)


def _is_whole(value) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_whole, value))
    return not value.is_floating_point() if isinstance(value, Tensor) else isinstance(value, int)


def _is_sequence(value) -> bool:
    return isinstance(value, (list, tuple)) or (isinstance(value, Tensor) and value.ndim > 0)


def _first_pair(got, wanted, useful: Callable) -> tuple[float, float]:
    """The first useful pair of corresponding numbers, or (0, 0)."""
    with ignoring_faults():  # results of another structure have no pairs
        return next((pair for pair in _pairs(got, wanted) if useful(*pair)), (0.0, 0.0))
    return 0.0, 0.0


def _pairs(got, wanted) -> Iterator[tuple[float, float]]:
    """Yield the corresponding numbers of two values."""
    if isinstance(wanted, (list, tuple)):
        for g, w in zip(got, wanted, strict=True):
            yield from _pairs(g, w)
    elif isinstance(wanted, Tensor):
        if not wanted.is_complex() and got.shape == wanted.shape:
            yield from zip(got.double().flatten().tolist(), wanted.double().flatten().tolist(), strict=True)
    elif not isinstance(wanted, (bool, str)):
        yield float(got), float(wanted)


def _each(change: Callable, value, masks: bool = False):
    """Change each number in a value, or with `masks` each boolean tensor; integers must stay integers."""
    if isinstance(value, (list, tuple)):
        return type(value)(_each(change, v, masks) for v in value)
    if isinstance(value, Tensor):
        if (str(value.dtype) == "torch.bool") is not masks:
            return value
        return change(value) if masks else _whole(change(value.double()), not value.is_floating_point()).to(value.dtype)
    if masks or isinstance(value, (bool, str)) or value is None:
        return value
    changed = _whole(change(float(value)), isinstance(value, int))
    return int(changed) if isinstance(value, int) else changed


def _whole(value, must_be: bool):
    if not must_be:
        return value
    nearest = value.round() if isinstance(value, Tensor) else round(value)
    if not agree(value, nearest * 1.0, 1e-6):
        raise ValueError("no whole number")
    return nearest
