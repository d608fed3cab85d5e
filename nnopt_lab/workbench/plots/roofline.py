"""The roofline plot: the speed of each layer, and which of the machine's two limits holds it back."""

import math
from itertools import cycle

from matplotlib.figure import Figure

from nnopt_lab.workbench.language import _, translated
from nnopt_lab.workbench.plots.colors import EDGE, PALETTE, REFERENCE
from nnopt_lab.workbench.plots.style import figure, finish, log_axis, style


def roofline(points, peak_gflops: float, bandwidth: float) -> Figure:
    """Draw each layer's speed over its arithmetic intensity, below the machine's two limits.

    Williams, Waterman & Patterson 2009, "Roofline", CACM 52(4), https://doi.org/10.1145/1498765.1498785

    Args:
        points: (name, FLOPs per byte, 10⁹ FLOPs per second) of each layer, the numbers above 0.
        peak_gflops: the machine's 10⁹ FLOPs per second, `Machine.peak_gflops()`, above 0.
        bandwidth: its 10⁹ bytes per second, `Machine.peak_bandwidth()`, above 0.

    Raises:
        ValueError: a number is not above 0, as the logarithmic axes need.
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
        # Layers often overlap, which makes names beside them unreadable, so a legend names them.
        # Five markers and six colours make thirty pairs; later points are smaller, so that they hide none.
        for i, ((name, x, y), marker, color) in enumerate(zip(points, cycle("os^Dv"), cycle(PALETTE), strict=False)):
            size = 10 - 5 * i / len(points)
            ax.plot(x, y, marker, color=color, markersize=size, markeredgecolor=EDGE, label=name)
        ax.set(xscale="log", yscale="log", xlim=(low, high), xlabel="FLOPs per byte", ylabel="GFLOP/s")
        for axis in (ax.xaxis, ax.yaxis):
            log_axis(axis, base=10)
        fig.legend(loc="outside right upper", ncols=math.ceil((len(points) + 1) / 14), fontsize=9)
    nearest = max(points, key=lambda point: point[2] / min(peak_gflops, point[1] * bandwidth), default=None)
    alt = _("A roof over the layers: a slope where memory limits their speed, a level where arithmetic does.")
    if nearest:
        alt = _(
            "A roof over the layers: a slope where memory limits their speed, a level where arithmetic does; {layer} "
            "comes nearest to it.",
            layer=translated(nearest[0]),
        )
    return finish(fig, alt, measured="xy")
