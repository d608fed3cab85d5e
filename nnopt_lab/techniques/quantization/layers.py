"""Quantise the weights of a whole model, and know which layers that concerns."""

import torch
from torch import nn

from nnopt_lab.techniques.quantization.grids import grid_of
from nnopt_lab.techniques.quantization.rounding import fake_quantize

QUANTIZABLE = (nn.Conv2d, nn.Linear)


@torch.no_grad()
def quantize_weights(
    model: nn.Module, bits: int = 8, *, symmetric: bool = True, per: str = "channel", group: int | None = None
) -> nn.Module:
    """Put the weights of all convolutions and linear layers on grids, in place; biases stay. Returns the model.

    The weights remain float32, so that the model still runs everywhere; what they lose they have lost.

    Args:
        bits, symmetric, per, group: as in `grid_of`.
    """
    for layer in model.modules():
        if isinstance(layer, QUANTIZABLE):
            grid = grid_of(layer.weight, bits, symmetric=symmetric, per=per, group=group)
            layer.weight.copy_(fake_quantize(layer.weight, grid))
    return model
