"""Lesson 12's playground: one convolution below this machine's roofline."""

from typing import NamedTuple

import torch
from torch import nn

from nnopt_lab.course.playground import Playground, choice
from nnopt_lab.workbench import measure, plots
from nnopt_lab.workbench.language import Message, _

FED = 5  # times the operations per byte, by the batch alone
WORK = 16  # times the operations, in less than twice the time


class _Tried(NamedTuple):
    """A convolution that was tried: its name, its batch, operations per byte, operations, and seconds per batch."""

    name: str
    batch: int
    intensity: float
    operations: int
    seconds: float


def roofline_playground(peak_gflops: float, bandwidth: float) -> Playground:
    """Plot one float32 convolution below the roofline, in both memory layouts.

    Args:
        peak_gflops: 10⁹ operations per second, `Machine.peak_gflops()`.
        bandwidth: 10⁹ bytes per second, `Machine.peak_bandwidth()`.
    """
    tried = []

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
        name = f"{channels}→{filters}, {kernel}×{kernel}, {picture} px"
        seconds = min(timing.median for timing in timings.values())
        tried.append(_Tried(name, batch, cost.intensity, 2 * cost.macs, seconds))
        peak = max(peak_gflops, *reached.values())  # measured on a busy machine, it can be too low
        roof = min(peak, cost.intensity * bandwidth)
        figure = plots.roofline([(name, cost.intensity, y) for name, y in reached.items()], peak, bandwidth)
        each = [_of_the_roof(name, y, roof) for name, y in reached.items()]
        told = {"intensity": f"{cost.intensity:.1f}", "roof": f"{roof:.0f}", "reached": _(", ").join(each)}
        text = (
            Message(
                "<b>{intensity}</b> operations per byte: arithmetic is the limit, {roof} GFLOP/s · reached: {reached}",
                **told,
            )
            if roof == peak
            else Message(
                "<b>{intensity}</b> operations per byte: memory is the limit, {roof} GFLOP/s · reached: {reached}",
                **told,
            )
        )
        return figure, text, [_starved(tried[-1], roof < peak), _fed_by_the_batch(tried), _more_work(tried)]

    goals = [
        _("Find a convolution for which memory is the limit."),
        _("Multiply the operations per byte by {times} or more, with the batch size alone.", times=FED),
        _(
            "Find two convolutions of which one does at least {work} times the operations of the other in less than "
            "twice the time.",
            work=WORK,
        ),
    ]
    return Playground(
        draw,
        goals,
        measured=True,
        channels=choice("input channels", [1, 3, 16, 64], 16),
        filters=choice("filters", [1, 4, 16, 64], 64),
        kernel=choice("kernel", [1, 3, 5, 7], 3),
        picture=choice("picture", [2, 4, 8, 16], 16),
        batch=choice("batch", [1, 4, 16], 16),
    )


def _of_the_roof(name: str, speed: float, roof: float) -> str:
    if speed > roof:
        return _("{name} <b>{speed}</b> (above the roof: the data were in the cache)", name=name, speed=f"{speed:.0f}")
    return _("{name} <b>{speed}</b> ({share} %)", name=name, speed=f"{speed:.0f}", share=f"{100 * speed / roof:.0f}")


def _starved(last: _Tried, by_memory: bool) -> str:
    if not by_memory:
        return ""
    return _(
        "{name}, batch {batch}: {intensity} operations per byte are too few to keep the arithmetic busy.",
        name=last.name,
        batch=last.batch,
        intensity=f"{last.intensity:.1f}",
    )


def _fed_by_the_batch(tried: list[_Tried]) -> str:
    last = tried[-1]
    for other in tried[:-1]:
        less, more = sorted((other, last), key=lambda one: one.intensity)
        if less.name == more.name and more.intensity >= FED * less.intensity:
            return _(
                "{name}: from batch {few} to {many}, the operations per byte rise from {low} to {high}, since the "
                "weights are read once for all pictures.",
                name=last.name,
                few=less.batch,
                many=more.batch,
                low=f"{less.intensity:.1f}",
                high=f"{more.intensity:.1f}",
            )
    return ""


def _more_work(tried: list[_Tried]) -> str:
    last = tried[-1]
    for other in tried[:-1]:
        less, more = sorted((other, last), key=lambda one: one.operations)
        if more.operations >= WORK * less.operations and more.seconds < 2 * less.seconds:
            return _(
                "{large}, batch {many}, does {work} times the operations of {small}, batch {few}, in {time} times its "
                "time: a small layer's time is spent on calls and memory.",
                large=more.name,
                many=more.batch,
                work=round(more.operations / less.operations),
                small=less.name,
                few=less.batch,
                time=f"{more.seconds / less.seconds:.1f}",
            )
    return ""
