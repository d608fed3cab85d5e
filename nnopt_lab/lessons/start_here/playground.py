"""Lesson 00's playground: the cost of one convolution."""

import math
import re
from typing import NamedTuple

import torch
from torch import nn

from nnopt_lab.course.goals import NotYet
from nnopt_lab.course.playground import Playground, choice
from nnopt_lab.workbench import measure, plots
from nnopt_lab.workbench.language import _
from nnopt_lab.workbench.plots.style import round_values

CLEARLY = 1.05  # times as long: less can't be seen in the figure
SHOWN = 12  # points, the last ones
BATCH = 8  # a larger one would take too long for a figure that follows the controls


class _Tried(NamedTuple):
    """A convolution that was tried, its input [BATCH, …], its MACs and its time, both per picture."""

    layer: nn.Module
    x: torch.Tensor
    macs: int
    milliseconds: float


def _pair(seen: dict[str, _Tried]) -> tuple[str, str] | None:
    """The last layer and another of which one, named first, has fewer MACs but takes longer; None if there is none."""
    last, found = next(reversed(seen)), []
    for other in seen:
        less, more = sorted((last, other), key=lambda name: seen[name].macs)
        if seen[less].macs < seen[more].macs:
            found.append((seen[less].milliseconds / seen[more].milliseconds, less, more))
    times, *pair = max(found, default=(0, None, None))
    return tuple(pair) if times > CLEARLY else None


def _measured_again(seen: dict[str, _Tried], slow: str, fast: str) -> measure.Ratio:
    """How many times as long `slow` takes, measured in turns; both times in `seen` become the new ones."""
    pair = {name: seen[name] for name in (slow, fast)}
    runs = {name: (lambda _x, tried=tried: tried.layer(tried.x)) for name, tried in pair.items()}
    timings = measure.latency(runs, pair[slow].x, rounds=12, budget_seconds=0.3)
    for name, timing in timings.items():
        seen[name] = seen[name]._replace(milliseconds=1000 * timing.median / BATCH)
    return measure.ratio(timings[slow], timings[fast])


def _goal(slow: str, fast: str, ratio: measure.Ratio) -> str:
    """A sentence that says whether `slow`, which does fewer MACs, takes longer even at the interval's lower end."""
    if ratio.low > 1:
        return _("You found one: {slow} does fewer MACs than {fast} but takes longer.", slow=slow, fast=fast)
    return NotYet(
        _(
            "{slow} seemed slower than {fast}. Measured again in turns, it takes {times} times as long "
            "({low} to {high}), so that was noise.",
            slow=slow,
            fast=fast,
            times=f"{ratio.median:.2f}",
            low=f"{ratio.low:.2f}",
            high=f"{ratio.high:.2f}",
        )
    )


def _a_decade(low: float, high: float) -> tuple[float, float]:
    """Limits around the same middle that are at least a factor of 10 apart, so that ticks fall between them."""
    middle, wide = math.sqrt(low * high), math.sqrt(max(high / low, 10))
    return middle / wide, middle * wide


def _short(count: str) -> str:
    """A count without zeros after its point: "10 M" instead of "10.0 M"."""
    return re.sub(r"\.0+(?!\d)", "", count)


def layer_playground() -> Playground:
    """Plot each convolution you try by MACs and by measured time per picture, and give its parameters and GFLOP/s."""
    seen: dict[str, _Tried] = {}  # by name, the last at the end

    def draw(in_channels: int, filters: int, kernel_size: int, picture: int):
        layer = nn.Conv2d(in_channels, filters, kernel_size, padding=kernel_size // 2)
        x = torch.randn(BATCH, in_channels, picture, picture)
        cost = measure.layer_costs(layer, x[:1])[0]
        milliseconds = 1000 * measure.latency({"layer": layer}, x, rounds=3, budget_seconds=0.1)["layer"].median
        name = f"{in_channels}→{filters}, {kernel_size}×{kernel_size}, {picture} px"
        seen.pop(name, None)  # one point per layer, with its last time
        seen[name] = _Tried(layer, x, cost.macs, milliseconds / BATCH)
        pair = _pair(seen)
        found = _goal(*pair, _measured_again(seen, *pair)) if pair else ""
        milliseconds = seen[name].milliseconds
        fig, ax = plots.figure()
        points = dict(list(seen.items())[-SHOWN:])
        with plots.style():
            for other, tried in points.items():
                color, label = (plots.ORANGE, _("this layer")) if other == name else (plots.BLUE, _("tried before"))
                ax.plot(tried.macs, tried.milliseconds, plots.marker_of(color), color=color, label=label)
            ax.set(xscale="log", yscale="log", xlabel="MACs per picture", ylabel=f"ms per picture (batch {BATCH})")
            ax.margins(0.3)
            ax.set(xlim=_a_decade(*ax.get_xlim()), ylim=_a_decade(*ax.get_ylim()))
            counts = round_values(*ax.get_xlim())
            plots.log_axis(ax.xaxis, counts, [_short(measure.format_count(count)) for count in counts])
            plots.log_axis(ax.yaxis)
            plots.legend(fig)
            plots.write_names(ax, {other: (tried.macs, tried.milliseconds) for other, tried in points.items()})
        text = (
            f"{measure.parameters(layer).total:,} parameters, {measure.format_count(cost.macs)} MACs per picture, "
            f"{milliseconds:.3g} ms per picture, {2 * cost.macs / milliseconds / 1e6:.3g} GFLOP/s"
        )
        plots.finish(
            fig,
            "Each convolution that you tried is a point, its time over its MACs; the last one is orange.",
            measured="y",
        )
        return fig, text, [found]

    return Playground(
        draw,
        [_("Find a layer that does fewer MACs than another but takes longer.")],
        measured=True,
        in_channels=choice("input channels", [3, 8, 16, 32, 64], 16),
        filters=choice("filters", [4, 8, 16, 32, 64], 32),
        kernel_size=choice("kernel", [1, 3, 5, 7], 3),
        picture=choice("picture", [8, 16, 32], 16),
    )
