"""What a figure shows, for programs: its words, its series and the ranges of its data, to compare two runs of it."""

import math
import re

from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure

from nnopt_lab.workbench.provenance import processor

KEY = "nnopt_figure"  # in the metadata of the output that shows the figure
VARIES = ("measured", "trained", "series")
_NUMBER = r"\$.*?\$|[\d.,]+(e[+-]?\d+)?"  # also as a formula, as on logarithmic axes


def check_varies(varies: dict) -> None:
    """Check the declarations of `finish()`.

    Raises:
        ValueError: `measured` or `trained` names something other than the axes x and y.
    """
    for kind in ("measured", "trained"):
        if not set(varies[kind]) <= set("xy"):
            raise ValueError(f"{kind}={varies[kind]!r} must be 'x', 'y', 'xy' or ''.")


def summary(fig: Figure) -> dict:
    """Summarise a finished figure in a dict that JSON can store.

    It has the keys `processor` (where it was drawn), `says` (the figure's sentence), `title`, `legend` (labels),
    `axes`, and, as `finish()` was told, `measured`, `trained` and `series`. Each of `axes` has a `title`, the numbers
    of `lines`, `bars`, `points` and `images`, and `x`, `y` and, if it has images, `color`: each with the lowest and
    highest value to be seen, `low` and `high`, and x and y also with `label`, `scale` and `names`, the ticks that are
    words.

    Args:
        fig: from `finish()`.
    """
    shown = [ax for ax in fig.axes if ax.get_visible()]
    labels = dict.fromkeys(label for ax in shown for label in ax.get_legend_handles_labels()[1])
    varies = getattr(fig, "varies", None) or {}
    return {
        "processor": processor(),
        "says": getattr(fig, "alt", ""),
        "title": fig.get_suptitle(),
        "legend": list(labels),
        "axes": [_axes(ax) for ax in shown],
        **{kind: varies[kind] for kind in VARIES if varies.get(kind)},
    }


def _axes(ax: Axes) -> dict:
    caps = {cap for c in ax.containers if isinstance(c, ErrorbarContainer) for cap in c.lines[1]}
    lines = [line for line in ax.lines if line not in caps]
    dots = sum(len(c.get_offsets()) for c in ax.collections if isinstance(c, PathCollection))
    found = {
        "title": panel_title(ax),
        "lines": len(lines),
        "bars": sum(len(c) for c in ax.containers if isinstance(c, BarContainer)),
        "points": sum(len(line.get_xdata()) for line in lines) + dots,
        "images": len(ax.images),
        "x": _axis(ax, "x"),
        "y": _axis(ax, "y"),
    }
    limits = [limit for image in ax.images if image.get_array().ndim == 2 for limit in image.get_clim()]
    return found | ({"color": _ends(min(limits), max(limits))} if limits else {})


def panel_title(ax: Axes) -> str:
    """The titles of axes, and that of their own legend."""
    legend = ax.get_legend()
    titles = [ax.get_title(side) for side in ("left", "center", "right")]
    return " ".join(filter(None, [*titles, legend.get_title().get_text() if legend else ""]))


def _axis(ax: Axes, name: str) -> dict:
    axis = getattr(ax, f"{name}axis")
    names = [label.get_text() for label in axis.get_ticklabels()] if ax.axison else []
    return {
        "label": axis.get_label_text(),
        "scale": axis.get_scale(),
        "names": names if any(c.isalpha() for name in names for c in re.sub(_NUMBER, "", name)) else [],
        **_ends(*_visible(getattr(ax.dataLim, f"interval{name}"), axis.get_view_interval())),
    }


def _visible(drawn, view) -> tuple[float, float]:
    """The part of what is drawn that the axis shows: a loss that explodes ends anywhere, beyond the figure."""
    low, high = sorted(view)
    if not low <= drawn[1] or not drawn[0] <= high:
        return tuple(drawn)
    return max(drawn[0], low), min(drawn[1], high)


def _ends(low: float, high: float) -> dict:
    """Both ends to four digits, so that a notebook does not change with the last bits; None if nothing is drawn."""
    ends = (float(f"{end:.4g}") if math.isfinite(end) else None for end in (low, high))
    return dict(zip(("low", "high"), ends, strict=True))
