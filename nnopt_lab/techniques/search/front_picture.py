"""The front of a search as an SVG whose points can be selected, with each point in words."""

import html
import math
from collections.abc import Callable
from dataclasses import dataclass

from nnopt_lab.techniques.search.points import Point, describe
from nnopt_lab.techniques.search.report import Report, shown_range
from nnopt_lab.workbench import measure
from nnopt_lab.workbench.language import _, labelled, translated
from nnopt_lab.workbench.measure.tables import three_digits

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 78, 24, 16, 58
SHAPES = {
    "original": '<rect class="mark" x="-6" y="-6" width="12" height="12"/>',
    "exported": '<path class="mark" d="M0-9L8 0L0 9L-8 0Z"/>',
}
CIRCLE = '<circle class="mark" r="6"/>'


@dataclass(frozen=True)
class _Mark:
    """A point with its kind ("original", "exported", "front" or "trial"), its name, and notes about it."""

    point: Point
    kind: str
    name: str
    note: str = ""


def front_picture(report: Report) -> str:
    """Accuracy over cost (on a log scale) with a legend, and below it the selected point in words, as HTML.

    The exported network is drawn where it was measured at export, all others where the search measured them.
    """
    marks, picture = _marks(report), _Picture(report)
    # The most interesting last, so that no other covers them.
    in_order = sorted(enumerate(marks), key=lambda pair: ("trial", "front", "original", "exported").index(pair[1].kind))
    drawn = "".join(picture.mark(mark, i) for i, mark in in_order)
    words = "".join(_words(report.search, mark, i) for i, mark in enumerate(marks))
    axis = _("time per batch") if report.search.goal.target == "latency" else _("file size")
    said = _("Accuracy over {axis}; each point is a button that tells its network in words", axis=axis)
    how = _("Select a point (click, or use the arrow keys) to read what was done to its network.")
    return (
        f'<svg class="front-picture" viewBox="0 0 {WIDTH} {HEIGHT}" role="group" aria-label="{said}">'
        f'{picture.axes(axis)}{picture.steps()}{drawn}</svg>{_legend(picture, marks)}<p class="quiet interactive">{how}'
        f'</p><div class="details" aria-live="polite">{words}</div>'
    )


def _marks(report: Report) -> list[_Mark]:
    """All marks by ascending cost, so that the arrow keys go from left to right."""
    search, front = report.search, report.search.front
    estimate = _("Its time is the search's estimate.") if search.goal.target == "latency" else ""
    marks = [
        _Mark(p, "front" if p in front else "trial", _("Trial {number}", number=p.number), estimate)
        for p in search.points
        if p != report.point
    ]
    marks.append(_Mark(search.original, "original", _("Original")))
    again = _("Exported, and measured again at export.")
    marks.append(_Mark(report.exported, "exported", _("Trial {number}", number=report.point.number), again))
    return sorted(marks, key=lambda mark: search.cost(mark.point))


class _Picture:
    """Places of points in the picture."""

    def __init__(self, report: Report):
        self.search = report.search
        self.low, self.high = shown_range(self.search)
        self.high = max(self.high, report.exported.accuracy)
        costs = [self.search.cost(p) for p in (self.search.original, report.exported, *self.search.points)]
        self.cheapest, self.dearest = min(costs) / 1.15, max(costs) * 1.15

    def x(self, cost: float) -> float:
        share = math.log(cost / self.cheapest) / math.log(self.dearest / self.cheapest)
        return LEFT + (WIDTH - LEFT - RIGHT) * share

    def y(self, accuracy: float) -> float:
        share = (max(accuracy, self.low) - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share

    def below(self, point: Point) -> bool:
        """Whether a point would lie below the picture, and is drawn at its edge."""
        return point.accuracy < self.low

    def axes(self, axis: str) -> str:
        unit = "latency" if self.search.goal.target == "latency" else "bytes"
        limit = self.search.original.accuracy - self.search.goal.max_drop
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        lines = [
            f'<path class="grid" d="M{self.x(c):.1f} {TOP}V{bottom}"/><text x="{self.x(c):.1f}" y="{bottom + 22}" '
            f'text-anchor="middle">{_cost(c, unit, "{:g}".format)}</text>'
            for c in _log_ticks(self.cheapest, self.dearest, unit)
        ]
        lines += [
            f'<path class="grid" d="M{LEFT} {self.y(a):.1f}H{right}"/><text x="{LEFT - 8}" y="{self.y(a) + 5:.1f}" '
            f'text-anchor="end">{a:g} %</text>'
            for a in _ticks(self.low, self.high)
        ]
        lines.append(f'<path class="limit" d="M{LEFT} {self.y(limit):.1f}H{right}"/>')
        title = _("{axis} (log scale)", axis=axis)
        lines.append(f'<text x="{(LEFT + right) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{title}</text>')
        return f'<g aria-hidden="true">{"".join(lines)}</g>'

    def steps(self) -> str:
        # Cheapest first: up to the next point's cost, the front offers what this one has.
        front = sorted(self.search.front, key=self.search.cost)
        places = [(self.x(self.search.cost(p)), self.y(p.accuracy)) for p in front]
        path = "".join(f"{'H' if i else 'M'}{x:.1f}{'V' if i else ' '}{y:.1f}" for i, (x, y) in enumerate(places))
        return f'<path class="steps" d="{path}" aria-hidden="true"/>'

    def mark(self, mark: _Mark, i: int) -> str:
        said = html.escape(labelled(mark.name, _figures(mark.point)))
        classes = f"point {mark.kind}{' below' if self.below(mark.point) else ''}"
        chosen = str(mark.kind == "exported").lower()
        place = f"{self.x(self.search.cost(mark.point)):.1f} {self.y(mark.point.accuracy):.1f}"
        return (
            f'<g class="{classes}" transform="translate({place})" role="button" tabindex="0" aria-pressed="{chosen}" '
            f'aria-label="{said}" data-place="{i}"><title>{said}</title><circle class="ring" r="13"/>'
            f"{SHAPES.get(mark.kind, CIRCLE)}</g>"
        )


def _words(search, mark: _Mark, i: int) -> str:
    point, lines = mark.point, []
    if mark.kind == "original":
        lines = [_("the network that you gave, in eager torch")]
    else:
        lines = map(translated, describe(point.config))
        change = point.accuracy - search.original.accuracy
        figures = {"times": f"{search.original.latency / point.latency:.2f}", "points": measure.number(change, "+.2f")}
        lines = [_("{times} times as fast as the original, {points} percentage points", **figures), *lines]
    shown = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    note = f'<p class="quiet">{mark.note}</p>' if mark.note else ""
    hidden = "" if mark.kind == "exported" else " hidden"
    title = labelled(mark.name, _figures(point))
    return f'<div id="details-{i}"{hidden}><strong>{title}</strong><ul>{shown}</ul>{note}</div>'


def _legend(picture: _Picture, marks: list[_Mark]) -> str:
    kinds = {
        "front": _("front, as the search measured it"),
        "trial": _("other trial"),
        "original": _("original"),
        "exported": _("exported, measured again"),
    }
    there = {mark.kind for mark in marks}
    entries = [(kind, f"{kind}", text) for kind, text in kinds.items() if kind in there]
    if any(picture.below(mark.point) for mark in marks):
        entries.append(("trial", "trial below", _("far less accurate, drawn at the edge")))
    shown = "".join(
        f'<span><svg viewBox="-9 -9 18 18" aria-hidden="true"><g class="{classes}">{SHAPES.get(kind, CIRCLE)}</g></svg>'
        f"{text}</span>"
        for kind, classes, text in entries
    )
    dashed = '<svg viewBox="-9 -9 18 18" aria-hidden="true"><path class="limit" d="M-9 0H9"/></svg>'
    return f'<div class="legend">{shown}<span>{dashed}{_("largest loss allowed")}</span></div>'


def _figures(point: Point) -> str:
    return f"{point.accuracy:.2f} %, {_cost(point.latency, 'latency')}, {_cost(point.bytes, 'bytes')}"


def _cost(cost: float, unit: str, digits: Callable[[float], str] = three_digits) -> str:
    if unit == "bytes":
        return measure.format_bytes(cost)
    scale, name = (1e6, "µs") if cost < 1e-4 else (1e3, "ms") if cost < 1 else (1, "s")
    return f"{digits(cost * scale)} {name}"


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, about five."""
    rough = (high - low) / 5
    step = next(s * 10**power for power in range(-3, 4) for s in (1, 2, 5) if s * 10**power >= rough)
    return [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _log_ticks(low: float, high: float, unit: str) -> list[float]:
    """At most seven round numbers from `low` to `high`: powers of two for bytes, else decimal ones."""
    from nnopt_lab.workbench.plots.style import round_values  # on use: importing matplotlib takes long

    if unit == "bytes":
        ticks = [2.0**n for n in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)]
    else:
        ticks = round_values(low, high)
    return ticks[:: math.ceil(len(ticks) / 7) or 1]
