"""The common style of the course's figures, and the plots that several lessons draw.

`figure()` makes a figure, other functions draw on its axes, `legend()` puts a legend beside them, and `finish()` shows
it once, with words for readers who do not see it. A figure is transparent, and everything on it reads on a white page
as on a dark one.
"""

from nnopt_lab.workbench.plots.bars import (
    bars,
    before_after,
    boxes,
    color_key,
    comparison,
    grouped_bars,
    intervals,
    seeds,
    stages,
)
from nnopt_lab.workbench.plots.colors import (
    BLUE,
    BROWN,
    COLORS,
    FAINT,
    GOLD,
    GREEN,
    INK,
    ORANGE,
    PALE,
    PALETTE,
    PURPLE,
    RED,
    REFERENCE,
    SKY,
    VIOLET,
    color_of,
    line_of,
    marker_of,
    ramp,
)
from nnopt_lab.workbench.plots.graphs import Node, graph
from nnopt_lab.workbench.plots.histograms import histogram
from nnopt_lab.workbench.plots.illustration import alt_text, img, png, svg
from nnopt_lab.workbench.plots.images import matrix, pictures
from nnopt_lab.workbench.plots.lines import (
    band,
    curves,
    history,
    interval_line,
    name_lines,
    scatter,
    series_colors,
)
from nnopt_lab.workbench.plots.names import write_names
from nnopt_lab.workbench.plots.roofline import roofline
from nnopt_lab.workbench.plots.style import (
    SIZE,
    STYLE,
    figure,
    finish,
    legend,
    log_axis,
    percent_axis,
    reference_line,
    style,
)
from nnopt_lab.workbench.plots.summary import summary
from nnopt_lab.workbench.plots.translation import language_of_figures
from nnopt_lab.workbench.plots.values import middle_low_high

__all__ = [
    "BLUE",
    "BROWN",
    "COLORS",
    "FAINT",
    "GOLD",
    "GREEN",
    "INK",
    "ORANGE",
    "PALE",
    "PALETTE",
    "PURPLE",
    "RED",
    "REFERENCE",
    "SIZE",
    "SKY",
    "STYLE",
    "VIOLET",
    "Node",
    "alt_text",
    "band",
    "bars",
    "before_after",
    "boxes",
    "color_key",
    "color_of",
    "comparison",
    "curves",
    "figure",
    "finish",
    "graph",
    "grouped_bars",
    "histogram",
    "history",
    "img",
    "interval_line",
    "intervals",
    "language_of_figures",
    "legend",
    "line_of",
    "log_axis",
    "marker_of",
    "matrix",
    "middle_low_high",
    "name_lines",
    "percent_axis",
    "pictures",
    "png",
    "ramp",
    "reference_line",
    "roofline",
    "scatter",
    "seeds",
    "series_colors",
    "stages",
    "style",
    "summary",
    "svg",
    "write_names",
]
