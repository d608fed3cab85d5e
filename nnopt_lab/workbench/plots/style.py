"""The common style of the course's figures: sizes, legends and logarithmic axes."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogFormatterSciNotation, ScalarFormatter

from nnopt_lab.workbench.language import spoken_language, translated
from nnopt_lab.workbench.plots.colors import GRID, INK, PALETTE, REFERENCE, line_of
from nnopt_lab.workbench.plots.illustration import Illustration
from nnopt_lab.workbench.plots.one_at_a_time import DRAWING, one_at_a_time
from nnopt_lab.workbench.plots.summary import check_varies
from nnopt_lab.workbench.plots.ticks import thin_ticks
from nnopt_lab.workbench.plots.translation import fonts, translate

SMALLEST_PLAIN, LARGEST_PLAIN = 1e-3, 1e7  # ends of a logarithmic axis with plain numbers
SIZE = (8.0, 3.6)  # inches, of one row
STYLE = {
    "figure.dpi": 110,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "axes.titlesize": "medium",
    "legend.fontsize": 9,
    # Inches, so that a panel's labels stay away from its neighbour.
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.07,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.8,
    # Transparent, so that a figure lies on a white page as on a dark one.
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
}


@contextmanager
def style() -> Iterator[None]:
    """A context manager that applies the course's style to everything drawn inside, whatever the user's settings.

    Other threads wait before they draw, since matplotlib's settings belong to the whole process.
    """
    with DRAWING, plt.style.context(["default", STYLE]):
        yield


def figure(ncols: int = 1, nrows: int = 1, height: float | None = None, **kw):
    """Make a figure with `plt.subplots` in the course's style and width; returns (figure, axes).

    `kw` goes to `plt.subplots`, and the axes are what it returns: one Axes or an array of them. The constrained layout
    keeps labels from overlapping.

    Args:
        ncols, nrows: of the axes.
        height: in inches; default 3.6 per row. The width is the same for all figures, so that a page looks even.
    """
    with style():
        size = {"figsize": (SIZE[0], height or SIZE[1] * nrows), "layout": "constrained"}
        return plt.subplots(nrows, ncols, **size | kw, FigureClass=Illustration)


@one_at_a_time
def finish(fig: Figure, alt: str = "", *, measured: str = "", trained: str = "", series: bool = False) -> Figure:
    """Close a figure and return it, so that it shows once, not twice, as the last expression of a cell.

    Its words are shown in the language in use.

    Args:
        fig: from `figure()`.
        alt: what there is to see, in one or two sentences for readers who do not see the figure; titles, axes and
            legend are added to it.
        measured: axes, such as "x" or "xy", whose values are times or other measurements of the machine. A test that
            runs a lesson again then allows them to differ from the stored ones.
        trained: axes with results of training, which differ a little from processor to processor.
        series: whether the machine decides which rows and series there are, by its cores for example.

    Raises:
        ValueError: bars do not start at 0, so that their lengths mislead; or `measured` or `trained` is not "x", "y",
            "xy" or "".
    """
    _check_bars(fig)
    varies = {"measured": measured, "trained": trained, "series": series}
    check_varies(varies)
    fig.alt, fig.varies = translated(alt), varies
    translate(fig)
    for axes in fig.axes:
        _style_lines(axes)
        axes.title.set_text(_capitalised(axes.get_title()))
        if axes.axison and not axes.images:
            axes.title.set(x=0, horizontalalignment="left")  # as legends are
        axes.tick_params(which="both", colors=INK, grid_color=GRID)  # ticks made outside `style()` would be black
    for legend in (*fig.legends, *(axes.get_legend() for axes in fig.axes)):
        if legend is not None:
            legend.set_frame_on(False)
            legend.get_title().set_text(_capitalised(legend.get_title().get_text()))
    for axis in (axis for axes in fig.axes for axis in (axes.xaxis, axes.yaxis)):
        if _has_long_powers(axis):
            log_axis(axis, base=10)
        if isinstance(axis.get_major_formatter(), ScalarFormatter) and max(map(abs, axis.get_view_interval())) >= 1000:
            axis.set_major_formatter(lambda value, place: f"{value:,.10g}".replace("-", "−"))
    thin_ticks(fig)
    for text in fig.findobj(Text):
        if to_hex(text.get_color()) == "#000000":
            text.set_color(INK)
    plt.close(fig)
    return fig


def _capitalised(title: str) -> str:
    """Begin a title with a capital, unless its first word is a unit or a name in a program, such as exp_range."""
    return title[:1].upper() + title[1:] if re.match(r"(?!ms\b)[a-z]+(?![\w.])", title, re.ASCII) else title


def _has_long_powers(axis: Axis) -> bool:
    """Whether a logarithmic axis shows 10², 10³ … where 100, 1,000 … are easier to read."""
    low, high = sorted(axis.get_view_interval())
    default = isinstance(axis.get_major_formatter(), LogFormatterSciNotation)
    return axis.get_scale() == "log" and default and low >= SMALLEST_PLAIN and high <= LARGEST_PLAIN


def _check_bars(fig: Figure) -> None:
    for ax in fig.axes:
        for bars in (c for c in ax.containers if isinstance(c, BarContainer)):
            axis = ax.xaxis if bars.orientation == "horizontal" else ax.yaxis
            low, high = sorted(axis.get_view_interval())
            if axis.get_scale() == "linear" and not low <= 0 <= high:
                raise ValueError(
                    f"The bars' axis goes from {low:g} to {high:g} and must contain 0. For values whose distance from "
                    "0 means nothing, such as accuracies, draw dots: plots.intervals() or plots.seeds()."
                )


def _style_lines(ax: Axes) -> None:
    """Give solid lines the style that goes with their colour, by which colour-blind readers tell them apart."""
    drawn = [line for axes in ax.figure.axes for line in axes.lines if line.get_linestyle() != "None"]
    if len({to_hex(line.get_color()).upper() for line in drawn} - {REFERENCE}) == 1:
        return
    for line in ax.lines:
        color = to_hex(line.get_color()).upper()
        if line.get_linestyle() == "-" and color != REFERENCE:  # grey needs no marker to be distinct
            line.set_linestyle(line_of(color))


@one_at_a_time
def legend(of: Figure | Axes, side: str = "upper", ncols: int | None = None, title: str | None = None) -> None:
    """Put a legend beside the axes, never over the data; a label that several axes share appears once.

    Args:
        of: a figure from `figure()`, whose constrained layout makes room; or one of several axes with different
            contents, which gets its legend above it instead of a title.
        side: of the figure, "upper" or "right".
        ncols: labels per row; default up to 4 above, in rows of about equal length, and 1 at the right.
        title: above the labels.

    Raises:
        ValueError: `side` is neither of these, or nothing drawn has a label.
    """
    if side not in ("upper", "right"):
        raise ValueError(f"side={side!r} must be 'upper' or 'right'.")
    found = {}
    for ax in [of] if isinstance(of, Axes) else of.axes:
        _style_lines(ax)
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            line = handle.lines[0] if isinstance(handle, ErrorbarContainer) else None
            found.setdefault(label, line or handle)  # a marker without the whiskers, which would look like a plus
    if not found:
        raise ValueError("Nothing drawn in `of` has a label: pass `label` when you draw.")
    place = "outside upper left" if side == "upper" else "outside right upper"
    as_titles = {"title_fontsize": plt.rcParams["axes.titlesize"]}  # of the axes beside it, made here and now
    where = _ABOVE_AXES | as_titles if isinstance(of, Axes) else {"loc": place, "title_fontsize": 9}
    rows = len(found) if side == "right" else math.ceil(len(found) / 4)
    _placed(of, found, ncols or math.ceil(len(found) / rows), where | {"title": title})


# Narrow, so that the legends of neighbours have equally many rows more often.
_ABOVE_AXES = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0}
_ABOVE_AXES |= {"handlelength": 1.6, "handletextpad": 0.5, "columnspacing": 0.8}


def _placed(of: Figure | Axes, found: dict, columns: int, where: dict) -> None:
    """A legend with as many columns as fit above the figure or axes; the layout will make axes somewhat wider."""
    room = of.bbox.width * (1.2 if isinstance(of, Axes) else 1)
    with style(), plt.rc_context({"font.family": fonts(spoken_language()) or plt.rcParams["font.family"]}):
        made = of.legend(found.values(), found.keys(), ncols=columns, **where)
    made.set_alignment("left")
    if columns > 1 and made.get_window_extent().width > room:
        made.remove()
        rows = math.ceil(len(found) / (columns - 1))
        _placed(of, found, math.ceil(len(found) / rows), where)


def log_axis(axis: Axis, values=None, labels=None, base: float = 2) -> None:
    """Make an axis logarithmic, with ticks at these values only, so that 1, 2, 4, 8 … are equally far apart.

    Args:
        axis: such as `ax.xaxis`.
        values: the ticks, at least one, all above 0; default 1, 3, 10, 30 … within what has been drawn.
        labels: one text per tick; default the number itself, such as 1,024.
        base: of the logarithm; it has no visible effect.

    Raises:
        ValueError: there is no value, a value is not above 0, or there is not one label per value.
    """
    if values is None:
        getattr(axis.axes, f"set_{axis.axis_name}scale")("log", base=base)
        values = round_values(*axis.get_view_interval())
    values = [float(value) for value in values]
    if not values or min(values) <= 0:
        raise ValueError(f"values={values} must contain at least one number, all above 0.")
    labels = [f"{value:,g}" if value < 1 else f"{value:,.10g}" for value in values] if labels is None else list(labels)
    if len(labels) != len(values):
        raise ValueError(f"labels has length {len(labels)}; it must be {len(values)}, one per value.")
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log", base=base)
    axis.set_ticks(values, labels)
    axis.minorticks_off()


def percent_axis(axis: Axis) -> None:
    """Write the ticks of an axis of shares from 0 to 1 as percentages: 0.5 is 50 %."""
    axis.set_major_formatter(lambda share, place: f"{100 * share:.4g} %".replace("-", "−"))


def round_values(low: float, high: float) -> list[float]:
    """1, 3, 10, 30 … between low and high; 1, 2, 5 … over less than two decades, powers of ten over more than four."""
    steps = (1, 2, 5) if high / low < 1e2 else (1, 3) if high / low < 1e4 else (1,)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**e for e in exponents for step in steps if low <= step * 10.0**e <= high]


def reference_line(ax: Axes, value: float, label: str | None = None, across: bool = False) -> None:
    """Draw a dashed grey reference line at `value`: vertical, or horizontal if `across` is True."""
    draw = ax.axhline if across else ax.axvline
    draw(value, color=REFERENCE, linestyle="--", linewidth=1, label=label, zorder=1)
