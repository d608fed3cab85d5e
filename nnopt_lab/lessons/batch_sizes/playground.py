"""Lesson 04: the speed of a batch size, and how well its gradient points."""

import time
from statistics import median

import ipywidgets as widgets
import torch
from torch import nn

from nnopt_lab.course.playground import Playground, choice
from nnopt_lab.techniques.training import noise_scale
from nnopt_lab.workbench import data, measure, plots

SIZES = [2, 4, 8, 16, 32, 64, 128, 256, 512]


def batch_playground(networks: dict[str, nn.Module], pictures: data.Pictures) -> Playground:
    """Show the speed, memory and updates of a batch size, and the angle between its gradient and the true one.

    Args:
        networks: by name, for example one before and one after training.
        pictures: the mean gradient of their first 4,096 training pictures is taken as the true one.
    """
    seen: dict[str, dict[int, tuple]] = {name: {} for name in networks}
    truth: dict[str, tuple] = {}

    def draw(network: str, batch_size: int):
        gradient = noise_scale.gradient_of(networks[network], pictures)
        if network not in truth:
            parts = [gradient(positions) for positions in torch.arange(4096).split(256)]
            truth[network] = sum(parts) / len(parts), noise_scale.measured(gradient, 4096, draws=4).simple
        true, scale = truth[network]
        cosines, times = [], []
        for positions in torch.randint(4096, (max(4, min(24, 2048 // batch_size)), batch_size)):
            started = time.perf_counter()
            cosines.append(torch.cosine_similarity(gradient(positions), true, dim=0).item())
            times.append(time.perf_counter() - started)
        seen[network][batch_size] = cosines, batch_size / median(times)
        inputs = pictures.to_input(pictures.train.images[:batch_size])
        needed = measure.peak_memory(lambda x: networks[network](x).sum().backward(), inputs)
        networks[network].zero_grad()
        fig, (left, right) = plots.figure(ncols=2)
        with plots.style():
            _angles(left, seen[network], scale, batch_size)
            _speeds(right, seen, batch_size)
        plots.legend(fig)
        text = (
            f"<b>{seen[network][batch_size][1]:,.0f} pictures/s</b> · "
            f"{-(-len(pictures.train) // batch_size):,} updates per epoch · "
            f"{measure.format_bytes(needed)} for one step · median cosine with the "
            f"true gradient <b>{median(cosines):.2f}</b> · noise scale about {scale:,.0f}"
        )
        return plots.finish(fig), text

    return Playground(
        draw,
        network=widgets.Dropdown(options=list(networks), description="network"),
        batch_size=choice("batch size", SIZES, 32),
    )


def _angles(ax, seen: dict[int, tuple], scale: float, batch_size: int) -> None:
    sizes = torch.logspace(0, 10, 50, base=2)
    ax.plot(sizes, (1 + scale / sizes) ** -0.5, color=plots.REFERENCE, label="$1/\\sqrt{1 + B_{simple}/B}$")
    for size, (cosines, _) in sorted(seen.items()):
        color = plots.ORANGE if size == batch_size else plots.BLUE
        ax.plot([size] * len(cosines), cosines, "o", color=color, markersize=4, alpha=0.5)
    ax.set(ylim=(-0.35, 1.05), xlabel="batch size", title="cosine with the true gradient, one dot per batch")
    _by_size(ax)


def _speeds(ax, seen: dict[str, dict[int, tuple]], batch_size: int) -> None:
    for (name, of), color in zip(seen.items(), (plots.BLUE, plots.GREEN), strict=False):
        if of:
            sizes = sorted(of)
            ax.plot(sizes, [of[size][1] for size in sizes], "o-", color=color, label=name)
    ax.axvline(batch_size, color=plots.ORANGE, linewidth=0.8, linestyle=":")
    ax.set(xlabel="batch size", title="pictures per second, forward and backward")
    _by_size(ax)
    ax.set_ylim(bottom=0)


def _by_size(ax) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xticks(SIZES, SIZES)
    ax.minorticks_off()
    ax.set_xlim(1.5, 700)
