"""Quantise the weights of a whole model, and know which layers that concerns."""

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
    """Put the weights of all convolutions and linear layers on grids, in place; biases stay. Returns the model.

    The weights remain float32, so that the model still runs everywhere; what they lose they have lost. Pruned weights
    stay under their masks and zero: the grids are those of what the masks leave.

    Args:
        bits, symmetric, per, group: as in `grid_of`.

    Raises:
        ValueError: an argument is out of its range, or a layer's weight, which is named, is not finite or computed
            from others in another way than by a mask (weight_norm, a parametrisation). The model is as it was.
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
    """The layers whose weights are quantised, convolutions and linear layers, by name."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, QUANTIZABLE)}


@torch.no_grad()
def set_value(layer: nn.Module, value: Tensor, name: str = "weight") -> None:
    """Overwrite a layer's weight or bias in place, so that its forward uses `value`, or what a mask leaves of it.

    Not for weights that are computed in another way: see `network_checks.require_plain`.
    """
    masked = f"{name}_mask" in layer._buffers
    (layer._parameters[f"{name}_orig"] if masked else getattr(layer, name)).copy_(value)
    if masked:
        setattr(layer, name, current_value(layer, name).clone())  # forward remakes it, but others read it before


def hook_first_input(layer: nn.Module, change: Callable[[nn.Module, Tensor], Tensor]) -> None:
    """Before each call of a layer, `change(layer, its first input)` replaces that input, given by place or by name."""
    layer.register_forward_pre_hook(partial(_change_first, change), with_kwargs=True)


def _change_first(change: Callable, layer: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    if args:
        return (change(layer, args[0]), *args[1:]), kwargs
    name, first = next(iter(kwargs.items()))
    return args, kwargs | {name: change(layer, first)}
