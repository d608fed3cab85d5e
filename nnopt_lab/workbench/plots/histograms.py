"""Histograms that draw quickly, one outline instead of a bar per bin."""

import torch
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch
from torch import Tensor


def histogram(ax: Axes, values: Tensor, edges: Tensor, color: str, label: str | None = None, **kw) -> StepPatch:
    """Draw how many values are in each bin; those outside all bins are left out.

    Args:
        ax: the axes to draw on.
        values: numbers of any shape.
        edges: of the bins, ascending, at least two.
        color, label: of the area.
        kw: for `Axes.stairs`, such as `fill=False` for an outline only.
    """
    # As in numpy, the last bin contains its upper edge.
    counts = torch.histogram(values.detach().flatten().float().cpu(), edges.float()).hist
    return ax.stairs(counts.numpy(), edges.numpy(), **{"fill": True, "color": color, "label": label} | kw)
