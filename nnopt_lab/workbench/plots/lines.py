"""Lines and points: curves, bands over seeds, intervals, and named points."""

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nnopt_lab.workbench.language import _, counted, translated
from nnopt_lab.workbench.plots.colors import ENGINES, PALETTE, color_of, line_of, marker_of
from nnopt_lab.workbench.plots.names import write_names
from nnopt_lab.workbench.plots.one_at_a_time import one_at_a_time
from nnopt_lab.workbench.plots.style import figure, finish, reference_line, style
from nnopt_lab.workbench.plots.translation import language_of_figures
from nnopt_lab.workbench.plots.values import middle_low_high, whiskers


def curves(ax: Axes, x, series: dict, reference: tuple[str, float] | None = None) -> None:
    """Draw a line with dots per series over the same x, and a dashed grey line as a reference.

    Args:
        ax: the axes to draw on.
        x: X numbers.
        series: by name, X numbers each.
        reference: (name, value) of the grey line; default none.

    Raises:
        ValueError: a series and `x` differ in length.
    """
    colors = series_colors(series)
    rows = {name: [float(y) for y in values] for name, values in series.items()}
    for place, (name, values) in enumerate(rows.items()):
        if len(values) != len(x):
            raise ValueError(f"series {name!r} has length {len(values)}; x has length {len(x)}.")
        # A line below others that would hide it is drawn thicker, so that it shows on both sides of them.
        above = sum(values == other for other in list(rows.values())[place + 1 :])
        thick = {"linewidth": 1.8 + 3 * above, "markersize": 4.5 + 3 * above} if above else {}
        ax.plot(x, values, **_drawn(colors[name], len(rows) == 1) | thick, label=name)
    if reference:
        reference_line(ax, reference[1], reference[0], across=True)


def interval_line(ax: Axes, x, values, label: str | None = None, color: str | None = None) -> None:
    """Draw a line with dots, and a whisker per interval.

    Args:
        ax: the axes to draw on.
        x: X numbers.
        values: X values, each anything that `middle_low_high` accepts.
        label: legend entry.
        color: default the axes' next colour.

    Raises:
        ValueError: `values` and `x` differ in length.
    """
    values = list(values)
    if len(values) != len(x):
        raise ValueError(f"values has length {len(values)}; x has length {len(x)}.")
    middles, ends = whiskers(values)
    color = color or _next_color(ax)
    ax.errorbar(x, middles, yerr=ends, capsize=3, label=label, **_drawn(color))


def scatter(ax: Axes, points: dict, color: str | None = None, label: str | None = None, names: bool = True) -> None:
    """Draw points with their names beside them, and whiskers if an x or y has an interval.

    Set the axes' scales first: each name is placed so that it covers no point and no other name.

    Args:
        ax: the axes to draw on.
        points: by name, (x, y), each anything that `middle_low_high` accepts.
        color: of all points; default each name's colour in all lessons.
        label: legend entry of all points.
        names: whether to write the names.
    """
    for place, (name, (x, y)) in enumerate(points.items()):
        across, widths = whiskers([x])
        up, heights = whiskers([y])
        own = color or color_of(name)
        style_of = {"color": own, "fmt": marker_of(own), "label": None if place else label}
        ax.errorbar(across, up, xerr=widths, yerr=heights, markersize=5, capsize=2, **style_of)
    if names:
        ax.margins(0.15)
        write_names(ax, {name: tuple(middle_low_high(v)[0] for v in point) for name, point in points.items()})


@one_at_a_time
def name_lines(ax: Axes) -> None:
    """Write each labelled line's name at its right end, in its colour: easier to follow than a legend.

    Set the axes' limits and scales first. Names whose lines end close together move apart.

    Raises:
        ValueError: no line has a label.
    """
    handles, labels = ax.get_legend_handles_labels()
    if not labels:
        raise ValueError("Nothing drawn in `ax` has a label: pass `label` when you draw.")
    lines = [handle.lines[0] if isinstance(handle, ErrorbarContainer) else handle for handle in handles]
    ax.figure.draw_without_rendering()  # positions on the page are known only after drawing
    _end_after_data(ax)  # so that the names stand beside the axes, where no grid strikes them out
    ends = np.array([_right_end(ax, line) for line in lines])
    order = np.argsort(ends, kind="stable")
    ends[order] = _apart(ends[order], _NAME_HEIGHT / ax.bbox.height)
    for end, line, label in zip(ends, lines, labels, strict=True):
        look = {"va": "center", "fontsize": "small", "color": line.get_color()}
        with style():
            ax.annotate(label, (1, end), xycoords="axes fraction", xytext=(3, 0), textcoords="offset points", **look)


def _end_after_data(ax: Axes) -> None:
    """Let the x axis end where the data end, with room for half a marker."""
    now = ax.get_xlim()[1]
    x, y = ax.transData.transform((ax.dataLim.x1, ax.get_ylim()[0]))
    ax.set_xlim(right=min(now, ax.transData.inverted().transform((x + _MARKER, y))[0]))


def _right_end(ax: Axes, line) -> float:
    """How high a line ends at the right, as a share of the axes; within them if it leaves them."""
    corners = line.get_transform().transform(line.get_xydata())
    corners = corners[np.isfinite(corners).all(1)]
    _x, y = ax.transAxes.inverted().transform(corners[corners[:, 0].argmax()])
    return min(max(y, 0.0), 1.0)


def _apart(places: np.ndarray, gap: float) -> np.ndarray:
    """Ascending places, moved as little as possible until neighbours are at least `gap` apart."""
    groups = [[place] for place in places]  # each stands around the middle of its wishes
    merged = True
    while merged:
        merged = False
        for i, (one, other) in enumerate(pairwise(groups)):
            if np.mean(other) - np.mean(one) < gap * (len(one) + len(other)) / 2 - 1e-9:
                groups[i : i + 2] = [one + other]
                merged = True
                break
    return np.array([np.mean(group) + gap * (k - (len(group) - 1) / 2) for group in groups for k in range(len(group))])


_MARKER = 5  # pixels, half of it
_NAME_HEIGHT = 15  # pixels from one name to the next


def series_colors(series: dict) -> dict[str, str]:
    """Each series' colour in all lessons if it has one that no earlier series took, else the next free one."""
    own = {name: ENGINES.get(name) or color_of(name, "") for name in series}
    colors = {name: color for i, (name, color) in enumerate(own.items()) if color not in list(own.values())[:i]}
    free = [color for color in PALETTE if color not in colors.values()] or list(PALETTE)
    rest = [name for name in series if not colors.get(name)]
    colors |= {name: free[i % len(free)] for i, name in enumerate(rest)}
    return {name: colors[name] for name in series}


def _next_color(ax: Axes) -> str:
    (line,) = ax.plot([], [])
    line.remove()
    return line.get_color()


def _drawn(color: str, alone: bool = False) -> dict:
    """How a line of this colour is drawn in all lessons; solid with dots if it has no neighbour to differ from."""
    look = {"marker": "o", "linestyle": "-"} if alone else {"marker": marker_of(color), "linestyle": line_of(color)}
    return {"color": color, "markersize": 4.5} | look


def band(ax: Axes, x, runs, label: str, color: str | None = None) -> None:
    """Draw the mean over seeds as a line, in a band from the lowest to the highest seed.

    Args:
        ax: the axes to draw on.
        x: X numbers.
        runs: S rows of X numbers, one row per seed; S at least 1.
        label: legend entry; the number of seeds is added.
        color: default the axes' next colour.

    Raises:
        ValueError: there is no run, or a run and `x` differ in length.
    """
    if len(runs) == 0 or any(len(run) != len(x) for run in runs):
        raise ValueError(f"runs has lengths {[len(run) for run in runs]}; it must have one or more of length {len(x)}.")
    values = np.array([[float(y) for y in run] for run in runs])
    color = color or _next_color(ax)
    ax.plot(x, values.mean(0), label=_seeds(label, len(runs)), **_drawn(color))
    ax.fill_between(x, values.min(0), values.max(0), color=color, alpha=0.18, linewidth=0)


def _seeds(label: str, count: int) -> str:
    with language_of_figures():
        return counted(count, "{label} ({count} seed)", "{label} ({count} seeds)", label=translated(label))


def history(histories: dict) -> Figure:
    """Draw training loss and validation accuracy by epoch.

    Args:
        histories: by name, objects with the lists `train_loss` and `validation_accuracy` (percent), such as `History`.
    """
    fig, (left, right) = figure(2)
    with style():
        for name, color in series_colors(histories).items():
            epochs, look = range(1, len(histories[name].train_loss) + 1), _drawn(color, len(histories) == 1)
            left.plot(epochs, histories[name].train_loss, **look, label=name)
            right.plot(epochs, histories[name].validation_accuracy, **look)
        left.set(xlabel="epoch", ylabel="training loss")
        right.set(xlabel="epoch", ylabel="validation accuracy, %")
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        fig.legend(loc="outside upper left", ncols=min(len(histories), 4))
    ends = [
        _("{name} at {accuracy} %", name=translated(name), accuracy=f"{run.validation_accuracy[-1]:.1f}")
        for name, run in histories.items()
    ]
    alt = _(
        "Training loss on the left, and validation accuracy on the right, which ends with {ends}.",
        ends=_(", ").join(ends),
    )
    return finish(fig, alt, trained="y")
