"""Quantization-aware training (QAT): every forward pass rounds, every backward pass ignores the rounding.

`prepare` adds quantisers to the weights and inputs of a network's layers, `training.fit` trains the network like any
other, and `make_permanent` turns its weights into plain ones on their grids. The trained parameters are floats; the
layers use them rounded.

Source: Bengio et al. 2013, "Estimating or Propagating Gradients Through Stochastic Neurons",
https://arxiv.org/abs/1308.3432 (straight-through gradient).
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
    """Add quantisers to the weights and inputs of all convolutions and linear layers, in place; returns the model.

    Each tensor has one grid. Create the optimizer afterwards, because the learned steps of LSQ are new parameters.

    Args:
        model: changed in place; preferably trained in float.
        batch: inputs float [N, …], a few hundred, from which the initial ranges or steps of the layers' inputs are
            computed.
        weights: bits, 2 to 16, or "binary" or "ternary"; None for floats.
        activations: bits of the layers' inputs, 2 to 16, signed if `batch` gives negative inputs; None for floats.
        method: "min-max" or "lsq".
        ends: bits of the first and the last layer, for weights and inputs; None treats them like the others. Weights or
            inputs that are floats elsewhere are floats here too.

    Raises:
        ValueError: an argument is out of its range; the model has no such layer or is already prepared; or a layer's
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
        raise ValueError("model has no convolution or linear layer to prepare, or is already prepared.")
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
    """Turn weights into plain parameters on their grids after training, and fix the inputs' grids; returns the model.

    Each weight's grid remains as `layer.weight_grid`, each input's as `layer.input_quantizer.grid()`, from which
    `quantization.quantize` computes the integers. Layers that `prepare` did not change are left unchanged.
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
    """A quantiser for all inputs of a layer, one per run."""
    values = runs[0] if len(runs) == 1 else torch.cat([x.flatten() for x in runs])
    if method == "min-max":
        return MinMaxInput(bits, values)
    return LearnedStep(bits, values, runs[0][0].numel(), bool(values.min() < 0))


def _quantize(layer: nn.Module, x: Tensor) -> Tensor:
    return layer.input_quantizer(x)
