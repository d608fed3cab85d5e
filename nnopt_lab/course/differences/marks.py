"""Show a result and the expected one with marks at the values that differ, and shorten long ones to these."""

import re
from collections.abc import Sequence

from torch import Tensor

from nnopt_lab.course.differences.comparison import agree
from nnopt_lab.course.differences.tensors import wrong_values
from nnopt_lab.course.differences.values import comparable
from nnopt_lab.course.display import ignoring_faults, kind, show
from nnopt_lab.workbench.language import Message

WRONG, RIGHT = "✗", "✓"  # before a value of the result, and before the expected one
_LONGEST = 600  # characters of a result that is shown whole
_LISTED = 8  # differing values of a longer one
_VALUE = re.compile(r"[^\s,\[\]()]+")

Pair = tuple[str, str]


def side_by_side(got, wanted, tolerance: float) -> Pair:
    """Show two values, with ✗ before each value of `got` that differs and ✓ before its counterpart in `wanted`.

    Single values, and two that can't be compared value by value, have no marks.
    """
    if not isinstance(wanted, Tensor) or wanted.ndim:
        with ignoring_faults():  # a list that contains itself, for example
            return _pair(got, wanted, tolerance)
    return show(got), show(wanted)


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
        return _with_marks(texts[0], WRONG, flags), _with_marks(texts[1], RIGHT, flags)
    places = wrong.nonzero().tolist()
    return _listed(got, WRONG, places), _listed(wanted, RIGHT, places)


def _with_marks(text: str, mark: str, flags: Sequence[bool]) -> str:
    """A printed tensor with marks; a space before its other values, so that columns stay columns."""
    left = iter(flags)
    start = text.index("(")

    def marked(value: re.Match) -> str:
        differs = next(left, None)
        return value[0] if differs is None else f"{mark if differs else ' '}{value[0]}"

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
    texts = tuple(_together(values, [p[side] for p in pairs]) for side, values in enumerate((got, wanted)))
    if max(map(len, texts)) <= _LONGEST:
        return texts
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


def _together(values, texts: list[str]) -> str:
    if any(isinstance(value, Tensor) for value in values):
        return "\n".join(texts)
    opening, closing = "[]" if isinstance(values, list) else "()"
    comma = "," if isinstance(values, tuple) and len(texts) == 1 else ""
    return f"{opening}{', '.join(texts)}{comma}{closing}"
