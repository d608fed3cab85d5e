"""Lesson 05: a layer's weights on a grid, with a choice of bits and granularity."""

import copy

import ipywidgets as widgets
import torch
from torch import nn

from nnopt_lab.course.playground import Playground, choice
from nnopt_lab.techniques import quantization
from nnopt_lab.workbench import data, plots, training

GRANULARITIES = {
    "one grid per layer": ("tensor", None),
    "one grid per filter": ("channel", None),
    "one grid per 16 inputs": ("group", 16),
}


def quantization_playground(model: nn.Module, pictures: data.Pictures) -> Playground:
    """The weights of one layer of `model` on a grid, their rounding errors, and the accuracy that is left."""
    some = pictures.validation[:500]
    layers = {name: m for name, m in model.named_modules() if isinstance(m, quantization.QUANTIZABLE)}
    before = training.evaluate(model, some, pictures).accuracy

    def draw(layer: str, bits: int, granularity: str, symmetric: bool):
        per, group = GRANULARITIES[granularity]
        weight = layers[layer].weight.detach()
        grid = quantization.grid_of(weight, bits, symmetric=symmetric, per=per, group=group)
        on_grid = quantization.fake_quantize(weight, grid)
        one_layer, whole_network = copy.deepcopy(model), copy.deepcopy(model)
        with torch.no_grad():
            one_layer.get_submodule(layer).weight.copy_(on_grid)
        quantization.quantize_weights(whole_network, bits, symmetric=symmetric, per=per, group=group)
        accuracies = [training.evaluate(m, some, pictures).accuracy for m in (one_layer, whole_network)]
        fig, (left, right) = plots.figure(ncols=2, figsize=(plots.SIZE[0], 3.2))
        with plots.style():
            _histogram(left, weight, on_grid)
            _errors(right, weight, on_grid, float(grid.scale.max()))
        scales = grid.scale.numel()
        text = (
            f"<b>{quantization.signal_to_noise(weight, on_grid):.1f} dB</b> signal to noise, "
            f"{scales:,} scale{'s' if scales > 1 else ''} · accuracy <b>{accuracies[0]:.1f} %</b> with this layer "
            f"quantised, <b>{accuracies[1]:.1f} %</b> with all layers quantised (before: {before:.1f} %)"
        )
        return plots.finish(fig), text

    return Playground(
        draw,
        layer=widgets.Dropdown(options=list(layers), value=list(layers)[-2], description="layer"),
        bits=choice("bits", [2, 3, 4, 5, 6, 7, 8, 12, 16], 4),
        granularity=widgets.Dropdown(options=list(GRANULARITIES), description="scales"),
        symmetric=widgets.Checkbox(value=True, description="symmetric"),
    )


def _histogram(ax, weight, on_grid) -> None:
    reach = float(weight.abs().max())
    bins = torch.linspace(-reach, reach, 121).tolist()
    ax.hist(weight.flatten().numpy(), bins, color=plots.REFERENCE, alpha=0.6, label="float")
    ax.hist(on_grid.flatten().clamp(-reach, reach).numpy(), bins, color=plots.BLUE, histtype="step", label="quantised")
    ax.set(xlabel="weight", ylabel="number of weights", yscale="log", ylim=(0.5, None))
    plots.legend(ax)


def _errors(ax, weight, on_grid, largest_step: float) -> None:
    error = (on_grid - weight).flatten()
    reach = max(largest_step / 2, float(error.abs().max())) or 1.0
    ax.hist(error.numpy(), torch.linspace(-1.05 * reach, 1.05 * reach, 61).tolist(), color=plots.ORANGE)
    for end in (-largest_step / 2, largest_step / 2):
        ax.axvline(end, color=plots.REFERENCE, linestyle="--", linewidth=1)
    ax.set(title="errors (dashed: half of the largest step)", xlabel="quantised − float")
