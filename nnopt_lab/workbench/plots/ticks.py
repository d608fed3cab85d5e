"""Keep the labels of an x axis apart: matplotlib guesses their width, and short axes with long numbers collide."""

import re
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, FixedLocator, MaxNLocator

_GAP = 9  # pixels at least between two labels, about a digit


def thin_ticks(fig: Figure) -> None:
    """Reduce the ticks of x axes whose labels touch: fewer round numbers, or every second label of fixed ticks."""
    for attempt in range(6):
        crowded = [ax for ax in _drawn(fig) if _collides(ax)]
        if not crowded:
            return
        for ax in crowded:
            _thin(ax, most=7 - attempt)


def _drawn(fig: Figure) -> list[Axes]:
    if fig.get_layout_engine() is None:
        fig.draw_without_rendering()
    else:
        fig.get_layout_engine().execute(fig)  # half of the work of drawing
    return [ax for ax in fig.axes if ax.get_visible() and ax.axison]


def _shown(ax: Axes) -> list:
    low, high = sorted(ax.get_xlim())
    labels = [tick.label1 for tick in ax.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [label for label in labels if label.get_visible() and label.get_text() and not label.get_rotation()]


def _collides(ax: Axes) -> bool:
    boxes = sorted((box.x0, box.x1) for box in (label.get_window_extent() for label in _shown(ax)))
    return any(left[1] + _GAP > right[0] for left, right in pairwise(boxes))


def _thin(ax: Axes, most: int) -> None:
    locator = ax.xaxis.get_major_locator()
    if isinstance(locator, AutoLocator | MaxNLocator):
        ax.xaxis.set_major_locator(MaxNLocator(nbins=most - 1, steps=[1, 2, 2.5, 5, 10]))
    elif isinstance(locator, FixedLocator):
        places = ax.get_xticks()
        texts = [label.get_text() for label in ax.get_xticklabels()]
        named = [i for i, text in enumerate(texts) if text]
        if all(re.fullmatch(r"[−-]?[\d.,]+(e[+-]\d+)?", texts[i]) for i in named):  # names must all stay
            keep = set(named[::-1][::2])  # the last one tells how far the axis reaches
            ax.set_xticks(places, [text if i in keep else "" for i, text in enumerate(texts)])
