"""One quiet look for every figure of the course, and the few kinds of plot that several lessons draw."""

import io
import math
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import torch
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from torch import Tensor

# Okabe & Ito's palette, which the colour-blind can distinguish (Wong, Nature Methods 8, 2011), without its yellow: that
# one is too pale on white. Where a figure has a reference (the original network, a limit), it is grey.
REFERENCE = "#666666"
BLUE, ORANGE, GREEN, PURPLE, SKY, GOLD = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, GOLD)
SIZE = (8.0, 3.6)  # inches, of one row
STYLE = {
    "figure.dpi": 110,
    "figure.facecolor": "white",  # the page may be dark, and the labels are not
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
    """A context manager: what is drawn inside it has the look of the course, whatever the reader's own settings are."""
    return plt.style.context(["default", STYLE])


def figure(ncols: int = 1, nrows: int = 1, **kw):
    """`plt.subplots` in the course's style and size; returns (figure, axes). `kw` goes to `plt.subplots`.

    Axes come as `plt.subplots` gives them: one Axes, or an array of them. Labels do not overlap (constrained layout).
    """
    with style():
        return plt.subplots(nrows, ncols, **{"figsize": (SIZE[0], SIZE[1] * nrows), "layout": "constrained"} | kw)


def png(fig: Figure) -> bytes:
    """A figure as the content of a PNG file, cut to what is drawn."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", bbox_inches="tight")
    return buffer.getvalue()


def finish(fig: Figure) -> Figure:
    """Closes a figure and returns it: as the last expression of a cell it is then shown once, and not twice."""
    for axes in fig.axes:
        if axes.get_legend():  # made outside `style()`, perhaps
            axes.get_legend().set_frame_on(False)
    plt.close(fig)
    return fig


def band(ax: Axes, x, runs, label: str, color: str | None = None) -> None:
    """A line through the mean over seeds, in a band from the lowest seed to the highest.

    Args:
        ax: the axes to draw on.
        x: X numbers.
        runs: [S][X] numbers, one row a seed.
        label: for the legend; the number of seeds is added.
        color: the axes' next colour where it is None.

    Raises:
        ValueError: a run is not as long as `x`, or there is no run.
    """
    if len(runs) == 0 or any(len(run) != len(x) for run in runs):
        raise ValueError(f"runs has lengths {[len(run) for run in runs]}; at least one is needed, each of {len(x)}.")
    values = np.array([[float(y) for y in run] for run in runs])
    (line,) = ax.plot(x, values.mean(0), marker="o", markersize=3.5, label=f"{label} ({len(runs)} seeds)", color=color)
    ax.fill_between(x, values.min(0), values.max(0), color=line.get_color(), alpha=0.18, linewidth=0)


def history(histories: dict) -> Figure:
    """Training loss and validation accuracy by epoch.

    Args:
        histories: by name, objects with the lists `train_loss` and `validation_accuracy` (percent), such as `History`.
    """
    fig, (left, right) = figure(2)
    with style():
        for name, run in histories.items():
            epochs = range(1, len(run.train_loss) + 1)
            left.plot(epochs, run.train_loss, marker="o", markersize=3.5, label=name)
            right.plot(epochs, run.validation_accuracy, marker="o", markersize=3.5)
        left.set(xlabel="epoch", ylabel="training loss")
        right.set(xlabel="epoch", ylabel="validation accuracy")
        right.yaxis.set_major_formatter(PercentFormatter(100, symbol=" %"))
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        fig.legend(loc="outside upper left", ncols=min(len(histories), 4))
    return finish(fig)


def roofline(points, peak_gflops: float, bandwidth: float) -> Figure:
    """Roofline plot of what each layer reaches (Williams, Waterman & Patterson, CACM 52(4), 2009).

    Args:
        points: (name, FLOPs per byte, 10⁹ FLOPs per second) of each layer, all above 0.
        peak_gflops: the machine's 10⁹ FLOPs per second, `Machine.peak_gflops()`.
        bandwidth: its 10⁹ bytes per second, `Machine.peak_bandwidth()`.

    Raises:
        ValueError: a number is not above 0; the axes are logarithmic.
    """
    numbers = [n for point in points for n in point[1:]] + [peak_gflops, bandwidth]
    if not all(n > 0 for n in numbers):
        raise ValueError(f"points, peak_gflops and bandwidth must all be above 0; the smallest is {min(numbers):g}.")
    ridge = peak_gflops / bandwidth
    intensities = [point[1] for point in points] + [ridge]
    low, high = min(intensities) / 4, max(intensities) * 4
    fig, ax = figure()
    with style():
        label = f"limit: {peak_gflops:,.0f} GFLOP/s, {bandwidth:,.0f} GB/s"
        ax.plot([low, ridge, high], [low * bandwidth, peak_gflops, peak_gflops], color=REFERENCE, label=label)
        ax.axvline(ridge, color=REFERENCE, linewidth=0.8, linestyle=":")
        ax.annotate("memory limits  ", (ridge, 1.02), xycoords=("data", "axes fraction"), ha="right", color=REFERENCE)
        ax.annotate("  arithmetic limits", (ridge, 1.02), xycoords=("data", "axes fraction"), color=REFERENCE)
        # Layers often lie on top of each other, where names beside them could not be read: a legend can.
        # Five markers and six colours make thirty pairs; later points are smaller, so that they hide none.
        for i, ((name, x, y), marker, color) in enumerate(zip(points, cycle("os^Dv"), cycle(PALETTE), strict=False)):
            size = 10 - 5 * i / len(points)
            ax.plot(x, y, marker, color=color, markersize=size, markeredgecolor="white", label=name)
        ax.set(xscale="log", yscale="log", xlim=(low, high), xlabel="FLOPs per byte", ylabel="GFLOP/s")
        fig.legend(loc="outside right upper", ncols=math.ceil((len(points) + 1) / 14), fontsize="small")
    return finish(fig)


def pictures(images: Tensor, titles=None) -> Figure:
    """A grid of pictures, eight to a row.

    Args:
        images: uint8 [N, C, H, W], C = 1 (grey) or 3 (red, green, blue), N at least 1.
        titles: N strings, or None.

    Raises:
        ValueError: `images` has another dtype or shape, or there are not N titles.
    """
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] not in (1, 3) or len(images) == 0:
        raise ValueError(f"images is {images.dtype} {list(images.shape)}; it must be uint8 [N, 1 or 3, H, W], N ≥ 1.")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"titles has {len(titles)} entries; {len(images)} pictures need as many.")
    ncols = min(8, len(images))
    nrows = math.ceil(len(images) / ncols)
    fig, axes = figure(ncols, nrows, figsize=(ncols, nrows * (1.0 if titles is None else 1.3)), squeeze=False)
    for i, ax in enumerate(axes.flat):
        ax.axis("off")
        if i < len(images):
            shown = images[i].cpu().permute(1, 2, 0)
            ax.imshow((shown.squeeze(2) if shown.shape[2] == 1 else shown).numpy(), cmap="gray", vmin=0, vmax=255)
            ax.set_title("" if titles is None else titles[i], fontsize="small")
    return finish(fig)


def comparison(rows: list[dict]) -> Figure:
    """The rows of `measure.Comparison`: bars relative to the first model, and accuracies where there are any."""
    first, names = rows[0], [row["model"] for row in rows]
    panels = {"file": [r["bytes"] / first["bytes"] for r in rows]}
    panels["gzipped file"] = [r["compressed_bytes"] / first["compressed_bytes"] for r in rows]
    panels["MACs"] = [r["macs"] / max(first["macs"], 1) for r in rows]
    for size, timing in first["latency"].items():
        panels[f"time, batch {size:,}"] = [r["latency"][size].median / timing.median for r in rows]
    known = [r["accuracy"] is not None for r in rows]
    count = len(panels) + any(known)
    fig, axes = figure(count, figsize=(max(8, 1.7 * count), 1.1 + 0.38 * len(rows)), sharey=True, squeeze=False)
    colors = [REFERENCE] + [BLUE] * (len(rows) - 1)
    with style():
        for ax, (title, values) in zip(axes[0], panels.items(), strict=False):
            _bars(ax, names, values, colors, [f"{v:.2f}×" for v in values], title)
            ax.axvline(1, color=REFERENCE, linewidth=0.8, linestyle=":", zorder=0)
        if any(known):
            values = [r["accuracy"] or 0 for r in rows]
            labels = [f"{v:.2f} %" if k else "–" for v, k in zip(values, known, strict=True)]
            _bars(axes[0][-1], names, values, colors, labels, "accuracy")
        axes[0][0].invert_yaxis()
        fig.supxlabel(f"times {first['model']}" + (", accuracy in percent" if any(known) else ""), fontsize="small")
    return finish(fig)


def _bars(ax: Axes, names: list[str], values: list[float], colors: list[str], labels: list[str], title: str) -> None:
    bars = ax.barh(range(len(names)), values, color=colors, height=0.7)
    for label in ax.bar_label(bars, labels, padding=3, fontsize="small"):
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # the line at 1 must not strike it out
    ax.set_yticks(range(len(names)), names)
    ax.set(title=title, xlim=(0, 1.5 * max(*values, 1e-9)), xticks=[])  # the labels need room, and say what ticks would
    ax.grid(False)
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(left=False)
