"""Quantise the weights of a whole model."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.network_checks import current_value, require_plain
from nnopt_lab.techniques.quantization.grids import grid_of
from nnopt_lab.techniques.quantization.rounding import fake_quantize

QUANTIZABLE = (nn.Conv2d, nn.Linear)


def quantize_weights(
    model: nn.Module, bits: int = 8, *, symmetric: bool = True, per: str = "channel", group: int | None = None
) -> nn.Module:
    """Round the weights of all convolutions and linear layers to grids, in place; biases stay. Returns the model.

    The weights remain float32, so the model still runs everywhere, but their precision is lost. Pruned weights stay
    masked and zero, and the grids are those of the masked weights.

    Args:
        model: changed in place.
        bits, symmetric, per, group: as in `grid_of`.

    Raises:
        ValueError: an argument is out of its range, or a layer's weight, which is named, is not finite or computed
            other than by a mask (weight_norm, a parametrisation). The model is unchanged then.
    """
    layers = quantizable(model)
    require_plain(model, layers, parameters=["weight"], masks=True)
    quantized = {}
    for name, layer in layers.items():
        weight = current_value(layer)
        try:
            grid = grid_of(weight, bits, symmetric=symmetric, per=per, group=group)
        except ValueError as error:
            raise ValueError(f"model's layer {name!r} can't be quantised: {error}") from error
        quantized[name] = fake_quantize(weight, grid)
    for name, layer in layers.items():
        set_value(layer, quantized[name])
    return model


def quantizable(model: nn.Module) -> dict[str, nn.Module]:
    """Find the layers whose weights are quantised, by name: convolutions and linear layers."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, QUANTIZABLE)}


@torch.no_grad()
def set_value(layer: nn.Module, value: Tensor, name: str = "weight") -> None:
    """Overwrite a layer's weight or bias in place, so that its forward uses `value`, under its mask if it has one.

    Not for weights that are computed otherwise: see `network_checks.require_plain`.
    """
    masked = f"{name}_mask" in layer._buffers
    (layer._parameters[f"{name}_orig"] if masked else getattr(layer, name)).copy_(value)
    if masked:
        setattr(layer, name, current_value(layer, name).clone())  # forward recomputes it, but others may read it first


def hook_first_input(layer: nn.Module, change: Callable[[nn.Module, Tensor], Tensor]) -> None:
    """Replace a layer's first input, passed by position or by name, by `change(layer, input)` in every call."""
    layer.register_forward_pre_hook(partial(_change_first, change), with_kwargs=True)


def _change_first(change: Callable, layer: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    if args:
        return (change(layer, args[0]), *args[1:]), kwargs
    name, first = next(iter(kwargs.items()))
    return args, kwargs | {name: change(layer, first)}
