"""Lesson 02: the usual replacements for a 3×3 convolution, counted, predicted and measured."""

import ipywidgets as widgets
import torch
from torch import nn

from nnopt_lab.course.playground import Playground, choice
from nnopt_lab.techniques.convolutions import blocks, low_rank
from nnopt_lab.techniques.convolutions.cost_model import CostModel
from nnopt_lab.workbench import measure, plots
from nnopt_lab.workbench.language import Message, _, joined, translated

FEW = 1 / 3 + 0.005  # a third of the MACs, or a little more, because of biases
REPLACEMENTS = {
    "depthwise-separable": blocks.separable,
    "4 groups": lambda layer: blocks.grouped(layer, 4),
    "bottleneck to a quarter": blocks.bottleneck,
    "3×1 + 1×3": blocks.asymmetric,
    "3×1 + 1×3 by SVD, rank channels/2": lambda layer: low_rank.low_rank(layer, {"0": layer[0].in_channels // 2}),
}


def _goal(macs: float, time: float, replacement: str) -> str:
    """A sentence if a replacement with these shares of the original's MACs and time has few MACs but is slower."""
    if macs > FEW or time <= 1:
        return ""
    return _(
        "{replacement} does {percent} % of the MACs but is slower than the original.",
        replacement=translated(replacement),
        percent=round(100 * macs),
    )


def convolution_playground(machine: CostModel) -> Playground:
    """Show the parameters, MACs and time of a replacement, relative to a 3×3 convolution.

    Args:
        machine: predicts the time; made by `cost_model.calibrate()`.
    """

    def draw(replacement: str, channels: int, picture: int, batch: int):
        full = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1))
        other = REPLACEMENTS[replacement](full)
        x = torch.randn(batch, channels, picture, picture)
        timings = measure.latency({"full": full, "other": other}, x, rounds=6, budget_seconds=0.1)
        share = {
            "parameters": measure.parameters(other).total / measure.parameters(full).total,
            "MACs": measure.macs(other, x) / measure.macs(full, x),
            "time, predicted": machine.model_seconds(other, x) / machine.model_seconds(full, x),
            "time, measured": 1 / measure.ratio(timings["full"], timings["other"]).median,
        }
        fig, ax = plots.figure(figsize=(plots.SIZE[0], 2.4))
        colors = {"time, predicted": plots.SKY, "time, measured": plots.ORANGE}
        plots.bars(ax, share, colors, reference=1, labels="{:.2f}×")
        ax.set(xlabel="times the 3×3 convolution's")
        text = Message(
            "3×3: {macs} MACs per picture, {time} per batch of {batch} · <b>{replacement}</b>: {ratio}",
            macs=measure.format_count(measure.macs(full, x[:1])),
            time=timings["full"],
            batch=batch,
            replacement=joined(replacement),
            ratio=joined(str(measure.ratio(timings["full"], timings["other"]))),
        )
        plots.finish(
            fig,
            "Bars of the parameters, the MACs and the time, against a line at 1, the 3×3 convolution.",
            measured="x",
        )
        return fig, text, [_goal(share["MACs"], share["time, measured"], replacement)]

    return Playground(
        draw,
        [_("Find a replacement with a third of the MACs that is slower than the original.")],
        measured=True,
        replacement=widgets.Dropdown(options=list(REPLACEMENTS), description="replacement"),
        channels=choice("channels", [8, 16, 32, 64], 64),
        picture=choice("picture", [4, 8, 16, 32], 16),
        batch=choice("batch", [1, 4, 16], 16),
    )
