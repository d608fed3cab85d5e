"""Lesson 04: the speed of a batch size, and how well its gradient points."""

import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import ipywidgets as widgets
import torch
from torch import nn

from nnopt_lab.course.playground import Playground, choice
from nnopt_lab.techniques.training import noise_scale
from nnopt_lab.workbench import data, measure, plots
from nnopt_lab.workbench.language import Message, _, translated
from nnopt_lab.workbench.progress_bar import progress_bar

SIZES = [2, 4, 8, 16, 32, 64, 128, 256, 512]
COUNT = 4096  # pictures of the true gradient
PART = 128  # pictures per part of it; larger batches are means of parts
ACCURATE = 0.7  # cosine with the true gradient
NEARLY = 0.8  # of the highest speed
MOST_BATCHES, MOST_SEEN = 24, 1024  # of smaller ones, batches and pictures per size


def batch_playground(networks: dict[str, nn.Module], pictures: data.Pictures) -> Playground:
    """Show the speed, memory and updates of a batch size, and the angle between its gradient and the true one.

    Everything is computed at the start, so that the figure follows the controls; it shows the sizes chosen so far.

    Args:
        networks: by name, for example one before and one after training.
        pictures: the mean gradient of their first 4,096 training pictures is taken as the true one.
    """
    seen: dict[str, dict[int, _Measured]] = {name: {} for name in networks}
    measured, scales = {}, {}
    for name, network in progress_bar(networks.items(), desc="gradients"):
        measured[name], scales[name] = _measured(network, pictures)

    def draw(network: str, batch_size: int):
        scale = scales[network]
        cosines, speed, needed = seen[network][batch_size] = measured[network][batch_size]
        fig, (left, right) = plots.figure(ncols=2)
        with plots.style():
            _angles(left, seen[network], scale, batch_size)
            _speeds(right, seen, batch_size)
        plots.legend(fig)
        text = Message(
            "<b>{speed} pictures/s</b> · {updates} updates per epoch · {bytes} for one step · median cosine with the "
            "true gradient <b>{cosine}</b> · noise scale about {scale}",
            speed=f"{speed:,.0f}",
            updates=f"{-(-len(pictures.train) // batch_size):,}",
            bytes=measure.format_bytes(needed),
            cosine=f"{median(cosines):.2f}",
            scale=f"{scale:,.0f}",
        )
        plots.finish(
            fig,
            "On the left, the larger a batch, the better its gradient points; on the right, pictures per second.",
            measured="y",
        )
        found = [_accurate(measured, seen), _fast(measured[network], seen[network])]
        return fig, text, found

    goals = [
        _("For each network, find the smallest batch size with a median cosine above {cosine}.", cosine=ACCURATE),
        _(
            "Find the smallest batch size with {percent} % of the highest speed. Look at the next smaller one, too.",
            percent=round(100 * NEARLY),
        ),
    ]
    return Playground(
        draw,
        goals,
        network=widgets.Dropdown(options=list(networks), description="network"),
        batch_size=choice("batch size", SIZES, 32),
    )


class _Measured(NamedTuple):
    cosines: list[float]
    speed: float  # pictures per second
    needed: int  # bytes for one step


def _measured(network: nn.Module, pictures: data.Pictures) -> tuple[dict[int, _Measured], float]:
    """The measurements by batch size, and the noise scale."""
    gradient = noise_scale.gradient_of(network, pictures)
    parts = torch.stack([gradient(positions) for positions in torch.arange(COUNT).split(PART)])
    scale = noise_scale.measured(gradient, COUNT, draws=4).simple
    true, fixed, each = parts.mean(0), *_bytes(network, pictures)
    measured = {}
    for size in SIZES:
        tries = 2 if size >= PART else min(MOST_BATCHES, MOST_SEEN // size)
        gradients, seconds = _timed(gradient, torch.randint(COUNT, (tries, size)))
        if size >= PART:
            gradients = parts.unflatten(0, (-1, size // PART)).mean(1)
        cosines = torch.cosine_similarity(gradients, true[None])
        measured[size] = _Measured(cosines.tolist(), size / median(seconds), fixed + each * size)
    return measured, scale


def _smallest(measured: dict[int, _Measured], is_enough: Callable[[_Measured], bool]) -> int:
    """The smallest size that is enough, or the largest if none is."""
    return next((size for size in sorted(measured) if is_enough(measured[size])), max(measured))


def _accurate(measured: dict[str, dict[int, _Measured]], seen: dict[str, dict[int, _Measured]]) -> str:
    """A sentence if, for each network, the smallest size whose gradient points well was seen."""
    sizes = {name: _smallest(of, lambda m: median(m.cosines) > ACCURATE) for name, of in measured.items()}
    if not all(size in seen[name] for name, size in sizes.items()):
        return ""
    return _(
        "These suffice: {sizes}. Near the end of training the gradient is small beside its noise, so it takes more "
        "pictures to find its direction.",
        sizes=_(", ").join(f"{translated(name)} {size}" for name, size in sizes.items()),
    )


def _fast(measured: dict[int, _Measured], seen: dict[int, _Measured]) -> str:
    """A sentence if the smallest size that is nearly as fast as the fastest, and the next smaller one, were seen."""
    highest = max(m.speed for m in measured.values())
    size = _smallest(measured, lambda m: m.speed >= NEARLY * highest)
    if not {size, max((other for other in measured if other < size), default=size)} <= seen.keys():
        return ""
    return _(
        "{size} pictures per batch already reach {percent} % of the highest speed. A larger batch saves little time.",
        size=size,
        percent=round(100 * measured[size].speed / highest),
    )


def _timed(gradient: Callable, batches: torch.Tensor) -> tuple[torch.Tensor, list[float]]:
    """The gradients of batches, and the seconds of each."""
    gradients, seconds = [], []
    for positions in batches:
        started = time.perf_counter()
        gradients.append(gradient(positions))
        seconds.append(time.perf_counter() - started)
    return torch.stack(gradients), seconds


def _bytes(network: nn.Module, pictures: data.Pictures) -> tuple[int, int]:
    """The bytes that a step needs: a fixed number, and more per picture; the line through the sizes 2 and 4."""
    sizes = []
    for size in (2, 4):
        inputs = pictures.to_input(pictures.train.images[:size])
        sizes.append(measure.peak_memory(lambda x: network(x).sum().backward(), inputs))
        network.zero_grad()  # so that both steps allocate the gradients
    few, more = sizes
    each = (more - few) // 2
    return few - 2 * each, each


def _angles(ax, seen: dict[int, _Measured], scale: float, batch_size: int) -> None:
    sizes = torch.logspace(0, 10, 50, base=2)
    ax.plot(sizes, (1 + scale / sizes) ** -0.5, color=plots.REFERENCE, label="$1/\\sqrt{1 + B_{simple}/B}$")
    for size, (cosines, *_rest) in sorted(seen.items()):
        color = plots.ORANGE if size == batch_size else plots.BLUE
        ax.plot([size] * len(cosines), cosines, "o", color=color, markersize=4, alpha=0.5)
    ax.set(ylim=(-0.35, 1.05), xlabel="batch size", title="cosine with the true gradient, one dot per batch")
    _by_size(ax)


def _speeds(ax, seen: dict[str, dict[int, _Measured]], batch_size: int) -> None:
    for (name, of), color in zip(seen.items(), (plots.BLUE, plots.GREEN), strict=False):
        if of:
            sizes = sorted(of)
            ax.plot(sizes, [of[size].speed for size in sizes], "o-", color=color, label=name)
    ax.axvline(batch_size, color=plots.ORANGE, linewidth=0.8, linestyle=":")
    ax.set(xlabel="batch size", title="pictures per second, forward and backward")
    _by_size(ax)
    ax.set_ylim(bottom=0)


def _by_size(ax) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xticks(SIZES, SIZES)
    ax.minorticks_off()
    ax.set_xlim(1.5, 700)
