"""Lesson 05: a layer's weights on a grid, with a choice of bits and granularity."""

import copy
from functools import cache

import ipywidgets as widgets
import torch
from torch import nn

from nnopt_lab.course.playground import Playground, slider
from nnopt_lab.course.quick_accuracy import accuracy_on
from nnopt_lab.techniques import quantization
from nnopt_lab.workbench import data, plots
from nnopt_lab.workbench.language import Message, _, translated

GRANULARITIES = {
    "one grid per layer": ("tensor", None),
    "one grid per filter": ("channel", None),
    "one grid per 16 inputs": ("group", 16),
}

COARSEST = next(iter(GRANULARITIES))
FEW_BITS = 2
BROKEN, RESCUED = 50, 75  # accuracy of the whole network, %
NOISY, SPARED = 3, 1  # decibels, and the points that such a layer may cost


def quantization_playground(model: nn.Module, pictures: data.Pictures) -> Playground:
    """The weights of one layer of `model` on a grid, their rounding errors, and the accuracy that is left."""
    accuracy_of = accuracy_on(pictures)
    layers = {name: m for name, m in model.named_modules() if isinstance(m, quantization.QUANTIZABLE)}
    before = accuracy_of(model)

    @cache
    def whole_accuracy(bits: int, symmetric: bool, per: str, group: int | None) -> float:
        rounded = quantization.quantize_weights(copy.deepcopy(model), bits, symmetric=symmetric, per=per, group=group)
        return accuracy_of(rounded)

    def draw(layer: str, bits: int, granularity: str, symmetric: bool):
        per, group = GRANULARITIES[granularity]
        weight = layers[layer].weight.detach()
        grid = quantization.grid_of(weight, bits, symmetric=symmetric, per=per, group=group)
        on_grid = quantization.fake_quantize(weight, grid)
        one_layer = copy.deepcopy(model)
        with torch.no_grad():
            one_layer.get_submodule(layer).weight.copy_(on_grid)
        one_accuracy = accuracy_of(one_layer)
        fig, (left, right) = plots.figure(ncols=2, figsize=(plots.SIZE[0], 3.2))
        with plots.style():
            _histogram(left, weight, on_grid)
            _errors(right, weight, on_grid, float(grid.scale.max()))
        whole, scales = whole_accuracy(bits, symmetric, per, group), grid.scale.numel()
        told = {
            "ratio": f"{quantization.signal_to_noise(weight, on_grid):.1f}",
            "one": f"{one_accuracy:.1f}",
            "all": f"{whole:.1f}",
            "before": f"{before:.1f}",
        }
        text = (
            Message(
                "<b>{ratio} dB</b> signal to noise, {count} scales · accuracy <b>{one} %</b> with this layer "
                "quantised, <b>{all} %</b> with all layers quantised (before: {before} %)",
                count=f"{scales:,}",
                **told,
            )
            if scales > 1
            else Message(
                "<b>{ratio} dB</b> signal to noise, 1 scale · accuracy <b>{one} %</b> with this layer quantised, "
                "<b>{all} %</b> with all layers quantised (before: {before} %)",
                **told,
            )
        )
        plots.finish(
            fig,
            "A bell of weights with spikes at the values of the grid, and a histogram of the rounding errors.",
        )
        found = [
            _broken(bits, granularity, whole),
            _rescued(bits, granularity, whole),
            _forgiven(layer, bits, quantization.signal_to_noise(weight, on_grid), one_accuracy, before),
        ]
        return fig, text, found

    goals = [
        _("Quantise all layers so coarsely that the accuracy falls below {percent} %.", percent=BROKEN),
        _("Keep {bits} bits for all layers, and reach {percent} %.", bits=FEW_BITS, percent=RESCUED),
        _(
            "Find a layer with less than {ratio} dB that costs less than {points} point of accuracy.",
            ratio=NOISY,
            points=SPARED,
        ),
    ]
    return Playground(
        draw,
        goals,
        measured=True,
        layer=widgets.Dropdown(options=list(layers), value=list(layers)[-2], description="layer"),
        bits=slider("bits", 2, 16, 4),
        granularity=widgets.Dropdown(options=list(GRANULARITIES), description="scales"),
        symmetric=widgets.Checkbox(value=True, description="symmetric"),
    )


def _broken(bits: int, granularity: str, whole: float) -> str:
    if whole >= BROKEN:
        return ""
    return _(
        "{bits} bits and {granularity}: all layers together leave {accuracy} %.",
        bits=bits,
        granularity=translated(granularity),
        accuracy=f"{whole:.1f}",
    )


def _rescued(bits: int, granularity: str, whole: float) -> str:
    if bits > FEW_BITS or granularity == COARSEST or whole < RESCUED:
        return ""
    return _(
        "{bits} bits and {granularity}: {accuracy} %. More scales do what more bits would have done.",
        bits=bits,
        granularity=translated(granularity),
        accuracy=f"{whole:.1f}",
    )


def _forgiven(layer: str, bits: int, ratio: float, accuracy: float, before: float) -> str:
    if ratio >= NOISY or round(before - accuracy, 1) >= SPARED:
        return ""
    return _(
        "{layer} at {bits} bits has {ratio} dB, so the errors are nearly as large as the weights, and yet the accuracy "
        "is {accuracy} % (before: {before} %).",
        layer=layer,
        bits=bits,
        ratio=f"{ratio:.1f}",
        accuracy=f"{accuracy:.1f}",
        before=f"{before:.1f}",
    )


def _histogram(ax, weight, on_grid) -> None:
    reach = float(weight.abs().max())
    bins = torch.linspace(-reach, reach, 121)
    plots.histogram(ax, weight, bins, plots.REFERENCE, "float", alpha=0.6)
    plots.histogram(ax, on_grid.clamp(-reach, reach), bins, plots.BLUE, "quantised", fill=False)
    ax.set(xlabel="weight", ylabel="number of weights", yscale="log", ylim=(0.5, None))
    ax.minorticks_off()  # laying them out takes as long as everything else
    ax.locator_params(axis="x", nbins=5)  # with room between them, or they would be laid out again
    plots.legend(ax)


def _errors(ax, weight, on_grid, largest_step: float) -> None:
    error = (on_grid - weight).flatten()
    reach = max(largest_step / 2, float(error.abs().max())) or 1.0
    plots.histogram(ax, error, torch.linspace(-1.05 * reach, 1.05 * reach, 61), plots.ORANGE)
    for end in (-largest_step / 2, largest_step / 2):
        ax.axvline(end, color=plots.REFERENCE, linestyle="--", linewidth=1)
    ax.set(title="errors (dashed: half of the largest step)", xlabel="quantised − float")
    ax.locator_params(axis="x", nbins=5)
