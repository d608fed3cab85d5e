"""Show a result and the expected one with marks at the values that differ, or list the places of long ones."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from nnopt_lab.course.differences.comparison import agree
from nnopt_lab.course.differences.grid import Pair, in_columns
from nnopt_lab.course.differences.places import differing, summary, table
from nnopt_lab.course.differences.tensors import wrong_values
from nnopt_lab.course.differences.values import comparable, has_parts
from nnopt_lab.course.display import ignoring_faults, show
from nnopt_lab.course.tensor_text import COLUMNS, ROWS, axes, heading, numbers, rows
from nnopt_lab.workbench.language import Message

WRONG, RIGHT = "✗", "✓"  # before a value of the result, and before the expected one
_LONGEST = 600  # characters of a result that is shown whole
_MOST_LINES = 4  # of a result in several parts that is shown whole
_ONLY_ROW = 36  # numbers of a tensor
_PRECISIONS = (4, 8)


@dataclass(frozen=True)
class Shown:
    """A result and the expected one as text.

    Attributes:
        got, wanted: the two, with ✗ before each value of `got` that differs and ✓ before its counterpart in `wanted`.
            Single values, and two that can't be compared value by value, have no marks. Values with marks stand in the
            same columns of both texts.
        summary: of two long results, how much differs; then `got` is the table of the places, and `wanted` is empty.
    """

    got: str
    wanted: str
    summary: str = ""


def side_by_side(got, wanted, tolerance: float) -> Shown:
    """Show two values: short ones whole, long ones by the places that differ."""
    with ignoring_faults():  # a list that contains itself, for example
        if (pair := _pair(got, wanted, tolerance)) is not None and max(map(len, pair)) <= _LONGEST:
            return Shown(*pair)
        if _is_listed(got, wanted) and (places := list(differing(got, wanted, tolerance))):
            return Shown(table(places), "", summary(wanted, places))
    return Shown(_whole(got), _whole(wanted))


def _whole(value) -> str:
    with ignoring_faults():
        if has_parts(value):
            return _parts([show(part) for part in value])
    return show(value)


def _is_listed(got, wanted) -> bool:
    if isinstance(wanted, Tensor):
        return bool(wanted.ndim) and comparable(got, wanted)
    return isinstance(wanted, (list, tuple)) and comparable(got, wanted) and len(got) == len(wanted)


def first_difference(got, wanted, tolerance: float) -> str:
    """The place of the first value that `side_by_side` marks, such as "[2]"; "" if it marks none."""
    with ignoring_faults():
        return _first(got, wanted, tolerance)
    return ""


def _first(got, wanted, tolerance: float) -> str:
    if not comparable(got, wanted):
        return ""
    if isinstance(wanted, Tensor):
        places = wrong_values(got.detach().cpu(), wanted.detach(), tolerance).nonzero().tolist()
        return str(places[0]) if places and wanted.ndim else ""
    if not isinstance(wanted, (list, tuple)) or len(got) != len(wanted):
        return ""
    at = next((i for i, (g, w) in enumerate(zip(got, wanted, strict=True)) if not agree(g, w, tolerance)), None)
    if at is None:
        return ""
    inner = _first(got[at], wanted[at], tolerance)
    if not has_parts(wanted):
        return f"[{at}]{inner}"
    part = Message("result {number}", number=at + 1)
    return Message("{place} of {part}", place=inner, part=part) if inner else part


def _pair(got, wanted, tolerance: float) -> Pair | None:
    """The texts of two values; None if one is long."""
    if comparable(got, wanted) and isinstance(wanted, Tensor) and wanted.ndim:
        return _tensors(got.detach().as_subclass(Tensor).cpu(), wanted.detach(), tolerance)
    if comparable(got, wanted) and isinstance(wanted, (list, tuple)) and len(got) == len(wanted):
        return _sequences(got, wanted, tolerance)
    return show(got), show(wanted)


def _tensors(got: Tensor, wanted: Tensor, tolerance: float) -> Pair | None:
    wrong = wrong_values(got, wanted, tolerance)
    if not wrong.any():
        return show(got), show(wanted)
    long = axes(wanted)
    sizes = [wanted.shape[axis] for axis in long]
    if len(long) > 2 or (len(long) == 2 and (sizes[0] > ROWS or sizes[1] > COLUMNS)) or math.prod(sizes) > _ONLY_ROW:
        return None
    cells = _cells(got, wanted, wrong.flatten().tolist())
    if len(long) < 2:
        return in_columns(cells, _around(got, wanted))
    width = max(map(len, itertools.chain(*cells)))
    mine, its = ([cell[side].rjust(width) for cell in cells] for side in (0, 1))
    return tuple("\n".join([f"{heading(t)}:", *rows(texts, sizes[1])]) for t, texts in ((got, mine), (wanted, its)))


def _cells(got: Tensor, wanted: Tensor, flags: Sequence[bool]) -> list[Pair]:
    """The numbers of two tensors with marks, with as many digits as distinguish those that differ."""
    for precision in _PRECISIONS:
        pairs = list(zip(numbers(got, precision), numbers(wanted, precision), strict=True))
        if all(mine != its for (mine, its), differs in zip(pairs, flags, strict=True) if differs):
            break
    return [
        (f"{WRONG}{mine}", f"{RIGHT}{its}") if differs else (mine, its)
        for (mine, its), differs in zip(pairs, flags, strict=True)
    ]


def _around(*tensors: Tensor) -> tuple[Pair, Pair]:
    told = [f"{heading(tensor)}: [" for tensor in tensors]
    return tuple((before.rjust(max(map(len, told))), "]") for before in told)


def _sequences(got, wanted, tolerance: float) -> Pair | None:
    differs = [not agree(g, w, tolerance) for g, w in zip(got, wanted, strict=True)]
    if not any(differs):
        return show(got), show(wanted)
    pairs = [_item(g, w, not d, tolerance) for g, w, d in zip(got, wanted, differs, strict=True)]
    if None in pairs:
        return None
    return _parts_that_differ(pairs, differs) if has_parts(wanted) else _together(got, wanted, pairs)


def _item(got, wanted, same: bool, tolerance: float) -> Pair | None:
    if (pair := _pair(got, wanted, tolerance)) is None or (isinstance(got, Tensor) and isinstance(wanted, Tensor)):
        return pair
    one, other = pair
    if not isinstance(got, (Tensor, list, tuple)):
        one, other = show([got])[1:-1], show([wanted])[1:-1]
    if same or (isinstance(wanted, (list, tuple)) and WRONG in one):
        return one, other
    return f"{WRONG}{one}", f"{RIGHT}{other}"


def _together(got, wanted, pairs: list[Pair]) -> Pair:
    if any(isinstance(value, Tensor) for value in (*got, *wanted)):
        return tuple("\n".join(p[side] for p in pairs) for side in (0, 1))
    return in_columns(pairs, (_brackets(got), _brackets(wanted)))


def _parts_that_differ(pairs: list[Pair], differs: list[bool]) -> Pair:
    """All parts of a short result; of a longer one those that differ, and if even they are long, the first of them.

    Beside the result, a line tells of each part that is left out.
    """
    shown = list(range(len(pairs)))
    if _lines(pairs) > _MOST_LINES:
        shown = [n for n in shown if differs[n]]
    if _lines([pairs[n] for n in shown]) > _MOST_LINES:
        shown = shown[:1]
    mine, its = ([pair[side] if n in shown else None for n, pair in enumerate(pairs)] for side in (0, 1))
    return _parts(mine, differs), _parts(its)


def _lines(pairs: list[Pair]) -> int:
    return sum(max(text.count("\n") + 1 for text in pair) for pair in pairs)


def _parts(texts: list[str | None], differs: list[bool] = ()) -> str:
    """The parts one below the other. One without a text is a line if `differs` is given, which says what to tell."""
    text = ""
    for number, part in reversed(list(enumerate(texts, 1))):
        end = Message("\n{parts}", parts=text) if text else ""
        if part is not None:
            text = Message("result {number}:\n{value}{others}", number=number, value=part, others=end)
        elif differs and differs[number - 1]:
            text = Message("result {number}: differs, too{others}", number=number, others=end)
        elif differs:
            text = Message("result {number}: right{others}", number=number, others=end)
    return text


def _brackets(values) -> Pair:
    if isinstance(values, list):
        return "[", "]"
    return "(", ",)" if len(values) == 1 else ")"
