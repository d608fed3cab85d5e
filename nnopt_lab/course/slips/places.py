"""Right values in the wrong place, too many of them, or too few."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from torch import Tensor

from nnopt_lab.course.differences import agree
from nnopt_lab.course.slips.numbers import COUNT, Slip
from nnopt_lab.course.slips.values import as_list, is_sequence
from nnopt_lab.workbench.language import Message, joined

MOST_AXES = 5


def moved(got) -> Iterator[Slip]:
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
        yield reversed_, lambda value: as_list(value)[::-1]
        for step in (1, -1):
            yield shifted, lambda value, step=step: as_list(value)[step:] + as_list(value)[:step]
        yield at_end, lambda value: as_list(value)[:-1]
        yield at_beginning, lambda value: as_list(value)[1:]


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


def missing(values: Sequence, wanted: Sequence) -> str | None:
    """A sentence if a value is missing at one end, else None; undoing isn't possible, so expected results are cut."""
    axes = min((w.ndim if isinstance(w, Tensor) else 1 for w in wanted if is_sequence(w)), default=0)
    for axis in range(min(axes, MOST_AXES)):
        for end, start in (("last", 0), ("first", 1)):
            if all(agree(v, _cut(w, axis, start), 1e-5) for v, w in zip(values, wanted, strict=True)):
                return joined(_without(end, axis if axes > 1 else None), COUNT)
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
