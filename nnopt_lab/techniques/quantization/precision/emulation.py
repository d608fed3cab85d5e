"""Emulate a number format: layers compute in float32 as if their tensors had another format.

A processor without instructions for a format is slow in it. The emulation keeps products and sums in float32 and rounds
each layer's inputs, outputs and gradients. Units for fp16, bf16 or fp8 do the same: they add in float32 and round the
result.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nnopt_lab.techniques.network_checks import require_plain
from nnopt_lab.techniques.quantization.layers import hook_first_input, quantizable
from nnopt_lab.techniques.quantization.precision.formats import Format, largest_shift, round_to


class Rounding(nn.Module):
    """Rounds tensors to one format in the forward pass, and their gradients to another in the backward pass; float32.

    Args:
        forward, backward: formats; None for no rounding.
        scaled: whether to multiply each tensor by 2^`largest_shift` before rounding and divide afterwards, as fp8
            needs.

    Raises:
        ValueError: a format is neither a `Format` nor None, for example its name.
    """

    def __init__(self, forward: Format | None, backward: Format | None, scaled: bool = False):
        super().__init__()
        for name, format in (("forward", forward), ("backward", backward)):
            if not isinstance(format, Format | None):
                raise ValueError(f"{name}={format!r} must be one of FORMATS, such as FORMATS['bf16'], or None.")
        self.formats, self.scaled = (forward, backward), scaled

    def forward(self, x: Tensor) -> Tensor:
        return _Round.apply(x, *self.formats, self.scaled)


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, forward, backward, scaled):
        ctx.backward_format, ctx.scaled = backward, scaled
        return _cast(x, forward, scaled)

    @staticmethod
    def backward(ctx, gradient):
        return _cast(gradient, ctx.backward_format, ctx.scaled), None, None, None


def _cast(x: Tensor, format: Format | None, scaled: bool) -> Tensor:
    if format is None or format.dtype == torch.float32:
        return x.clone() if format is None else round_to(x, format)
    scale = 2.0 ** min(largest_shift(x, format), 127) if scaled else 1.0  # 2^128 is no float32
    x = x * scale
    if not format.infinities:  # a cast of larger numbers depends on torch's version
        x = x.clamp(-format.largest, format.largest)
    return x.to(format.dtype).float() / scale


def emulate(model: nn.Module, forward: Format | None, backward: Format | None, scaled: bool = False) -> nn.Module:
    """Make all convolutions and linear layers compute as if in the given formats, in place; returns the model.

    Their inputs, weights, biases and outputs are rounded to `forward`, and the gradients of all of these to `backward`.
    The parameters themselves stay float32, as master weights. Create the optimizer afterwards.

    Args:
        model: changed in place.
        forward, backward, scaled: as in `Rounding`.

    Raises:
        ValueError: a layer's weight or bias is masked or has an older weight or spectral norm. (The weight of a
            parametrisation is rounded after it is computed.)
    """
    rounding, layers = Rounding(forward, backward, scaled), quantizable(model)
    parameters = {
        name: [p for p in ("weight", "bias") if getattr(layer, p) is not None] for name, layer in layers.items()
    }
    for name, layer in layers.items():
        plain = [p for p in parameters[name] if not parametrize.is_parametrized(layer, p)]
        require_plain(model, [name], parameters=plain)
    for name, layer in layers.items():
        for parameter in parameters[name]:
            _parametrize(layer, parameter, rounding)
        hook_first_input(layer, lambda layer, x: rounding(x))
        layer.register_forward_hook(lambda layer, inputs, output: rounding(output))
    return model


def _parametrize(layer: nn.Module, name: str, rounding: Rounding) -> None:
    if parametrize.is_parametrized(layer):
        # torch changes the class that it made for the layer, and copies of the layer share that class.
        layer.__class__ = type(type(layer).__name__, type(layer).__bases__, dict(vars(type(layer))))
    parametrize.register_parametrization(layer, name, rounding)
