"""Lesson 01: weights, accuracy, size and speed after pruning, for each method and sparsity."""

import copy

import ipywidgets as widgets
import torch
from torch import nn

from nnopt_lab.course.playground import Playground, slider
from nnopt_lab.course.quick_accuracy import accuracy_on
from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.pruning import channel_pruning
from nnopt_lab.workbench import data, measure, plots
from nnopt_lab.workbench.language import Message, _, joined

BATCH = 32
COLLAPSE, SPARED = 10, 3  # points of accuracy: lost where it breaks down, and the most to lose for a smaller file
FEW = 0.3  # share of random weights that is enough for a collapse
QUICK_GZIP = 6  # its files are up to a tenth larger than those of level 9, which takes half a second


def pruning_playground(model: nn.Module, pictures: data.Pictures) -> Playground:
    """Show the weights, a mask, the accuracy, the size and the latency of `model` after pruning."""
    accuracy_of = accuracy_on(pictures)
    batch = pictures.to_input(pictures.validation.images[:BATCH])
    dense_accuracy, dense_bytes = accuracy_of(model), measure.disk_bytes(model)
    speed_ups: dict[tuple, measure.Ratio] = {}  # by the layers' shapes, because zeros cost as much as other weights

    def draw(method: str, sparsity: float):
        plain, in_place = _pruned(method, model, sparsity, batch[:1])
        accuracy = accuracy_of(plain)
        shapes = tuple(parameter.shape for parameter in plain.parameters())
        if shapes not in speed_ups:
            timings = measure.latency({"dense": model, "pruned": plain}, batch, rounds=6, budget_seconds=0.05)
            speed_ups[shapes] = measure.ratio(timings["dense"], timings["pruned"])
        fig, (left, right) = plots.figure(ncols=2)
        with plots.style():
            _histogram(left, model, plain)
            _mask(right, in_place)
        text = Message(
            "<b>{accuracy} %</b> accuracy without fine-tuning (dense {dense} %) · {count} nonzero parameters · file "
            "{size}, compressed {compressed} · batch of {batch}: {ratio}",
            accuracy=f"{accuracy:.1f}",
            dense=f"{dense_accuracy:.1f}",
            count=f"{measure.parameters(plain).nonzero:,}",
            size=measure.format_bytes(measure.disk_bytes(plain)),
            compressed=measure.format_bytes(measure.disk_bytes(plain, compressed=True, level=QUICK_GZIP)),
            batch=BATCH,
            ratio=joined(str(speed_ups[shapes])),
        )
        plots.finish(
            fig,
            "Histograms of the weights before and after pruning, and a mask whose white dots are weights that stay.",
        )
        lost, size = round(dense_accuracy - accuracy, 1), measure.disk_bytes(plain)  # as the text shows it
        found = [
            _collapse(method, sparsity, lost, accuracy),
            _by_chance(method, sparsity, lost, accuracy),
            _smaller(lost, size, dense_bytes, accuracy),
        ]
        return fig, text, found

    goals = [
        _(
            "Prune the smallest weights of the whole network until {points} points of accuracy are lost.",
            points=COLLAPSE,
        ),
        _(
            "Lose {points} points of accuracy with at most {percent} % of the weights.",
            points=COLLAPSE,
            percent=round(100 * FEW),
        ),
        _("Make the file smaller without compression, and lose at most {points} points.", points=SPARED),
    ]
    return Playground(
        draw,
        goals,
        measured=True,
        method=widgets.Dropdown(options=list(METHODS), description="method"),
        sparsity=slider("pruned", 0.0, 0.99, 0.9, 0.01, ".0%"),
    )


def _collapse(method: str, sparsity: float, lost: float, accuracy: float) -> str:
    if method != WHOLE or lost < COLLAPSE:
        return ""
    return _(
        "Accuracy breaks down only late: without {percent} % of the weights it is {accuracy} %.",
        percent=round(100 * sparsity),
        accuracy=f"{accuracy:.1f}",
    )


def _by_chance(method: str, sparsity: float, lost: float, accuracy: float) -> str:
    if method != RANDOM or sparsity > FEW or lost < COLLAPSE:
        return ""
    return _(
        "Which weights matters more than how many: without {percent} %, chosen at random, accuracy is {accuracy} %.",
        percent=round(100 * sparsity),
        accuracy=f"{accuracy:.1f}",
    )


def _smaller(lost: float, size: int, dense: int, accuracy: float) -> str:
    if lost > SPARED or size >= dense:
        return ""
    return _(
        "A zero needs as much space as any other weight, and only missing filters save it: {size} instead of {dense}, "
        "at {accuracy} %.",
        size=measure.format_bytes(size),
        dense=measure.format_bytes(dense),
        accuracy=f"{accuracy:.1f}",
    )


def _keep(model: nn.Module, sparsity: float) -> int:
    return round((1 - sparsity) * pruning.count_weights(model)[1])


NORMS = {"whole filters, L1": 1, "whole filters, L2": 2}
WHOLE, RANDOM = "smallest weights, whole network", "random"
METHODS = {
    WHOLE: lambda m, s, x: pruning.magnitude_prune(m, _keep(m, s)),
    "smallest weights, layer by layer": lambda m, s, x: pruning.magnitude_prune(m, _keep(m, s), scope="layer"),
    RANDOM: lambda m, s, x: pruning.random_prune(m, _keep(m, s)),
    **{
        name: lambda m, s, x, norm=norm: channel_pruning.remove_channels(m, x, _kept(m, s, x, norm))
        for name, norm in NORMS.items()
    },
}


def _kept(model: nn.Module, sparsity: float, example: torch.Tensor, norm: int) -> dict[str, torch.Tensor]:
    return channel_pruning.keep_most_important(model, example, 1 - sparsity, norm=norm)


def _pruned(method: str, model: nn.Module, sparsity: float, example: torch.Tensor) -> tuple[nn.Module, nn.Module]:
    """The pruned network, and one of the dense network's shape with zeros for all that was removed."""
    if method not in NORMS:
        pruned = pruning.make_permanent(METHODS[method](copy.deepcopy(model), sparsity, example))
        return pruned, pruned
    keep = _kept(model, sparsity, example, NORMS[method])
    zeroed = channel_pruning.zero_channels(model, example, keep)
    return channel_pruning.remove_channels(model, example, keep), zeroed


def _histogram(ax, dense: nn.Module, pruned: nn.Module) -> None:
    def weights(model):
        return torch.cat([layer.weight.detach().flatten() for layer in pruning.prunable(model).values()])

    bins, left = torch.linspace(-0.3, 0.3, 81), weights(pruned)
    plots.histogram(ax, weights(dense), bins, plots.REFERENCE, "dense", alpha=0.5)
    plots.histogram(ax, left[left != 0], bins, plots.BLUE, "after pruning")
    ax.set(xlabel="weight", ylabel="number of weights", yscale="log")
    ax.minorticks_off()  # laying them out takes as long as everything else
    plots.legend(ax)


def _mask(ax, pruned: nn.Module) -> None:
    layers = pruning.prunable(pruned)
    name = next(n for n, layer in layers.items() if isinstance(layer, nn.Linear))
    weight = layers[name].weight.detach()
    ax.imshow(weight.ne(0).numpy(), cmap="Greys_r", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    ax.set(
        title=f"{name}: white weights stay",
        xticks=[],
        yticks=[],
    )
    ax.grid(False)
