"""Bias correction: restore the mean of each output channel after quantisation.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.2,
https://arxiv.org/abs/1906.04721
"""

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.network_checks import require_plain, tied_parameters
from nnopt_lab.techniques.quantization.activations import channels_first, record_runs
from nnopt_lab.techniques.quantization.layers import quantizable


@torch.no_grad()
def output_shift(original: Tensor, quantized: Tensor) -> Tensor:
    """Compute how far quantisation shifted the mean of each output channel: float [C].

    Args:
        original, quantized: outputs of one layer, [N, C, …].
    """
    return (quantized - original).transpose(0, 1).flatten(1).mean(1)


@torch.no_grad()
def correct_biases(quantized: nn.Module, original: nn.Module, batch: Tensor) -> nn.Module:
    """Restore the mean of each output channel by correcting the biases, in place; returns `quantized`.

    Layers are corrected from first to last, so that each also compensates for shifts left in its input (Nagel et al.
    2019, section 4.2 and appendix D). Inference takes no longer.

    Args:
        quantized: a copy of `original` with quantised weights; changed in place.
        original: the float network; left unchanged.
        batch: inputs float [N, …], a few hundred.

    Raises:
        ValueError: the networks have different layers, or a layer has no bias to correct, or one that is tied with
            another or computed (by a mask or a parametrisation).
    """
    wanted = record_runs(original, batch)
    layers, tied = quantizable(quantized), tied_parameters(quantized)
    for name in wanted:
        if name not in layers:
            raise ValueError(f"quantized has no layer {name!r}, which original has.")
        if layers[name].bias is None:
            raise ValueError(f"quantized's layer {name!r} has no bias to correct: give it one first.")
        for other in tied.get(f"{name}.bias".lstrip("."), ()):
            raise ValueError(f"quantized's layer {name!r} shares its bias with {other!r}: untie them first.")
    require_plain(quantized, wanted, parameters=["bias"])
    for name, runs in wanted.items():
        pairs = zip(runs, record_runs(quantized, batch, [name])[name], strict=True)
        shifts = [
            output_shift(*(channels_first(layers[name], output).T for output in (before, after)))
            for (_, before), (_, after) in pairs
        ]
        layers[name].bias.sub_(torch.stack(shifts).mean(0))
    return quantized
