"""Show a result and the expected one with marks at the values that differ, and shorten long ones to these."""

import re
from collections.abc import Sequence

from torch import Tensor

from nnopt_lab.course.differences.comparison import agree
from nnopt_lab.course.differences.grid import Pair, in_columns
from nnopt_lab.course.differences.tensors import wrong_values
from nnopt_lab.course.differences.values import comparable, has_parts
from nnopt_lab.course.display import ignoring_faults, kind, show
from nnopt_lab.workbench.language import Message

WRONG, RIGHT = "✗", "✓"  # before a value of the result, and before the expected one
_LONGEST = 600  # characters of a result that is shown whole
_LISTED = 8  # differing values of a longer one
_VALUE = re.compile(r"[^\s,\[\]()]+")


def side_by_side(got, wanted, tolerance: float) -> Pair:
    """Show two values, with ✗ before each value of `got` that differs and ✓ before its counterpart in `wanted`.

    Single values, and two that can't be compared value by value, have no marks. Values with marks stand in the same
    columns of both texts.
    """
    if not isinstance(wanted, Tensor) or wanted.ndim:
        with ignoring_faults():  # a list that contains itself, for example
            return _pair(got, wanted, tolerance)
    return show(got), show(wanted)


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


def _pair(got, wanted, tolerance: float) -> Pair:
    if comparable(got, wanted) and isinstance(wanted, Tensor) and wanted.ndim:
        return _tensors(got.detach().as_subclass(Tensor).cpu(), wanted.detach(), tolerance)
    if comparable(got, wanted) and isinstance(wanted, (list, tuple)) and len(got) == len(wanted):
        return _sequences(got, wanted, tolerance)
    return show(got), show(wanted)


def _tensors(got: Tensor, wanted: Tensor, tolerance: float) -> Pair:
    wrong = wrong_values(got, wanted, tolerance)
    if not wrong.any():
        return show(got), show(wanted)
    flags = wrong.flatten().tolist()
    texts = show(got, _LONGEST), show(wanted, _LONGEST)
    if not any("..." in text or text.endswith(" …") for text in texts):
        return _row_pair(texts, flags) if wanted.ndim == 1 else _table_pair(texts, flags)
    places = wrong.nonzero().tolist()
    return _listed(got, WRONG, places), _listed(wanted, RIGHT, places)


def _row_pair(texts: Pair, flags: Sequence[bool]) -> Pair:
    """Two printed tensors of one axis with marks, in common columns."""
    values, around = [], []
    for text, mark in zip(texts, (WRONG, RIGHT), strict=True):
        start, end = text.index("[") + 1, text.index("]")
        found = _VALUE.findall(text[start:end])
        values.append([f"{mark}{value}" if differs else value for value, differs in zip(found, flags, strict=True)])
        around.append((text[:start], text[end:]))
    return in_columns(list(zip(*values, strict=True)), tuple(around))


def _table_pair(texts: Pair, flags: Sequence[bool]) -> Pair:
    """Two printed tensors of several axes with marks, whose values are equally wide."""
    widths = [max(map(len, _VALUE.findall(text[text.index("(") : text.rindex("]]")]))) for text in texts]
    marks = (WRONG, RIGHT)
    return tuple(_with_marks(texts[n], marks[n], flags, max(widths) - widths[n]) for n in (0, 1))


def _with_marks(text: str, mark: str, flags: Sequence[bool], missing: int) -> str:
    """A printed tensor with marks; a space before its other values, so that columns stay columns."""
    left = iter(flags)
    start = text.index("(")

    def marked(value: re.Match) -> str:
        differs = next(left, None)
        return value[0] if differs is None else f"{' ' * missing}{mark if differs else ' '}{value[0]}"

    body = _VALUE.sub(marked, text[start:].replace("\n", "\n "))
    return text[:start] + re.sub(r"^ (?=\n|$)", "", body, flags=re.MULTILINE)


def _listed(tensor: Tensor, mark: str, places: list[list[int]]) -> str:
    lines = [f"{place}: {mark}{show(tensor[tuple(place)].item())}" for place in places[:_LISTED]]
    return _few(Message("{kind}   shape {shape}", kind=kind(tensor), shape=list(tensor.shape)), lines, len(places))


def _few(what: str, lines: list[str], count: int) -> str:
    return Message(
        "{what}   {shown} of {count} values that differ:\n{lines}",
        what=what,
        shown=len(lines),
        count=count,
        lines="\n".join(lines),
    )


def _sequences(got, wanted, tolerance: float) -> Pair:
    differs = [not agree(g, w, tolerance) for g, w in zip(got, wanted, strict=True)]
    if not any(differs):
        return show(got), show(wanted)
    pairs = [_item(g, w, not d, tolerance) for g, w, d in zip(got, wanted, differs, strict=True)]
    if max(sum(len(p[side]) + 2 for p in pairs) for side in (0, 1)) <= _LONGEST:
        return _together(got, wanted, pairs)
    few = [at for at, d in enumerate(differs) if d][:_LISTED]
    return tuple(
        _few(kind(values), [f"[{at}]: {pairs[at][side]}" for at in few], sum(differs))
        for side, values in enumerate((got, wanted))
    )


def _item(got, wanted, same: bool, tolerance: float) -> Pair:
    one, other = _pair(got, wanted, tolerance)
    if isinstance(got, Tensor) and isinstance(wanted, Tensor):
        return one, other
    if not isinstance(got, (Tensor, list, tuple)):
        one, other = show([got])[1:-1], show([wanted])[1:-1]
    if same or (isinstance(wanted, (list, tuple)) and WRONG in one):
        return one, other
    return f"{WRONG}{one}", f"{RIGHT}{other}"


def _together(got, wanted, pairs: list[Pair]) -> Pair:
    if has_parts(wanted):
        return tuple(_parts([p[side] for p in pairs]) for side in (0, 1))
    if any(isinstance(value, Tensor) for value in (*got, *wanted)):
        return tuple("\n".join(p[side] for p in pairs) for side in (0, 1))
    return in_columns(pairs, (_brackets(got), _brackets(wanted)))


def _parts(texts: list[str]) -> str:
    text = ""
    for number, part in reversed(list(enumerate(texts, 1))):
        end = Message("\n{parts}", parts=text) if text else ""
        text = Message("result {number}:\n{value}{others}", number=number, value=part, others=end)
    return text


def _brackets(values) -> Pair:
    if isinstance(values, list):
        return "[", "]"
    return "(", ",)" if len(values) == 1 else ")"
