"""Lesson 00's playground: the cost of one convolution."""

import math
import re

import torch
from torch import nn

from nnopt_lab.course.playground import Playground, choice
from nnopt_lab.workbench import measure, plots
from nnopt_lab.workbench.language import _
from nnopt_lab.workbench.plots.style import round_values

CLEARLY = 1.2  # times as long, which chance alone rarely makes of two timings
BATCH = 8  # a larger one would take too long for a figure that follows the controls


def _goal(seen: list[tuple[float, float, str]]) -> str:
    """A sentence if the last of the layers (MACs, time, name) has fewer MACs than another but takes longer."""
    macs, time, name = seen[-1]
    beaten = [other for more, less, other in seen if more > macs and time > CLEARLY * less]
    if not beaten:
        return ""
    return _("You found one: {slow} does fewer MACs than {fast} but takes longer.", slow=name, fast=beaten[-1])


def _a_decade(low: float, high: float) -> tuple[float, float]:
    """Limits around the same middle that are at least a factor of 10 apart, so that ticks fall between them."""
    middle, wide = math.sqrt(low * high), math.sqrt(max(high / low, 10))
    return middle / wide, middle * wide


def _short(count: str) -> str:
    """A count without zeros after its point: "10 M" instead of "10.0 M"."""
    return re.sub(r"\.0+(?!\d)", "", count)


def layer_playground() -> Playground:
    """Plot each convolution you try by MACs and by measured time per picture, and give its parameters and GFLOP/s."""
    seen = []

    def draw(in_channels: int, filters: int, kernel_size: int, picture: int):
        layer = nn.Conv2d(in_channels, filters, kernel_size, padding=kernel_size // 2)
        x = torch.randn(BATCH, in_channels, picture, picture)
        cost = measure.layer_costs(layer, x[:1])[0]
        milliseconds = 1000 * measure.latency({"layer": layer}, x, rounds=3, budget_seconds=0.1)["layer"].median
        seen.append(
            (cost.macs, milliseconds / len(x), f"{in_channels}→{filters}, {kernel_size}×{kernel_size}, {picture} px")
        )
        fig, ax = plots.figure()
        with plots.style():
            for n, (macs, time, _name) in enumerate(seen[-12:], max(len(seen) - 11, 1)):
                last = n == len(seen)
                ax.plot(macs, time, "o", color=plots.ORANGE if last else plots.BLUE, alpha=1 if last else 0.5)
            ax.set(xscale="log", yscale="log", xlabel="MACs per picture", ylabel=f"ms per picture (batch {BATCH})")
            ax.margins(0.3)
            ax.set(xlim=_a_decade(*ax.get_xlim()), ylim=_a_decade(*ax.get_ylim()))
            counts = round_values(*ax.get_xlim())
            plots.log_axis(ax.xaxis, counts, [_short(measure.format_count(count)) for count in counts])
            plots.log_axis(ax.yaxis)
            plots.write_names(
                ax, {name: (macs, time) for macs, time, name in seen[-12:]}
            )  # each once, where it was last
        text = (
            f"{measure.parameters(layer).total:,} parameters, {measure.format_count(cost.macs)} MACs per picture, "
            f"{milliseconds / len(x):.4f} ms per picture, {2 * cost.macs * len(x) / milliseconds / 1e6:.1f} GFLOP/s"
        )
        plots.finish(
            fig,
            "Each convolution that you tried is a point, its time over its MACs; the last one is orange.",
            measured="y",
        )
        return fig, text, [_goal(seen)]

    return Playground(
        draw,
        [_("Find a layer that does fewer MACs than another but takes longer.")],
        in_channels=choice("input channels", [3, 8, 16, 32, 64], 16),
        filters=choice("filters", [4, 8, 16, 32, 64], 32),
        kernel_size=choice("kernel", [1, 3, 5, 7], 3),
        picture=choice("picture", [8, 16, 32], 16),
    )
