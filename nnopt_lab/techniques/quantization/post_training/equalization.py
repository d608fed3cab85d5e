"""Cross-layer equalisation: scale the channels between two layers so that both use the same range.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.1.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.quantization.layers import QUANTIZABLE

# A channel scaled by s > 0 leaves each of these scaled by s.
HOMOGENEOUS = (nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Dropout, nn.Identity)


def equalizing_factors(first: Tensor, second: Tensor) -> Tensor:
    """Factors to divide the channels between two layers by, so that both use the same range for each: float [C].

    s = √(r₁r₂)/r₂ (Nagel et al. 2019, eq. 11), where r₁ and r₂ are the largest magnitudes that the first layer writes
    the channel with and the second reads it with. 1 where one of them is zero.

    Args:
        first: weight [C, in, …].
        second: weight [out, C, …], or [out, C · positions] behind a flatten.

    Raises:
        ValueError: the second layer does not read the first one's channels.
    """
    channels, inputs = len(first), second.shape[1]
    if inputs % channels or (second.dim() > 2 and inputs != channels):
        raise ValueError(f"second has {inputs} inputs; it does not read the {channels} channels of first.")
    r1 = first.detach().abs().flatten(1).amax(1)
    r2 = second.detach().abs().transpose(0, 1).reshape(channels, -1).amax(1)
    factors = (r1 * r2).sqrt() / r2
    return torch.where((r1 > 0) & (r2 > 0), factors, 1.0)


@torch.no_grad()
def equalize(model: nn.Module, sweeps: int = 20) -> nn.Module:
    """Cross-layer equalisation of a chain of layers, in place: the same function, weights that fit one grid better.

    From each layer to the next, channel i is divided by sᵢ where it is written and multiplied where it is read. As a
    layer stands in two pairs, the pairs are gone through `sweeps` times. Returns the model.

    Args:
        model: convolutions (without groups) and linear layers, one behind the other, with ReLU, pooling, flatten and
            dropout between; the order in which the model holds them is taken for the order in which they run.

    Raises:
        ValueError: there is another kind of layer in it, or a layer does not read the channels of the one before.
    """
    leaves = [layer for layer in model.modules() if not list(layer.children())]
    layers = [layer for layer in leaves if isinstance(layer, QUANTIZABLE)]
    for layer in leaves:
        if not isinstance(layer, (*QUANTIZABLE, *HOMOGENEOUS)) or getattr(layer, "groups", 1) != 1:
            raise ValueError(f"model holds {layer}: a scaled channel does not pass through it. Fold batch norms first.")
    for _ in range(sweeps):
        for first, second in pairwise(layers):
            s = equalizing_factors(first.weight, second.weight)
            first.weight.div_(s.view(-1, *[1] * (first.weight.dim() - 1)))
            if first.bias is not None:
                first.bias.div_(s)
            behind = s.repeat_interleave(second.weight.shape[1] // len(s))  # a flattened channel is many inputs
            second.weight.mul_(behind.view(-1, *[1] * (second.weight.dim() - 2)))
    return model
