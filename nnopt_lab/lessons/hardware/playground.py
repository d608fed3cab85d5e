"""Lesson 12's playground: one convolution below this machine's roofline."""

import torch
from torch import nn

from nnopt_lab.course.playground import Playground, choice
from nnopt_lab.workbench import measure, plots
from nnopt_lab.workbench.language import Message, _


def roofline_playground(peak_gflops: float, bandwidth: float) -> Playground:
    """Plot one float32 convolution below the roofline, in both memory layouts.

    Args:
        peak_gflops: 10⁹ operations per second, `Machine.peak_gflops()`.
        bandwidth: 10⁹ bytes per second, `Machine.peak_bandwidth()`.
    """

    def draw(channels: int, filters: int, kernel: int, picture: int, batch: int):
        layer = nn.Conv2d(channels, filters, kernel, padding=kernel // 2)
        nhwc = nn.Conv2d(channels, filters, kernel, padding=kernel // 2).to(memory_format=torch.channels_last)
        x = torch.randn(batch, channels, picture, picture)
        x_nhwc = x.to(memory_format=torch.channels_last)
        timings = measure.latency(
            {"NCHW": lambda _: layer(x), "NHWC": lambda _: nhwc(x_nhwc)}, x, rounds=3, budget_seconds=0.1
        )
        cost = measure.layer_costs(layer, x)[0]
        reached = {name: 2 * cost.macs / timing.median / 1e9 for name, timing in timings.items()}
        roof = min(peak_gflops, cost.intensity * bandwidth)
        figure = plots.roofline([(name, cost.intensity, y) for name, y in reached.items()], peak_gflops, bandwidth)
        each = [
            _("{name} <b>{speed}</b> ({share} %)", name=name, speed=f"{y:.0f}", share=f"{100 * y / roof:.0f}")
            for name, y in reached.items()
        ]
        told = {"intensity": f"{cost.intensity:.1f}", "roof": f"{roof:.0f}", "reached": _(", ").join(each)}
        text = (
            Message(
                "<b>{intensity}</b> operations per byte: arithmetic is the limit, {roof} GFLOP/s · reached: {reached}",
                **told,
            )
            if roof == peak_gflops
            else Message(
                "<b>{intensity}</b> operations per byte: memory is the limit, {roof} GFLOP/s · reached: {reached}",
                **told,
            )
        )
        return figure, text

    return Playground(
        draw,
        channels=choice("input channels", [1, 3, 16, 64], 16),
        filters=choice("filters", [1, 4, 16, 64], 64),
        kernel=choice("kernel", [1, 3, 5, 7], 3),
        picture=choice("picture", [2, 4, 8, 16], 16),
        batch=choice("batch", [1, 4, 16], 16),
    )
