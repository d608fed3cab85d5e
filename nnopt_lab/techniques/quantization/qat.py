"""Quantization-aware training (QAT): every forward pass rounds, every backward pass looks through the rounding.

`prepare` puts quantisers on the weights and inputs of a network's layers, `training.fit` trains it as any other, and
`make_permanent` leaves weights that lie on their grids. The trained parameters are floats; the layers see them rounded.

Source: Bengio et al. 2013, "Estimating or Propagating Gradients Through Stochastic Neurons" (straight-through
gradient).
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nnopt_lab.techniques.quantization.activations import record_activations
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
        ValueError: an argument is out of its range, or the model has no such layer, or is prepared already.
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} must be one of {', '.join(METHODS)}.")
    for name, bits in {"weights": weights, "activations": activations, "ends": ends}.items():
        allowed = bits is None or (isinstance(bits, int) and not isinstance(bits, bool) and 2 <= bits <= 16)
        if not allowed and not (name == "weights" and bits in CODES):
            raise ValueError(f"{name}={bits!r} must be 2 to 16{', binary, ternary' * (name == 'weights')} or None.")
    inputs = {model.get_submodule(name): read for name, (read, _) in record_activations(model, batch).items()}
    if not inputs or any(parametrize.is_parametrized(layer) for layer in inputs):
        raise ValueError("model has no convolution or linear layer that could be prepared, or it has been prepared.")
    for layer, x in inputs.items():
        at_an_end = ends is not None and layer in (next(iter(inputs)), next(reversed(inputs)))
        if weights is not None:
            quantizer = _weight_quantizer(ends if at_an_end else weights, layer.weight, method)
            parametrize.register_parametrization(layer, "weight", quantizer)
        if activations is not None:
            layer.input_quantizer = _input_quantizer(ends if at_an_end else activations, x, method)
            layer.register_forward_pre_hook(_quantize_input)
    return model


@torch.no_grad()
def make_permanent(model: nn.Module) -> nn.Module:
    """After training: weights become plain parameters on their grids, the inputs' grids are fixed. Returns the model.

    Each weight's grid stays as `layer.weight_grid`, each input's as `layer.input_quantizer.grid()`: with them,
    `quantization.quantize` gives the integers.
    """
    for layer in model.modules():
        if parametrize.is_parametrized(layer, "weight"):
            layer.weight_grid = layer.parametrizations.weight[0].grid(layer.parametrizations.weight.original)
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        if hasattr(layer, "input_quantizer"):
            layer.input_quantizer.requires_grad_(False).momentum = 0
    return model


def _weight_quantizer(bits: int | str, weight: Tensor, method: str) -> nn.Module:
    if bits in CODES:
        return CodedWeight(bits)
    return MinMaxWeight(bits) if method == "min-max" else LearnedStep(bits, weight, weight.numel())


def _input_quantizer(bits: int, x: Tensor, method: str) -> nn.Module:
    return MinMaxInput(bits, x) if method == "min-max" else LearnedStep(bits, x, x[0].numel(), bool(x.min() < 0))


def _quantize_input(layer: nn.Module, inputs: tuple) -> tuple:
    return layer.input_quantizer(inputs[0]), *inputs[1:]
