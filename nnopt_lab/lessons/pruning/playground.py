"""Lesson 01: weights, accuracy, size and speed after pruning, for each method and sparsity."""

import copy

import ipywidgets as widgets
import torch
from torch import nn

from nnopt_lab.course.playground import Playground
from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.pruning import channel_pruning
from nnopt_lab.workbench import data, measure, plots, training


def pruning_playground(model: nn.Module, pictures: data.Pictures) -> Playground:
    """Show the weights, a mask, the accuracy, the size and the latency of `model` after pruning."""
    some = pictures.validation[:1000]
    batch = pictures.to_input(some.images[:256])
    dense_accuracy = training.evaluate(model, some, pictures).accuracy

    def draw(method: str, sparsity: float):
        plain = pruning.make_permanent(METHODS[method](copy.deepcopy(model), sparsity, batch[:1]))
        accuracy = training.evaluate(plain, some, pictures).accuracy
        timings = measure.latency({"dense": model, "pruned": plain}, batch, rounds=6, budget_seconds=0.6)
        fig, (left, right) = plots.figure(ncols=2)
        with plots.style():
            _histogram(left, model, plain)
            _mask(right, plain)
        text = (
            f"<b>{accuracy:.1f} %</b> accuracy without fine-tuning (dense {dense_accuracy:.1f} %) · "
            f"{measure.parameters(plain).nonzero:,} nonzero parameters · "
            f"file {measure.format_bytes(measure.disk_bytes(plain))}, compressed "
            f"{measure.format_bytes(measure.disk_bytes(plain, compressed=True))} · "
            f"batch of 256: {measure.ratio(timings['dense'], timings['pruned'])}"
        )
        return plots.finish(fig), text

    return Playground(
        draw,
        method=widgets.Dropdown(options=list(METHODS), description="method"),
        sparsity=widgets.FloatSlider(
            value=0.9, min=0, max=0.99, step=0.01, readout_format=".0%", description="pruned", continuous_update=False
        ),
    )


def _keep(model: nn.Module, sparsity: float) -> int:
    return round((1 - sparsity) * pruning.count_weights(model)[1])


METHODS = {
    "smallest weights, whole network": lambda m, s, x: pruning.magnitude_prune(m, _keep(m, s)),
    "smallest weights, layer by layer": lambda m, s, x: pruning.magnitude_prune(m, _keep(m, s), scope="layer"),
    "random": lambda m, s, x: pruning.random_prune(m, _keep(m, s)),
    "whole filters, L1": lambda m, s, x: channel_pruning.remove_channels(
        m, x, channel_pruning.keep_most_important(m, x, 1 - s)
    ),
    "whole filters, L2": lambda m, s, x: channel_pruning.remove_channels(
        m, x, channel_pruning.keep_most_important(m, x, 1 - s, norm=2)
    ),
}


def _histogram(ax, dense: nn.Module, pruned: nn.Module) -> None:
    def weights(model):
        return torch.cat([layer.weight.detach().flatten() for layer in pruning.prunable(model).values()])

    bins = torch.linspace(-0.3, 0.3, 81).tolist()
    left = weights(pruned)
    ax.hist(weights(dense).numpy(), bins, color=plots.REFERENCE, alpha=0.5, label="dense")
    ax.hist(left[left != 0].numpy(), bins, color=plots.BLUE, label="after pruning")
    ax.set(title="weights", xlabel="value", yscale="log")
    plots.legend(ax)


def _mask(ax, pruned: nn.Module) -> None:
    layers = pruning.prunable(pruned)
    name = next(n for n, layer in layers.items() if isinstance(layer, nn.Linear))
    weight = layers[name].weight.detach()
    ax.imshow(weight[:64, :256].ne(0).numpy(), cmap="Greys_r", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    ax.set(
        title=f"upper left corner of {name}: white weights stay",
        xticks=[],
        yticks=[],
    )
    ax.grid(False)
