"""Quantization-aware training (QAT): every forward pass rounds, every backward pass looks through the rounding.

`prepare` puts quantisers on the weights and inputs of a network's layers, `training.fit` trains it as any other, and
`make_permanent` leaves weights that lie on their grids. The trained parameters are floats; the layers see them rounded.

Source: Bengio et al. 2013, "Estimating or Propagating Gradients Through Stochastic Neurons" (straight-through
gradient).
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nnopt_lab.techniques.network_checks import remove_parametrizations, require_plain, require_untied
from nnopt_lab.techniques.quantization.activations import record_runs
from nnopt_lab.techniques.quantization.layers import hook_first_input
from nnopt_lab.techniques.quantization.quantizers import CodedWeight, LearnedStep, MinMaxInput, MinMaxWeight

METHODS = ("min-max", "lsq")
CODES = ("binary", "ternary")


def prepare(
    model: nn.Module,
    batch: Tensor,
    weights: int | str | None = 4,
    activations: int | None = 4,
    *,
    method: str = "lsq",
    ends: int | None = 8,
) -> nn.Module:
    """Quantise the weights and the inputs of all convolutions and linear layers while it trains; in place.

    One grid for each tensor. Make the optimizer afterwards: LSQ's steps are new parameters. Returns the model.

    Args:
        model: trained in float, preferably.
        batch: inputs on which the ranges or steps of the layers' inputs start, some hundred.
        weights: bits, 2 to 16, or "binary" or "ternary"; None leaves floats.
        activations: bits, 2 to 16, of the layers' inputs, signed where `batch` has negative ones; None leaves floats.
        method: "min-max" or "lsq".
        ends: bits of the first and the last layer, weights and inputs; None treats them as the others. What is left in
            float stays so in all layers.

    Raises:
        ValueError: an argument is out of its range; the model has no such layer, or is prepared already; a layer's
            weight, which is named, is masked, computed, or tied with another layer's.
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} must be one of {', '.join(METHODS)}.")
    for name, bits in {"weights": weights, "activations": activations, "ends": ends}.items():
        allowed = bits is None or (isinstance(bits, int) and not isinstance(bits, bool) and 2 <= bits <= 16)
        if not allowed and not (name == "weights" and bits in CODES):
            raise ValueError(f"{name}={bits!r} must be 2 to 16{', binary, ternary' * (name == 'weights')} or None.")
    inputs = {name: [read for read, _ in runs] for name, runs in record_runs(model, batch).items()}
    layers = {name: model.get_submodule(name) for name in inputs}
    if not inputs or any(_is_prepared(layer) for layer in layers.values()):
        raise ValueError("model has no convolution or linear layer that could be prepared, or it has been prepared.")
    require_plain(model, layers, parameters=["weight"])
    require_untied(model, layers)
    for name, layer in layers.items():
        at_an_end = ends is not None and name in (next(iter(inputs)), next(reversed(inputs)))
        if weights is not None:
            quantizer = _weight_quantizer(ends if at_an_end else weights, layer.weight, method)
            parametrize.register_parametrization(layer, "weight", quantizer)
        if activations is not None:
            layer.input_quantizer = _input_quantizer(ends if at_an_end else activations, inputs[name], method)
            hook_first_input(layer, _quantize)
    return model


@torch.no_grad()
def make_permanent(model: nn.Module) -> nn.Module:
    """After training: weights become plain parameters on their grids, the inputs' grids are fixed. Returns the model.

    Each weight's grid stays as `layer.weight_grid`, each input's as `layer.input_quantizer.grid()`: with them,
    `quantization.quantize` gives the integers. Layers that `prepare` did not prepare stay as they are.
    """
    for layer in model.modules():
        if _has_weight_quantizer(layer):
            layer.weight_grid = layer.parametrizations.weight[0].grid(layer.parametrizations.weight.original)
            remove_parametrizations(layer, "weight")
        if hasattr(layer, "input_quantizer"):
            layer.input_quantizer.requires_grad_(False).momentum = 0
    return model


def _is_prepared(layer: nn.Module) -> bool:
    return _has_weight_quantizer(layer) or hasattr(layer, "input_quantizer")


def _has_weight_quantizer(layer: nn.Module) -> bool:
    return parametrize.is_parametrized(layer, "weight") and isinstance(
        layer.parametrizations.weight[0], (CodedWeight, LearnedStep, MinMaxWeight)
    )


def _weight_quantizer(bits: int | str, weight: Tensor, method: str) -> nn.Module:
    if bits in CODES:
        return CodedWeight(bits)
    return MinMaxWeight(bits) if method == "min-max" else LearnedStep(bits, weight, weight.numel())


def _input_quantizer(bits: int, runs: list[Tensor], method: str) -> nn.Module:
    """For all the inputs that a layer gets, several where it runs several times."""
    values = runs[0] if len(runs) == 1 else torch.cat([x.flatten() for x in runs])
    if method == "min-max":
        return MinMaxInput(bits, values)
    return LearnedStep(bits, values, runs[0][0].numel(), bool(values.min() < 0))


def _quantize(layer: nn.Module, x: Tensor) -> Tensor:
    return layer.input_quantizer(x)
