"""Bars with intervals, in groups and in stages; and dots in rows, for values whose distance from 0 is meaningless."""

import re

import matplotlib.patheffects as effects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnopt_lab.workbench.language import _, translated
from nnopt_lab.workbench.plots.colors import (
    BLUE,
    DARK,
    EDGE,
    FAINT,
    PALETTE,
    REFERENCE,
    color_of,
    marker_of,
    readable_on,
)
from nnopt_lab.workbench.plots.style import figure, finish, reference_line, style
from nnopt_lab.workbench.plots.values import middle_low_high, whiskers

_HEIGHT = 0.65
_WIDEST = 0.1  # of a figure's width, about the width of a number
# A white line with this outline can be seen on bars and on both backgrounds.
_OUTLINE = [effects.withStroke(linewidth=3, foreground=DARK)]


def bars(ax: Axes, values: dict, colors=None, reference: float | None = None, labels: str | None = None) -> None:
    """Draw a horizontal bar per name, the first on top, with a whisker if the value has an interval.

    Args:
        ax: the axes to draw on; axes that share y must get the same names.
        values: by name, anything that `middle_low_high` accepts, or None for no bar.
        colors: one colour for all, or a dict name → colour; default each name's colour in all lessons.
        reference: position of a dashed grey line, such as 1 for "as fast as before"; default none.
        labels: format of the numbers at the bars' ends, such as "{:.2f} ms"; default none.

    Raises:
        ValueError: there are no values.
    """
    ends = {}
    for row, name in _rows(ax, values):
        middle, low, high = middle_low_high(values[name])
        ax.barh(row, middle, color=_color(colors, name), height=_HEIGHT)
        if low < high:
            _whisker(ax, row, middle, low, high, capsize=2)
        if labels:
            ends[row] = high, _number(labels, middle)
    if ax.dataLim.x0 == ax.dataLim.x1 == 0:
        ax.update_datalim([(1, 0)])  # around zeros alone, matplotlib would show a hair's breadth on both sides
    if reference is not None:
        reference_line(ax, reference)
    if ends:
        _numbers(ax, ends, reference)


def color_key(ax: Axes, names) -> None:
    """Add entries to the legend that say which colour stands for which of `names`, each with its colour in all lessons.

    Args:
        ax: axes with bars or rows of these colours.
        names: such as "float32" and "int8".
    """
    for name in names:
        ax.barh(0, 0, color=color_of(name), label=name)


def grouped_bars(
    ax: Axes, series: dict, colors=None, reference: float | None = None, labels: str | None = None
) -> None:
    """Draw several bars per name, one per series, the first on top.

    Args:
        ax: the axes to draw on.
        series: a dict series → values by name, as in `bars`; the series' names go into the legend.
        colors: a dict series → colour; default the series' colour in all lessons, or else the next free one.
        reference, labels: as in `bars`.

    Raises:
        ValueError: there is no series, or its names differ from those of the first.
    """
    if not series or any(list(values) != list(next(iter(series.values()))) for values in series.values()):
        raise ValueError(f"series={list(series)} must have at least one entry, and all entries the same names.")
    height, ends = 0.8 / len(series), {}
    for place, (label, values) in enumerate(series.items()):
        color = (colors or {}).get(label) or color_of(label, PALETTE[place % len(PALETTE)])
        for first, (row, name) in enumerate(_rows(ax, values)):
            middle, low, high = middle_low_high(values[name])
            at = row - 0.4 + height * (place + 0.5)
            ax.barh(at, middle, color=color, height=0.9 * height, label=None if first else label)
            if low < high:
                _whisker(ax, at, middle, low, high)
            if labels:
                ends[at] = (high, _number(labels, middle))
    if reference is not None:
        reference_line(ax, reference)
    if labels:
        _numbers(ax, ends, reference)


def stages(ax: Axes, rows: dict, colors: dict | None = None, labels: str | None = None) -> None:
    """Draw a horizontal bar per row, stacked from stages; a stage has the same colour in all rows.

    Args:
        ax: the axes to draw on.
        rows: a dict row → (stage → length, at least 0); rows may differ in stages. The stages' names go into the
            legend.
        colors: a dict stage → colour; default the palette in order.
        labels: format of each row's sum at its end, such as "{:.1f} ms"; default none.

    Raises:
        ValueError: there are no rows, or a length is negative.
    """
    names = list(dict.fromkeys(stage for lengths in rows.values() for stage in lengths))
    colors = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)} | (colors or {})
    seen, ends = set(), {}
    for row, name in _rows(ax, rows):
        start = 0.0
        for stage, length in rows[name].items():
            if length < 0:
                raise ValueError(f"rows[{name!r}][{stage!r}]={length:g} must not be negative.")
            label = None if stage in seen else stage
            ax.barh(row, length, left=start, color=colors[stage], edgecolor=EDGE, height=_HEIGHT, label=label)
            seen.add(stage)
            start += length
        if labels:
            ends[row] = start, _number(labels, start)
    if ends:
        _numbers(ax, ends)


def before_after(ax: Axes, pairs: dict, labels: tuple[str, str] = ("before", "after")) -> None:
    """Draw a row per name: a grey dot before, a blue dot after, and a line between them.

    Args:
        ax: the axes to draw on.
        pairs: by name, (before, after), each anything that `middle_low_high` accepts.
        labels: legend entries of the two dots.

    Raises:
        ValueError: there are no pairs.
    """
    for first, (row, name) in enumerate(_rows(ax, pairs)):
        middles, ends = whiskers(pairs[name])
        ax.plot(middles, [row, row], color=FAINT, linewidth=2, zorder=1)
        for i, (label, color) in enumerate(zip(labels, (REFERENCE, BLUE), strict=True)):
            reach = [[ends[0][i]], [ends[1][i]]]
            ax.errorbar(
                middles[i],
                row,
                xerr=reach,
                fmt=marker_of(color),
                color=color,
                capsize=2,
                label=None if first else label,
            )


def intervals(
    ax: Axes, values: dict, colors=None, reference: float | None = None, label: str | None = None, shift: float = 0
) -> None:
    """Draw a dot with its interval per name, the first on top, for values whose distance from 0 is meaningless.

    Args:
        ax: the axes to draw on.
        values: by name, anything that `middle_low_high` accepts, or None for no dot.
        colors: as in `bars`.
        reference: as in `bars`.
        label: legend entry of all dots.
        shift: rows to move the dots down, so that two calls can share the rows.

    Raises:
        ValueError: there are no values.
    """
    for first, (row, name) in enumerate(_rows(ax, values)):
        (middle,), ends = whiskers([values[name]])
        color = _color(colors, name)
        ax.errorbar(
            middle, row + shift, xerr=ends, fmt=marker_of(color), color=color, capsize=3, label=None if first else label
        )
    if reference is not None:
        reference_line(ax, reference)


def seeds(ax: Axes, runs: dict, colors=None, reference: float | None = None) -> None:
    """Draw a row of dots per name, one dot per seed, and a mark at their mean.

    Args:
        ax: the axes to draw on.
        runs: by name, one number per seed; a name without numbers keeps an empty row.
        colors: as in `bars`.
        reference: as in `bars`.

    Raises:
        ValueError: there are no rows.
    """
    for row, name in _rows(ax, runs):
        values = [float(value) for value in runs[name]]
        color = _color(colors, name)
        if values:
            ax.plot(sum(values) / len(values), row, "|", color=color, markersize=20, markeredgewidth=2.5)
        ax.plot(values, [row] * len(values), marker_of(color), color=color, markeredgecolor=EDGE)
    if reference is not None:
        reference_line(ax, reference)


def boxes(ax: Axes, rows: dict) -> None:
    """Rows of coloured boxes with a text in each: the operators of a file, the bits of a number, work over time.

    Args:
        ax: the axes to draw on; its x axis counts the widths.
        rows: by name, (text, width, colour) from left to right; colour None leaves a gap.

    Raises:
        ValueError: there are no rows.
    """
    for row, name in _rows(ax, rows):
        left = 0.0
        for text, width, color in rows[name]:
            if color is not None:
                ax.barh(row, width, left=left, color=color, edgecolor=EDGE, linewidth=1.5, height=_HEIGHT)
                with style():
                    on = {"ha": "center", "va": "center", "fontsize": "small", "color": readable_on(color)}
                    ax.text(left + width / 2, row, text, **on)
            left += width
    ax.grid(False)
    ax.margins(x=0)


def _rows(ax: Axes, values: dict) -> list[tuple[int, str]]:
    """Name the rows of the axes, the first on top; the rows that hold something."""
    if not values:
        raise ValueError("There is nothing to draw: at least one name is needed.")
    ax.set_yticks(range(len(values)), list(values))
    ax.set_ylim(len(values) - 0.5, -0.5)  # not inverted, which axes that share y would do twice
    ax.grid(False, axis="y")
    return [(row, name) for row, name in enumerate(values) if values[name] is not None]


def _whisker(ax: Axes, row: float, middle: float, low: float, high: float, capsize: float = 0) -> None:
    ends = [[middle - low], [high - middle]]
    drawn = ax.errorbar(middle, row, xerr=ends, fmt="none", ecolor="white", elinewidth=1.2, capsize=capsize)
    for line in (*drawn.lines[1], *drawn.lines[2]):
        line.set_path_effects(_OUTLINE)


def _numbers(ax: Axes, ends: dict, reference: float | None = None) -> None:
    """Write a text at each row's end, (position, text), on the other side of a reference line that would strike it out.

    Negative bars have it beside 0, where no name of a row is. There is no grid, since the numbers replace it.
    """
    reach = max([abs(end) for end, _text in ends.values()] + [reference or 0])
    spec = ax.get_subplotspec()
    wide = _WIDEST * reach * (spec.get_gridspec().ncols if spec else 1)
    for row, (end, text) in ends.items():
        struck = reference is not None and 0 <= reference - end < wide
        place = max(reference if struck else end, 0)
        with style():
            ax.annotate(
                text.replace("-", "−"),
                (place, row),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize="small",
            )
    ax.grid(False)


def _number(labels: str, value: float) -> str:
    """A number for a bar's end; from 1,000 on without decimals, which no measurement deserves there."""
    return (re.sub(r"\.\d+f", ".0f", labels) if abs(value) >= 1000 else labels).format(value)


def _number_right(ax: Axes, row: float, text: str) -> None:
    """Write a row's number right of the axes, where no line strikes it out."""
    place = {"xycoords": ("axes fraction", "data"), "xytext": (5, 0), "textcoords": "offset points"}
    with style():
        ax.annotate(text, (1, row), **place, va="center", fontsize="small")


def _color(colors, name: str) -> str:
    if isinstance(colors, dict):
        return colors.get(name, BLUE)
    return colors or color_of(name)


def comparison(rows: list[dict]) -> Figure:
    """Draw the rows of `measure.Comparison`: bars relative to the first model, and accuracies if there are any."""
    first, names = rows[0], [row["model"] for row in rows]
    panels = {
        "file": [r["bytes"] / first["bytes"] for r in rows],
        "gzipped file": [r["compressed_bytes"] / first["compressed_bytes"] for r in rows],
        "MACs": [r["macs"] / max(first["macs"], 1) for r in rows],
    }
    panels |= {
        f"time, batch {size:,}": [r["latency"][size].median / timing.median for r in rows]
        for size, timing in first["latency"].items()
    }
    accuracies = [r["accuracy"] for r in rows]
    known = any(accuracy is not None for accuracy in accuracies)
    count = len(panels) + known
    fig, axes = figure(count, height=1.1 + 0.38 * len(rows), sharey=True, squeeze=False)
    colors = [REFERENCE] + [BLUE] * (len(rows) - 1)
    with style():
        for ax, (title, values) in zip(axes[0], panels.items(), strict=False):
            ax.barh(range(len(names)), values, color=colors, height=0.7)
            _panel(ax, names, [f"{v:.2f}×" for v in values], title)
        if known:
            # Dots, because an accuracy's distance from 0 is meaningless.
            for row, accuracy in enumerate(accuracies):
                if accuracy is not None:
                    axes[0][-1].plot(accuracy, row, marker_of(colors[row]), color=colors[row])
            _panel(axes[0][-1], names, ["–" if a is None else f"{a:.2f} %" for a in accuracies], "accuracy")
            axes[0][-1].margins(x=0.15)
        name = first["model"]
        fig.supxlabel(f"relative to {name}, accuracy in percent" if known else f"relative to {name}", fontsize="small")
    return finish(fig, _described(rows), measured="x")


def _described(rows: list[dict]) -> str:
    smallest = min(rows, key=lambda row: row["bytes"])
    fastest = [
        _("{name} at batch {size}", name=translated(_fastest(rows, size)), size=f"{size:,}")
        for size in rows[0]["latency"]
    ]
    return _(
        "Bars relative to {first}. The smallest file: {smallest}; the fastest: {fastest}.",
        first=translated(rows[0]["model"]),
        smallest=translated(smallest["model"]),
        fastest=_(", ").join(fastest),
    )


def _fastest(rows: list[dict], size: int) -> str:
    return min(rows, key=lambda row: row["latency"][size].median)["model"]


def _panel(ax: Axes, names: list[str], labels: list[str], title: str) -> None:
    for row, label in enumerate(labels):
        _number_right(ax, row, label)
    ax.set_yticks(range(len(names)), names)
    ax.set_title(title, fontsize="small")
    ax.set(xticks=[], ylim=(len(names) - 0.5, -0.5))  # the numbers at the right replace ticks
    ax.grid(False)
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(left=False)
