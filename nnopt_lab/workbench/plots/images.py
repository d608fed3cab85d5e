"""Show pictures and matrices."""

import math

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from nnopt_lab.workbench.language import _
from nnopt_lab.workbench.plots.style import figure, finish


def matrix(ax: Axes, values, title: str = "", cmap: str = "gray", limits: tuple[float, float] | None = None):
    """Draw a matrix as coloured squares without ticks; returns the AxesImage, for a colour bar.

    Args:
        ax: the axes to draw on.
        values: numbers [H, W], or colours [H, W, 3].
        title: of the axes.
        cmap: name of a matplotlib colour map; "RdBu_r" suits numbers of both signs.
        limits: values of the first and the last colour; default the smallest and the largest value, or ± the largest
            magnitude if any value is negative.
    """
    values = torch.as_tensor(values).detach()
    if limits is None and values.dim() == 2 and values.min() < 0:
        reach = float(values.abs().max())
        limits = (-reach, reach)
    low, high = limits or (None, None)
    image = ax.imshow(values.cpu().numpy(), cmap=cmap, vmin=low, vmax=high, interpolation="nearest", aspect="auto")
    ax.set_title(title)
    _frame(ax)
    return image


def _frame(ax: Axes) -> None:
    """A frame in place of axes: a picture's black or white edge would vanish on a page of the same colour."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(True)


def pictures(images: Tensor, titles=None) -> Figure:
    """Draw a grid of pictures, eight per row.

    Args:
        images: uint8 [N, C, H, W], C = 1 (grey) or 3 (red, green, blue), N at least 1.
        titles: N strings; default none.

    Raises:
        ValueError: `images` has another dtype or shape, or `titles` another length.
    """
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] not in (1, 3) or len(images) == 0:
        raise ValueError(f"images is {images.dtype} {list(images.shape)}; it must be uint8 [N, 1 or 3, H, W], N ≥ 1.")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"titles has length {len(titles)}; it must be {len(images)}, one per picture.")
    ncols = min(8, len(images))
    nrows = math.ceil(len(images) / ncols)
    fig, axes = figure(ncols, nrows, figsize=(ncols, nrows * (1.0 if titles is None else 1.3)), squeeze=False)
    for i, ax in enumerate(axes.flat):
        if i >= len(images):
            ax.axis("off")
        else:
            _frame(ax)
            shown = images[i].cpu().permute(1, 2, 0)
            ax.imshow((shown.squeeze(2) if shown.shape[2] == 1 else shown).numpy(), cmap="gray", vmin=0, vmax=255)
            ax.set_title("" if titles is None else titles[i], fontsize="small")
    height, width = images.shape[2:]
    alt = _(
        "{count} pictures of {height} × {width} pixels, in rows of {columns}.",
        count=len(images),
        height=height,
        width=width,
        columns=ncols,
    )
    return finish(fig, alt)
