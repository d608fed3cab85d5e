"""Bias correction: move the mean of each output channel back to where it was before quantisation.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.2.
"""

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.quantization.activations import record_activations
from nnopt_lab.techniques.quantization.layers import QUANTIZABLE


@torch.no_grad()
def output_shift(original: Tensor, quantized: Tensor) -> Tensor:
    """By how much quantisation moved the mean of each output channel: float [C].

    Args:
        original, quantized: outputs of one layer, [N, C, …].
    """
    return (quantized - original).transpose(0, 1).flatten(1).mean(1)


@torch.no_grad()
def correct_biases(quantized: nn.Module, original: nn.Module, batch: Tensor) -> nn.Module:
    """Empirical bias correction, in place: the mean of each channel becomes what it was. Returns `quantized`.

    From the first layer to the last, so that each is corrected for what still comes in shifted (Nagel et al. 2019,
    section 4.2 and appendix D). It costs nothing at inference.

    Args:
        quantized: a copy of `original` whose weights were quantised.
        batch: inputs, some hundred.

    Raises:
        ValueError: the networks do not hold the same layers, or a layer has no bias that could take the correction.
    """
    for name, (_, wanted) in record_activations(original, batch).items():
        layer = dict(quantized.named_modules()).get(name)
        if not isinstance(layer, QUANTIZABLE) or layer.bias is None:
            raise ValueError(f"quantized has no layer {name!r} with a bias, which original has.")
        layer.bias.sub_(output_shift(wanted, record_activations(quantized, batch, [name])[name][1]))
    return quantized
