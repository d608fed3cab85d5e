"""Lesson 01: weights, accuracy, size and speed after pruning, for each method and sparsity."""

import copy

import ipywidgets as widgets
import torch
from torch import nn

from nnopt_lab.course.playground import Playground, slider
from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.pruning import channel_pruning
from nnopt_lab.workbench import data, measure, plots, training
from nnopt_lab.workbench.language import Message, joined

BATCH = 32
QUICK_GZIP = 6  # its files are up to a tenth larger than those of level 9, which takes half a second


def pruning_playground(model: nn.Module, pictures: data.Pictures) -> Playground:
    """Show the weights, a mask, the accuracy, the size and the latency of `model` after pruning."""
    some = pictures.validation[:500]
    batch = pictures.to_input(some.images[:BATCH])
    dense_accuracy = training.evaluate(model, some, pictures).accuracy
    speed_ups: dict[tuple, measure.Ratio] = {}  # by the layers' shapes, because zeros cost as much as other weights

    def draw(method: str, sparsity: float):
        plain, in_place = _pruned(method, model, sparsity, batch[:1])
        accuracy = training.evaluate(plain, some, pictures).accuracy
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
        return fig, text

    return Playground(
        draw,
        method=widgets.Dropdown(options=list(METHODS), description="method"),
        sparsity=slider("pruned", 0.0, 0.99, 0.9, 0.01, ".0%"),
    )


def _keep(model: nn.Module, sparsity: float) -> int:
    return round((1 - sparsity) * pruning.count_weights(model)[1])


NORMS = {"whole filters, L1": 1, "whole filters, L2": 2}
METHODS = {
    "smallest weights, whole network": lambda m, s, x: pruning.magnitude_prune(m, _keep(m, s)),
    "smallest weights, layer by layer": lambda m, s, x: pruning.magnitude_prune(m, _keep(m, s), scope="layer"),
    "random": lambda m, s, x: pruning.random_prune(m, _keep(m, s)),
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
