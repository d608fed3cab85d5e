"""Write a tensor as text: its dtype and shape, then its numbers, a row per line, without axes of length one."""

import itertools
import math
import re
import threading
from collections.abc import Sequence

import torch
from torch import Tensor

_printing = threading.Lock()  # torch's print options belong to the whole process, and a grader has several threads
COLUMNS, ROWS = 12, 12  # numbers in a row, and rows, at most; an only row is broken into lines
_ONLY_ROW = 64
_ONE_PER_LINE = 6  # short matrices; of more, several share a line
_WIDTH = 88  # characters of a line
_MOST = 2_000  # numbers that are read
_VALUE = re.compile(r"[^\s,\[\]()]+")
_DECIMALS = re.compile(r"-?\d+\.\d*")
_MORE, _GAP = "…", "   "


def heading(tensor: Tensor) -> str:
    """The dtype and the shape, such as "float32 [2, 3, 1, 1]"."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def axes(tensor: Tensor) -> list[int]:
    """The axes with more than one number."""
    return [axis for axis, size in enumerate(tensor.shape) if size != 1]


def printed(tensor: Tensor) -> str:
    """A tensor of any kind as torch prints it, whatever options the learner has set."""
    with _printing, torch._tensor_str.printoptions(profile="default", sci_mode=None):
        return repr(tensor.detach())


def numbers(tensor: Tensor, precision: int = 4) -> list[str]:
    """All numbers of a tensor as text, rounded as torch prints them, without zeros that end all of them."""
    with _printing, torch._tensor_str.printoptions(precision=precision, threshold=math.inf, sci_mode=None):
        text = repr(tensor.reshape(-1))
    found = _VALUE.findall(text[text.index("[") : text.rindex("]")])
    if tensor.is_floating_point() and any("e" in number for number in found):  # it would write 0.168 as 1.68e-01
        return [f"{number:.{precision}g}" for number in tensor.reshape(-1).tolist()]
    while found and all(_DECIMALS.fullmatch(number) for number in found) and all(n.endswith("0") for n in found):
        found = [number[:-1] for number in found]
    return found


def rows(cells: Sequence[str], columns: int, end: str = "]") -> list[str]:
    """Lines of cells in rows of equally wide columns, in brackets; `end` closes a row."""
    width = max(map(len, cells))
    padded = [cell.rjust(width) for cell in cells]
    lines = [", ".join(padded[at : at + columns]) for at in range(0, len(padded), columns)]
    last = len(lines) - 1
    return [f"{' ' if n else '['}[{line}{end}{']' if n == last else ','}" for n, line in enumerate(lines)]


def tensor_text(tensor: Tensor, limit: int) -> str:
    """The heading and the numbers, of a large tensor the first ones, in about `limit` characters at most.

    Args:
        tensor: strided, of at least one axis.
        limit: characters, at least 60.
    """
    told = f"{heading(tensor)}:"
    if not tensor.numel():
        return f"{told} []"
    few = tensor.detach().as_subclass(Tensor)
    long = axes(few)
    for axis in long:
        few = few.narrow(axis, 0, min(few.shape[axis], _ONLY_ROW if len(long) == 1 else COLUMNS))
    if few.numel() > _MOST:
        return told.removesuffix(":")
    few, cut = few.cpu(), [few.shape[axis] < tensor.shape[axis] for axis in long]
    if len(long) < 2:
        return _only_row(told, numbers(few), _MORE if any(cut) else "")
    *outer, _height, width = long
    end = f", {_MORE}]" if cut[-1] else "]"
    return _within(limit, told, _blocks(few, outer, few.shape[width], end), any(cut[:-1]))


def _only_row(told: str, texts: list[str], more: str) -> str:
    width = max(map(len, texts))
    padded = [text.rjust(width) for text in texts]
    before = f"{told} ["
    per_line = len(padded) if len(padded) * (width + 2) < _WIDTH else max(1, (_WIDTH - len(before)) // (width + 2))
    lines = [", ".join(padded[at : at + per_line]) for at in range(0, len(padded), per_line)]
    return before + f",\n{' ' * len(before)}".join(lines) + (f", {more}]" if more else "]")


def _blocks(few: Tensor, outer: list[int], columns: int, end: str) -> list[str]:
    """Lines of matrices, behind their indices if there are several; those of several rows stand side by side."""
    cells = numbers(few)
    if not outer:
        return rows(cells, columns, end)
    wide = max(map(len, cells))
    cells = [cell.rjust(wide) for cell in cells]
    leading = few.shape[: outer[-1] + 1]
    size = len(cells) // math.prod(leading)
    blocks, whole = [], []
    for n, index in enumerate(itertools.product(*map(range, leading))):
        lines = rows(cells[n * size : (n + 1) * size], columns, end)
        blocks.append([f"{list(index)}:", *lines])
        whole.append(f"{list(index)}: {' '.join(line.strip() for line in lines)}")
    if max(map(len, whole)) > _WIDTH:
        return _side_by_side(blocks)
    return whole if len(whole) <= _ONE_PER_LINE else _side_by_side([[line] for line in whole])


def _side_by_side(blocks: list[list[str]]) -> list[str]:
    width = max(map(len, itertools.chain(*blocks))) + len(_GAP)
    per_line = max(1, (_WIDTH + len(_GAP)) // width)
    groups = (blocks[at : at + per_line] for at in range(0, len(blocks), per_line))
    return [
        "".join(line.ljust(width) for line in lines).rstrip() for group in groups for lines in zip(*group, strict=True)
    ]


def _within(limit: int, told: str, lines: list[str], is_cut: bool) -> str:
    shown, left = [], limit - len(told) - len(_MORE)
    for line in lines[: 2 * ROWS]:
        left -= len(line) + 1
        if left < 0:
            break
        shown.append(line)
    more = [_MORE] if is_cut or len(shown) < len(lines) else []
    return "\n".join([told, *shown, *more])
