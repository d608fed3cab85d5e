"""The picture on the card of a reveal: the guess and the measured value with its interval, on one axis.

It is HTML around one small SVG without texts: texts keep their size on a narrow page, and have the theme's colour.
"""

import html
import math

from nnopt_lab.course.ledger import Prediction, figure, figures, with_unit
from nnopt_lab.workbench.language import _

_ROW = 24  # pixels
_LOG = 20  # largest ÷ smallest number, from which the axis is logarithmic
_MARGIN = 0.08  # of the axis, left and right of what is drawn
_PARTS = 4  # of the axis, at most, between two ticks
_BLUE = "#2a94c4"  # as `plots.SKY`: at least 3:1 on a card in the light and in the dark theme
_EXTREME = 1e100  # beyond it and its inverse, nothing is drawn: sums and powers could overflow


def picture(made: Prediction) -> str:
    """The picture in HTML, or "" if there is no guess, or a number can't be drawn."""
    numbers = (made.guess, made.measured, made.low, made.high)
    if any(number is None or not math.isfinite(number) or abs(number) > _EXTREME for number in numbers):
        return ""
    # An axis that ended at the numbers would make a good guess look far away; one of accuracies ends at 100 %.
    is_high = made.unit.startswith("%") and min(numbers) > 50 and max(numbers) <= 100
    axis, unit = Axis(numbers, 100.0 if is_high else 0.0), _short(made.unit)
    values = (figure(made.guess), figures(made.measured, made.low, made.high, unit=made.unit)[0])
    rows = enumerate(zip((_("guess"), _("measured")), values, strict=True), 1)
    texts = "".join(
        f'<span style="grid-area:{row}/1">{html.escape(name)}</span><span style="grid-area:{row}/3;text-align:right;'
        f'font-variant-numeric:tabular-nums">{html.escape(with_unit(value, unit))}</span>'
        for row, (name, value) in rows
    )
    described = html.escape(_("The guess and the measured value on one axis."))
    return (
        f'<div role="img" aria-label="{described}" style="display:grid;max-width:44em;margin-top:6px;column-gap:.8em;'
        f"grid-template-columns:max-content minmax(0,1fr) max-content;grid-auto-rows:{_ROW}px;"
        f'line-height:{_ROW}px">{texts}{_drawn(made, axis)}{_tick_labels(axis)}</div>'
    )


class Axis:
    """A logarithmic axis with a place for each of some finite numbers, or a linear one, with one for `base`, too."""

    def __init__(self, numbers: tuple[float, ...], base: float = 0.0):
        low, high = min(numbers), max(numbers)
        self.is_log = low > 1 / _EXTREME and high / low >= _LOG
        if not self.is_log:
            low, high = min(low, base), max(high, base)
        start, end = self._scaled(low), self._scaled(high)
        margin = _MARGIN * (end - start) or abs(start) / 10 or 1.0
        self._start, self._end = start - margin, end + margin

    def percent(self, number: float) -> str:
        """The number's place, from the axis's left end."""
        return f"{100 * (self._scaled(number) - self._start) / (self._end - self._start):.2f}%"

    def ticks(self) -> list[float]:
        """At most five round numbers on the axis."""
        from matplotlib.ticker import MaxNLocator

        from nnopt_lab.workbench.plots.style import round_values

        if self.is_log:
            found = round_values(10.0**self._start, 10.0**self._end)
            return found[:: math.ceil(len(found) / _PARTS)]
        found = MaxNLocator(_PARTS, steps=[1, 2, 5, 10]).tick_values(self._start, self._end)
        return [float(tick) for tick in found if self._start <= tick <= self._end]

    def _scaled(self, number: float) -> float:
        return math.log10(number) if self.is_log else number


def _short(unit: str) -> str:
    """A unit's first word, such as "%" of "% of the float32 file"; "" for a remark in brackets."""
    return "" if unit.startswith("(") else unit.split(" ")[0]


def _drawn(made: Prediction, axis: Axis) -> str:
    guess, measured, low, high = map(axis.percent, (made.guess, made.measured, made.low, made.high))
    first, second, bottom = _ROW // 2, _ROW + _ROW // 2, 2 * _ROW
    grid = "".join(_line(axis.percent(tick), 0, axis.percent(tick), bottom + 4, 0.25) for tick in axis.ticks())
    return (
        f'<svg aria-hidden="true" width="100%" height="{bottom + 4}" style="grid-area:1/2/3/3;overflow:visible">'
        f"{grid}{_line('0', bottom, '100%', bottom, 0.6)}"
        f'<svg x="{guess}" y="{first}" overflow="visible"><path d="M0-7L7 0L0 7L-7 0Z" fill="none" '
        f'stroke="currentColor" stroke-width="2"/></svg><line x1="{low}" x2="{high}" y1="{second}" y2="{second}" '
        f'stroke="{_BLUE}" stroke-opacity=".5" stroke-width="8"/>'
        f'<circle cx="{measured}" cy="{second}" r="6" fill="{_BLUE}"/></svg>'
    )


def _line(x1: str, y1: int, x2: str, y2: int, opacity: float) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="currentColor" stroke-opacity="{opacity}"/>'


def _tick_labels(axis: Axis) -> str:
    labels = "".join(
        f'<span style="position:absolute;left:{axis.percent(tick)};transform:translateX(-50%)">'
        f"{f'{tick:,.10g}'.replace('-', '−')}</span>"
        for tick in axis.ticks()
    )
    return f'<span style="grid-area:3/2;position:relative;font-size:85%;opacity:.8">{labels}</span>'
