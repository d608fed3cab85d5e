"""The picture on the card of a reveal: the guess and the measured value with its interval, on one axis.

It is HTML around one small SVG without texts: texts keep their size on a narrow page, and have the theme's colour.
"""

import html
import math

from nnopt_lab.course.ledger import Prediction, figure, figures, with_unit
from nnopt_lab.workbench.language import _

_ROW = 24  # pixels
_LOG = 20  # largest ÷ smallest number, from which the axis is logarithmic
_PARTS = 5  # of the axis between ticks, about
_ROOM = 25  # percent of the axis, that a value beside its marker needs
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
    measured = figures(made.measured, made.low, made.high, unit=made.unit)[0]
    rows = (
        (_("guess"), figure(made.guess), made.guess, made.guess),
        (_("measured"), measured, min(made.low, made.measured), max(made.high, made.measured)),
    )
    texts = "".join(
        f'<span style="grid-area:{row}/1">{html.escape(name)}</span><span style="grid-area:{row}/2;position:relative">'
        f'<span style="position:absolute;white-space:nowrap;{_beside(axis, low, high)}">'
        f"{html.escape(with_unit(value, unit))}</span></span>"
        for row, (name, value, low, high) in enumerate(rows, 1)
    )
    described = html.escape(_("The guess and the measured value on one axis."))
    return (
        f'<div role="img" aria-label="{described}" style="display:grid;max-width:44em;margin-top:6px;column-gap:1.2em;'
        f"padding-right:1.2em;grid-template-columns:max-content minmax(0,1fr);grid-auto-rows:{_ROW}px;"
        f'line-height:{_ROW}px">{texts}{_drawn(made, axis)}{_tick_labels(axis)}</div>'
    )


class Axis:
    """A logarithmic axis with a place for each of some finite numbers, or a linear one, with one for `base`, too."""

    def __init__(self, numbers: tuple[float, ...], base: float = 0.0):
        low, high = min(numbers), max(numbers)
        self.is_log = low > 1 / _EXTREME and high / low >= _LOG
        self._ticks = _decades(low, high) if self.is_log else _round_numbers(min(low, base), max(high, base))
        self._start, self._end = self._scaled(self._ticks[0]), self._scaled(self._ticks[-1])

    def percent(self, number: float) -> str:
        """The number's place, from the axis's left end."""
        return f"{100 * (self._scaled(number) - self._start) / (self._end - self._start):.2f}%"

    def ticks(self) -> list[float]:
        """At most seven round numbers; the first and the last are the axis's ends."""
        return self._ticks

    def _scaled(self, number: float) -> float:
        return math.log10(number) if self.is_log else number


def _decades(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    step = math.ceil((last - first) / _PARTS)
    return [10.0**exponent for exponent in range(first, last + step, step)]


def _round_numbers(low: float, high: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    if high - low < 1 / _EXTREME:
        low, high = (low - 1, high) if low > 1 else (0.0, 1.0)
    return [float(tick) for tick in MaxNLocator(_PARTS, steps=[1, 2, 5, 10]).tick_values(low, high)]


def _beside(axis: Axis, low: float, high: float) -> str:
    """The place of a value, in CSS: right or left of what is drawn from low to high, or right of the axis."""
    left, right = (float(axis.percent(end)[:-1]) for end in (low, high))
    if 100 - right >= min(left, 2 * _ROOM) and 100 - right >= _ROOM:
        return f"left:calc({right:.2f}% + 12px)"
    return f"right:calc({100 - left:.2f}% + 12px)" if left >= _ROOM else "left:calc(100% + 12px)"


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
        f"{_error(guess, measured)}"
        f'<svg x="{guess}" y="{first}" overflow="visible"><path d="M0-7L7 0L0 7L-7 0Z" fill="none" '
        f'stroke="currentColor" stroke-width="2"/></svg><line x1="{low}" x2="{high}" y1="{second}" y2="{second}" '
        f'stroke="{_BLUE}" stroke-opacity=".5" stroke-width="8"/>'
        f'<circle cx="{measured}" cy="{second}" r="6" fill="{_BLUE}"/></svg>'
    )


def _error(guess: str, measured: str) -> str:
    """A thin bar between the rows, from the guess to the measured value, with an arm to each."""
    first, middle, second = _ROW // 2 + 7, _ROW, _ROW + _ROW // 2
    ends = ((guess, first, guess, middle), (guess, middle, measured, middle), (measured, middle, measured, second))
    return f'<g stroke-width="2">{"".join(_line(*place, 0.6) for place in ends)}</g>'


def _line(x1: str, y1: int, x2: str, y2: int, opacity: float) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="currentColor" stroke-opacity="{opacity}"/>'


def _tick_labels(axis: Axis) -> str:
    labels = "".join(
        f'<span style="position:absolute;left:{axis.percent(tick)};transform:translateX(-50%)">'
        f"{f'{tick:,.10g}'.replace('-', '−')}</span>"
        for tick in axis.ticks()
    )
    return f'<span style="grid-area:3/2;position:relative;font-size:85%;opacity:.8">{labels}</span>'
