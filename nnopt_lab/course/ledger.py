"""The ledger: every guess with its measurement, as a table and a plot."""

import html
import math
import textwrap
from dataclasses import dataclass
from statistics import median

from nnopt_lab.course.cards import WHOLE, inline
from nnopt_lab.workbench.language import _, counted, translated

FARTHEST = 1e6  # of guess ÷ measured, on the plot
LONGEST_NAME = 64
FINEST = 2  # decimals of percent and points: 10,000 test pictures can't show more
ENOUGH = 3  # guesses, before anything is said about all of them: one or two prove nothing


@dataclass
class Prediction:
    """One line of the ledger; numbers are in `unit`, or None if not known yet.

    `disturbed`: whether another program was busy while it was measured.
    """

    lesson: str
    unit: str
    guess: float | None = None
    measured: float | None = None
    low: float | None = None
    high: float | None = None
    disturbed: bool = False

    @property
    def counts(self) -> bool:
        """Whether a guess was made before the measurement."""
        return self.guess is not None and self.measured is not None

    @property
    def factor(self) -> float | None:
        """How many times too large or too small the guess is; None if it or the measurement is not positive."""
        return None if self.ratio is None else max(self.ratio, 1 / self.ratio)

    @property
    def ratio(self) -> float | None:
        """Guess ÷ measured; None if one of the two is not positive, or too small to divide by."""
        if self.guess > 0 and self.measured > 0:
            ratio = self.guess / self.measured
            return ratio if 0 < ratio < math.inf and 1 / ratio < math.inf else None
        return None

    @property
    def is_in_points(self) -> bool:
        """Whether the unit is percent or points: such numbers differ by points, not by a factor."""
        return in_points(self.unit)

    @property
    def is_inside(self) -> bool:
        """Whether the guess is inside the measured interval."""
        return self.low <= self.guess <= self.high

    @property
    def is_noisy(self) -> bool:
        """Whether the measurement proves nothing about the guess.

        It was disturbed, or the guess is inside an interval wider than the measured value itself.
        """
        return self.disturbed or (self.is_inside and self.high - self.low > abs(self.measured))

    @property
    def verdict(self) -> str:
        """A few words on how good the guess was."""
        if self.disturbed:
            return _("not judged (disturbed)")
        if self.is_noisy:
            return _("too noisy to judge")
        if self.is_inside:
            return _("inside the interval")
        is_high = self.guess > self.measured
        if self.is_in_points:
            off = _points(abs(self.guess - self.measured))
            return _("{off} points too high", off=off) if is_high else _("{off} points too low", off=off)
        if self.factor is None:
            off = f"{abs(self.guess - self.measured):.3g}"
            return _("{off} too high", off=off) if is_high else _("{off} too low", off=off)
        times = rounded_factor(self.factor)
        return _("{factor} times too high", factor=times) if is_high else _("{factor} times too low", factor=times)


class Ledger:
    """All predictions so far: a table and a plot in a notebook, lines of text elsewhere."""

    def __init__(self, predictions: dict[str, Prediction]):
        made = {n: p for n, p in predictions.items() if p.counts}
        self.made = dict(sorted(made.items(), key=lambda item: item[1].lesson))

    def __repr__(self) -> str:
        if not self.made:
            return _("No guesses yet. A guess that you make before its measurement is compared with it here.")
        lines = [
            _("{name}: guessed {guess}, measured {measured}", name=translated(name), **_numbers(p))
            for name, p in self.made.items()
        ]
        return "\n".join([_heading(), *lines, self._ending])

    @property
    def _ending(self) -> str:
        if len(self.made) >= ENOUGH:
            return self.summary
        return _("From {count} guesses on, a summary and a chart follow here.", count=ENOUGH)

    @property
    def summary(self) -> str:
        """The number of right guesses, and the typical error of all."""
        noisy = sum(p.is_noisy for p in self.made.values())
        judged = [p for p in self.made.values() if not p.is_noisy]
        inside = sum(p.is_inside for p in judged)
        factors = [p.factor for p in judged if p.factor is not None and not p.is_in_points]
        points = [abs(p.guess - p.measured) for p in judged if p.is_in_points]
        told = [_("{inside} of {count} guesses inside the measured interval", inside=inside, count=len(self.made))]
        if not inside:  # "0 of 1" would discourage
            told = [counted(len(self.made), "{count} guess", "{count} guesses")]
        if noisy:
            told.append(_("{count} too noisy to judge", count=noisy))
        if factors:
            typical = rounded_factor(math.exp(median(map(math.log, factors))))
            told.append(_("typically off by a factor of {factor}", factor=typical))
        if points:
            told.append(_("typically off by {off} points", off=_points(median(points))))
        return _("; ").join(told)

    def plot(self):
        """Draw guess ÷ measured on a log axis, one row per guess.

        Returns:
            A matplotlib Figure, or None if there are too few guesses, or no ratios.
        """
        from nnopt_lab.workbench import plots

        if len(self.made) < ENOUGH or all(p.ratio is None for p in self.made.values()):
            return None
        with plots.language_of_figures():
            return self._drawn()

    def _drawn(self):
        from nnopt_lab.workbench import plots

        colors = self._colors()
        fig, ax = plots.figure(height=1.1 + 0.24 * len(self.made))
        with plots.style():
            ax.axvline(1, color=plots.REFERENCE, linewidth=1)
            for row, p in enumerate(self.made.values()):
                if p.ratio is None:
                    told = _("guessed {guess}, measured {measured}: no ratio", **_numbers(p))
                    beside = {"xytext": (6, 0), "textcoords": "offset points", "va": "center", "fontsize": 8}
                    ax.annotate(told, (1, row), **beside)
                    continue
                ends = [_plotted(p.guess / end if end > 0 else math.inf) for end in (p.high, p.low)]
                ax.plot(ends, [row, row], color=colors[p.lesson], linewidth=4, alpha=0.35, solid_capstyle="butt")
                fill = "none" if p.is_noisy else colors[p.lesson]
                ax.plot(_plotted(p.ratio), row, "o", color=colors[p.lesson], markerfacecolor=fill, markersize=6)
            names = [textwrap.shorten(translated(name), LONGEST_NAME, placeholder=" …") for name in self.made]
            numbered = [f"{name}  {p.lesson[:2]}" for name, p in zip(names, self.made.values(), strict=True)]
            ax.set_yticks(range(len(numbered)), numbered, fontsize="small")
            ax.set(xscale="log", ylim=(len(numbered) - 0.4, -0.6))
            low, high = ax.get_xlim()
            ax.set_xlim(min(low, 0.4), max(high, 2.5))  # otherwise a single good guess would fill the width
            plots.log_axis(ax.xaxis)
            ax.grid(axis="y", visible=False)
            label = _("guess ÷ measured\nleft of 1 too low, right of 1 too high")
            if any(p.is_noisy for p in self.made.values()):
                label = _("guess ÷ measured\nleft of 1 too low, right of 1 too high; hollow: too noisy to judge")
            ax.set_xlabel(label)
        alt = _("Each guess divided by what was measured; a guess on the line at 1 was right.")
        return plots.finish(fig, alt, measured="x")

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display({"text/plain": repr(self), "text/html": self._repr_html_()}, raw=True)
        if (figure := self.plot()) is not None:
            display(figure)

    def _repr_png_(self):
        from nnopt_lab.workbench import plots

        figure = self.plot()
        return None if figure is None else plots.png(figure)

    def _repr_html_(self) -> str:
        if not self.made:
            return f"<div>{self!r}</div>"
        left, right = "text-align:left", "text-align:right"
        colors = self._colors()
        rows = "".join(
            _row(
                "td",
                (f"{left};{WHOLE}", f'<span style="color:{colors[p.lesson]}">●</span> {html.escape(p.lesson[:2])}'),
                (left, inline(translated(name))),
                (right, _whole(in_unit(p.guess, p.unit))),
                (right, _whole(in_unit(p.measured, p.unit))),
                (f"{left};{WHOLE}", html.escape(p.verdict)),
            )
            for name, p in self.made.items()
        )
        heads = _row(
            'th scope="col"',
            (f"{left};{WHOLE}", _("lesson")),
            (left, _("prediction")),
            (right, _("guess")),
            (right, _("measured")),
            (left, ""),
        )
        return f"<div>{_heading()}</div><table>{heads}{rows}</table><div>{html.escape(self._ending)}</div>"

    def _colors(self) -> dict[str, str]:
        """A colour per lesson; neighbours differ, and the lesson's number distinguishes those that share a colour."""
        from nnopt_lab.workbench import plots

        lessons = sorted({p.lesson for p in self.made.values()})
        return {lesson: plots.PALETTE[i % len(plots.PALETTE)] for i, lesson in enumerate(lessons)}


def _row(tag: str, *cells: tuple[str, str]) -> str:
    """A row of the table in HTML, from each cell's style and content."""
    inside = (f'<{tag} style="padding:3px 6px;{style}">{content}</{tag[:2]}>' for style, content in cells)
    return f"<tr>{''.join(inside)}</tr>"


def _whole(number: str) -> str:
    """A number with its unit in HTML, on one line unless the unit is several words."""
    return html.escape(number.replace(" ", "\N{NO-BREAK SPACE}") if number.count(" ") < 2 else number)


def ledger_of(contents: dict) -> Ledger:
    """The predictions in the contents of a progress file."""
    return Ledger({name: Prediction(**entry) for name, entry in contents["predictions"].items()})


def in_points(unit: str) -> bool:
    """Whether a unit is percent or points."""
    return unit.split(" ")[0] in ("%", "points")


def in_unit(value: float, unit: str) -> str:
    """A number with its unit, such as "2.5 ms" or "2.5×", or alone if it has none."""
    return with_unit(figure(round(value, FINEST) if in_points(unit) else value), unit)


def with_unit(number: str, unit: str) -> str:
    """A written number with its unit; "×" follows it directly, as in tables and figures."""
    if unit == "points":
        return _("{number} point", number=number) if number == "1" else _("{number} points", number=number)
    return f"{number}{'' if unit == '×' else ' '}{translated(unit)}".rstrip()


def rounded_factor(factor: float) -> str:
    """A factor of at least 1 with two digits, such as "58", or with up to four if two would say "1.0" ("1.04")."""
    if factor >= 100:
        return f"{float(f'{factor:.1e}'):,.0f}"
    if factor >= 9.95:
        return f"{factor:.0f}"
    texts = [f"{factor:.{decimals}f}" for decimals in (1, 2, 3)]
    return next((text for text in texts if float(text) > 1), texts[0])


def _points(difference: float) -> str:
    return f"{difference:.1f}" if difference >= 0.1 else f"{difference:.1g}"


def _numbers(p: Prediction) -> dict[str, str]:
    return {"guess": in_unit(p.guess, p.unit), "measured": in_unit(p.measured, p.unit)}


def _heading() -> str:
    return _("Your guesses so far, compared with what was measured:")


def figure(value: float) -> str:
    """A number with three digits, or all digits of a large one."""
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}").replace("-", "−")


def figures(*values: float, unit: str = "") -> list[str]:
    """Numbers to compare, with equally many decimals: three digits for the largest, without needless zeros."""
    if in_points(unit):
        values = tuple(round(value, FINEST) for value in values)
    largest = max(map(abs, values))
    if not 1e-4 <= largest < math.inf:
        return [figure(value) for value in values]
    decimals = max(0, 2 - math.floor(math.log10(largest)))
    while decimals and all(round(value, decimals) == round(value, decimals - 1) for value in values):
        decimals -= 1
    return [f"{round(value, decimals) + 0.0:,.{decimals}f}".replace("-", "−") for value in values]


def _plotted(ratio: float) -> float:
    return min(max(ratio, 1 / FARTHEST), FARTHEST)
