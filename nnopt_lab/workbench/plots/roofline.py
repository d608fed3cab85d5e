"""The roofline plot: the speed of each layer, and which of the machine's two limits holds it back."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnopt_lab.workbench.language import _, translated
from nnopt_lab.workbench.plots.colors import BLUE, EDGE, GREEN, ORANGE, PURPLE, REFERENCE, SKY, marker_of
from nnopt_lab.workbench.plots.names import write_names
from nnopt_lab.workbench.plots.style import figure, finish, log_axis, style
from nnopt_lab.workbench.plots.translation import language_of_figures

_KINDS = {"conv": BLUE, "linear": ORANGE, "relu": GREEN, "pool": PURPLE}
NEAR = 1.25  # between two layers whose markers touch


def roofline(points, peak_gflops: float, bandwidth: float) -> Figure:
    """Draw each layer's speed over its arithmetic intensity, below the machine's two limits.

    A layer's colour is that of its kind, which is read from its name: convolution, linear, ReLU or pooling.

    Williams, Waterman & Patterson 2009, "Roofline", CACM 52(4), https://doi.org/10.1145/1498765.1498785

    Args:
        points: (name, FLOPs per byte, 10⁹ FLOPs per second) of each layer, the numbers above 0.
        peak_gflops: the machine's 10⁹ FLOPs per second, `Machine.peak_gflops()`, above 0. If a layer is faster, the
            level is drawn at its speed: measured on a busy machine, a peak can be too low.
        bandwidth: its 10⁹ bytes per second, `Machine.peak_bandwidth()`, above 0.

    Raises:
        ValueError: a number is not above 0, as the logarithmic axes need.
    """
    numbers = [n for point in points for n in point[1:]] + [peak_gflops, bandwidth]
    if not all(n > 0 for n in numbers):
        raise ValueError(f"points, peak_gflops and bandwidth must all be above 0; the smallest is {min(numbers):g}.")
    peak_gflops = max([peak_gflops, *(speed for _name, _intensity, speed in points)])
    ridge = peak_gflops / bandwidth
    intensities = [point[1] for point in points] + [ridge]
    high = max(intensities) * 4
    # The slope takes two fifths of the width or more, so that its name fits beside it.
    low = min(min(intensities) / 4, ridge * (ridge / high) ** (2 / 3))
    highest = max((speed for _name, intensity, speed in points if intensity >= ridge), default=0)
    fig, ax = figure()
    with style():
        ax.plot([low, ridge, high], [low * bandwidth, peak_gflops, peak_gflops], color=REFERENCE)
        ax.axvline(ridge, color=REFERENCE, linewidth=0.8, linestyle=":")
        for name, x, y in points:
            color = _color(name)
            ax.plot(x, y, marker_of(color), color=color, markersize=6.5, markeredgecolor=EDGE)
        ax.set(xscale="log", yscale="log", xlim=(low, high), xlabel="FLOPs per byte", ylabel="GFLOP/s")
        ax.margins(y=0.1)
        for axis in (ax.xaxis, ax.yaxis):
            log_axis(axis, base=10)
        _name_limits(ax, (low, ridge, high), peak_gflops, bandwidth, highest)
        write_names(ax, _together(points), all_of_them=False)
    nearest = max(points, key=lambda point: point[2] / min(peak_gflops, point[1] * bandwidth), default=None)
    alt = _("A roof over the layers: a slope where memory limits their speed, a level where arithmetic does.")
    if nearest:
        alt = _(
            "A roof over the layers: a slope where memory limits their speed, a level where arithmetic does; {layer} "
            "comes nearest to it.",
            layer=translated(nearest[0]),
        )
    return finish(fig, alt, measured="xy")


def _name_limits(
    ax: Axes, corners: tuple[float, float, float], peak_gflops: float, bandwidth: float, highest: float
) -> None:
    """Write each limit's name above its part of the roof, and the level's above the highest layer there."""
    low, ridge, high = corners
    on_slope = low**0.2 * ridge**0.8
    with language_of_figures():
        memory = _("memory limits: {speed} GB/s", speed=f"{bandwidth:,.0f}")
        arithmetic = _("arithmetic limits: {speed} GFLOP/s", speed=f"{peak_gflops:,.0f}")
    above = 7 if highest > 0.7 * peak_gflops else 3  # half a marker more
    for text, x, y, gap in ((memory, on_slope, on_slope * bandwidth, 3), (arithmetic, high, peak_gflops, above)):
        ax.annotate(text, (x, y), xytext=(-4, gap), textcoords="offset points", ha="right", va="bottom")


def _together(points: list[tuple]) -> dict[str, tuple]:
    """Places by names; numbered layers of one kind whose markers touch are named once: "2, 5 MaxPool2d"."""
    groups = []  # (numbers, kind, place)
    for name, *place in points:
        number, _space, kind = name.partition(" ")
        if not number.isdigit():
            groups.append(([name], "", place))
        elif touched := [one for one in groups if one[1] == kind and _touch(place, one[2])]:
            touched[0][0].append(number)
        else:
            groups.append(([number], kind, place))
    return {f"{', '.join(numbers)} {kind}".rstrip(): place for numbers, kind, place in groups}


def _touch(one: list[float], other: list[float]) -> bool:
    return all(max(pair) <= NEAR * min(pair) for pair in zip(one, other, strict=True))


def _color(name: str) -> str:
    return next((color for kind, color in _KINDS.items() if kind in name.lower()), SKY)
