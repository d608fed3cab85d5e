"""What is really drawn in a figure, for the tests of plots."""

import math

import matplotlib.pyplot as plt
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def drawn_texts(fig: Figure) -> list:
    """(text, box in pixels) of what is really drawn: a figure also holds tick labels beyond its limits, say."""
    drawn = {}
    with pytest.MonkeyPatch.context() as patch:
        draw = plt.Text.draw
        patch.setattr(plt.Text, "draw", lambda self, renderer: (drawn.setdefault(self), draw(self, renderer))[1])
        FigureCanvasAgg(fig).draw()  # the canvas of a closed figure draws nothing
    assert drawn or not fig.axes, "nothing was drawn"
    # Of an annotation the text's own box, without its arrow.
    return [(t.get_text(), plt.Text.get_window_extent(t)) for t in drawn if t.get_visible() and t.get_text().strip()]


def overlapping_texts(fig: Figure) -> list[tuple[str, str]]:
    boxes = drawn_texts(fig)
    return [(a, b) for i, (a, x) in enumerate(boxes) for b, y in boxes[i + 1 :] if x.padded(-1).overlaps(y.padded(-1))]


def outside_texts(fig: Figure) -> list[str]:
    whole = fig.bbox.padded(1)
    return [t for t, b in drawn_texts(fig) if b.x0 < whole.x0 or b.x1 > whole.x1 or b.y0 < whole.y0 or b.y1 > whole.y1]


def legend_over_axes(fig: Figure) -> bool:
    """Whether a legend of the figure lies on what an axes draws."""
    FigureCanvasAgg(fig).draw()
    legends = [*fig.legends, *(ax.get_legend() for ax in fig.axes if ax.get_legend())]
    boxes = [legend.get_window_extent().padded(-2) for legend in legends]
    return any(box.overlaps(ax.bbox) for box in boxes for ax in fig.axes)


def readable(fig: Figure) -> bool:
    """Whether no text lies on another or outside of the figure, and no legend on what is drawn."""
    return not overlapping_texts(fig) and not outside_texts(fig) and not legend_over_axes(fig)


def distance(box, dot) -> float:
    """Pixels between a box and a dot, 0 if the dot is in it."""
    x, y = dot
    return math.hypot(max(box.x0 - x, 0, x - box.x1), max(box.y0 - y, 0, y - box.y1))
