"""Names beside points: each is nearest to its own point, or tied to it by a thin line."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text

from nnopt_lab.workbench.plots.colors import REFERENCE
from nnopt_lab.workbench.plots.one_at_a_time import one_at_a_time
from nnopt_lab.workbench.plots.style import style
from nnopt_lab.workbench.plots.translation import translate_text

_DOT = 5  # pixels around the middle of a dot that a name must not cover
_CLEARLY = 2.0  # times as far from any other point, and a name needs no line
_BESIDE = (8, 14)  # pixels from a point to a name without a line
_TIED = (22, 32, 44, 58, 74, 92, 112, 140, 180)  # to one with a line
_SIDES = [(1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0)]
_AROUND = [(np.cos(angle), np.sin(angle)) for angle in np.radians([30, 150, -30, -150, 60, 120, -60, -120])]
_PLACES = [(far, side, False) for far in _BESIDE for side in _SIDES]
_PLACES += [(far, side, True) for far in _TIED for side in _SIDES + _AROUND]
_ALIGNED = {-1: ("right", "top"), 0: ("center", "center"), 1: ("left", "bottom")}


class _Page(NamedTuple):
    """What is on the axes already, in pixels: boxes [B, 4] of texts, and middles [N, 2] of dots and along lines."""

    texts: np.ndarray
    dots: np.ndarray
    lines: np.ndarray


@one_at_a_time
def write_names(ax: Axes, points: dict, all_of_them: bool = True) -> None:
    """Write names beside points, each where it covers no point, no other name and no edge of the axes, if possible.

    A name far from its point, or near another point too, is tied to its own by a thin line.

    Args:
        ax: the axes, with their final limits and scales.
        points: by name, (x, y).
        all_of_them: whether a name without a free place is written nevertheless, over something else.
    """
    ax.figure.draw_without_rendering()  # positions on the page are known only after drawing
    texts = [Text.get_window_extent(text).extents for text in ax.texts]
    own = {name: ax.transData.transform(point) for name, point in points.items()}
    dots, lines = np.array([*own.values(), *_markers(ax)]).reshape(-1, 2), _along_lines(ax)
    for name, dot in own.items():
        page = _Page(np.array(texts).reshape(-1, 4), dots, lines)
        others = np.array([other for other in own.values() if _far(other, dot) > 1]).reshape(-1, 2)
        faults, box, offset, tied = _best_place(ax, _size(ax, name), dot, others, page)
        if faults and not all_of_them:
            continue
        _write(ax, name, points[name], offset, tied)
        texts.append(box)
        if tied:
            lines = np.concatenate([lines, _leader(dot, box)])


def _best_place(ax: Axes, size, dot, others, page: _Page) -> tuple:
    """The first place with the fewest faults: their number, the box, the offset in pixels, and whether it is tied."""
    best = None
    for far, side, tied in _PLACES:
        offset = far * np.array(side)
        box = _box(dot + offset, size, side)
        faults = _faults(ax, box, dot, others, page, tied)
        if best is None or faults < best[0]:
            best = faults, box, offset, tied
        if not faults:
            break
    return best


def _faults(ax: Axes, box, dot, others, page: _Page, tied: bool) -> int:
    """How bad a name's place is, 0 if it can be read and is clearly its point's."""
    x0, y0, x1, y1 = page.texts.T
    left, bottom, right, top = box
    over = ((x0 < right) & (left < x1) & (y0 < top) & (bottom < y1)).sum()
    outside = not (ax.bbox.contains(left, bottom) and ax.bbox.contains(right, top))
    covered = (_distances(box, page.dots) < _DOT).sum()
    crossed = (_distances(box, page.lines) < 2).any()
    faults = 4 * over + 8 * outside + 3 * covered + crossed
    if tied:
        path = _leader(dot, box)
        faults += 3 * any((_distances(text, path) < 2).any() for text in page.texts)
        apart = others[_far(others, dot) > 2 * _DOT]  # a line can't keep away from a dot on which its own lies
        faults += 3 * any(_far(path, other).min() < _DOT for other in apart)
        faults += sum(_far(page.lines, step).min(initial=np.inf) < 2 for step in path[4:]) > 0
    elif len(others):
        faults += 3 * (_distances(box, others).min() < _CLEARLY * _distances(box, dot[None])[0])
    return int(faults)


def _size(ax: Axes, name: str) -> np.ndarray:
    """A name's width and height in pixels, in the language in use, with a pixel around it."""
    with style():
        text = ax.text(0, 0, name, transform=ax.transAxes, fontsize="small")
    translate_text(text)
    box = text.get_window_extent()
    text.remove()
    return np.array([box.width, box.height]) + 2


def _write(ax: Axes, name: str, point, offset, tied: bool) -> None:
    """Write a name at an offset in pixels from its point, on the side to which the offset points."""
    ha, va = (_ALIGNED[sign][axis] for axis, sign in enumerate(_signs(offset)))
    look = {"ha": ha, "va": va, "fontsize": "small", "textcoords": "offset pixels"}
    if tied:
        look["arrowprops"] = {"arrowstyle": "-", "color": REFERENCE, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 3}
    with style():
        text = ax.annotate(name, point, xytext=offset, **look)
    translate_text(text)


def _box(corner: np.ndarray, size: np.ndarray, side) -> np.ndarray:
    """The box [4] of a name that is aligned at a corner, or at the middle of a side."""
    low = corner - size * (1 - np.array(_signs(side))) / 2
    return np.concatenate([low, low + size])


def _signs(side) -> list[int]:
    return [0 if abs(part) < 1e-6 else int(np.sign(part)) for part in side]


def _leader(dot: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Places, 2 pixels apart or less, on the line from a dot to the nearest edge of its name, [N, 2]."""
    end = np.clip(dot, box[:2], box[2:])
    return np.linspace(dot, end, 2 + int(_far(dot, end) / 2))


def _distances(box: np.ndarray, places: np.ndarray) -> np.ndarray:
    """From a box to each place [N, 2], in pixels, 0 within the box."""
    return _far(places, np.clip(places, box[:2], box[2:]))


def _far(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.hypot(*np.moveaxis(one - other, -1, 0))


def _markers(ax: Axes) -> list:
    """The middles in pixels of the dots that have been drawn, also of those without a name."""
    seen = [line for line in ax.lines if line.get_marker() not in ("None", None, "") and line.get_color() != "none"]
    return [place for line in seen for place in _corners(line)]


def _along_lines(ax: Axes) -> np.ndarray:
    """Places in pixels, a few apart, on the lines that have been drawn, [N, 2]."""
    places = []
    for line in ax.lines:
        if line.get_linestyle() != "None" and line.get_color() != "none":
            for start, end in pairwise(_corners(line)):
                places += list(np.linspace(start, end, min(200, 2 + int(_far(start, end) / 4))))
    return np.array(places).reshape(-1, 2)


def _corners(line) -> np.ndarray:
    corners = line.get_transform().transform(line.get_xydata())
    return corners[np.isfinite(corners).all(1)]
