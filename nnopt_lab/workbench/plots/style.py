"""The common style of the course's figures: sizes, legends and logarithmic axes."""

import io

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from nnopt_lab.workbench.plots.colors import PALETTE, REFERENCE

SIZE = (8.0, 3.6)  # inches, of one row
STYLE = {
    "figure.dpi": 110,
    "figure.facecolor": "white",  # on a dark page, the dark labels would be unreadable
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "axes.titlesize": "medium",
    "legend.frameon": False,
    "text.color": "#222222",
    "axes.labelcolor": "#222222",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "lines.linewidth": 1.8,
}


def style():
    """A context manager that applies the course's style to everything drawn inside, whatever the user's settings."""
    return plt.style.context(["default", STYLE])


def figure(ncols: int = 1, nrows: int = 1, **kw):
    """Make a figure with `plt.subplots` in the course's style and size; returns (figure, axes).

    `kw` goes to `plt.subplots`, and the axes are what it returns: one Axes or an array of them. The constrained layout
    keeps labels from overlapping.
    """
    with style():
        return plt.subplots(nrows, ncols, **{"figsize": (SIZE[0], SIZE[1] * nrows), "layout": "constrained"} | kw)


def png(fig: Figure, scale: float = 1) -> bytes:
    """Render a figure as the content of a PNG file, cropped to what is drawn, with `scale` times its pixels."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", bbox_inches="tight", dpi=scale * fig.dpi)
    return buffer.getvalue()


def finish(fig: Figure) -> Figure:
    """Close a figure and return it, so that it shows once, not twice, as the last expression of a cell."""
    for axes in fig.axes:
        if axes.get_legend():  # perhaps made outside `style()`
            axes.get_legend().set_frame_on(False)
    plt.close(fig)
    return fig


def legend(of: Figure | Axes, side: str = "upper", ncols: int | None = None, title: str | None = None) -> None:
    """Put a legend beside the axes, never over the data; a label that several axes share appears once.

    Args:
        of: a figure from `figure()`, whose constrained layout makes room; or one of several axes with different
            contents, which gets its legend above it instead of a title.
        side: of the figure, "upper" or "right".
        ncols: labels per row; default up to 4 above, and 1 at the right.
        title: above the labels.

    Raises:
        ValueError: `side` is neither of these, or nothing drawn has a label.
    """
    if side not in ("upper", "right"):
        raise ValueError(f"side={side!r} must be 'upper' or 'right'.")
    found = {}
    for ax in [of] if isinstance(of, Axes) else of.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if not found:
        raise ValueError("Nothing drawn in `of` has a label: pass `label` when you draw.")
    place = "outside upper left" if side == "upper" else "outside right upper"
    where = (
        {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0} if isinstance(of, Axes) else {"loc": place}
    )
    columns = ncols or (1 if side == "right" else min(4, len(found)))
    with style():
        made = of.legend(
            found.values(), found.keys(), ncols=columns, fontsize="small", title=title, title_fontsize="small", **where
        )
    made.set_alignment("left")


def log_axis(axis: Axis, values, labels=None, base: float = 2) -> None:
    """Make an axis logarithmic, with ticks at these values only, so that 1, 2, 4, 8 … are equally far apart.

    Args:
        axis: such as `ax.xaxis`.
        values: the ticks, at least one, all above 0.
        labels: one text per tick; default the number itself, such as 1,024.
        base: of the logarithm; it has no visible effect.

    Raises:
        ValueError: there is no value, a value is not above 0, or there is not one label per value.
    """
    values = [float(value) for value in values]
    if not values or min(values) <= 0:
        raise ValueError(f"values={values} must contain at least one number, all above 0.")
    labels = [f"{value:,g}" if value < 1 else f"{value:,.10g}" for value in values] if labels is None else list(labels)
    if len(labels) != len(values):
        raise ValueError(f"labels has {len(labels)} entries; it must have one per value, {len(values)}.")
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log", base=base)
    axis.set_ticks(values, labels)
    axis.minorticks_off()


def reference_line(ax: Axes, value: float, label: str | None = None, across: bool = False) -> None:
    """Draw a dashed grey reference line at `value`: vertical, or horizontal if `across` is True."""
    draw = ax.axhline if across else ax.axvline
    draw(value, color=REFERENCE, linestyle="--", linewidth=1, label=label, zorder=1)
