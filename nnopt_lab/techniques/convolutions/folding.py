"""Fold batch norms into the convolutions before them.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", section 3.2.
"""

import copy

import torch
from torch import nn

from nnopt_lab.techniques.convolutions.graph import source_of


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """Fold each batch norm behind a convolution into its weights: the same function in evaluation mode, less work.

    With γ, β, μ, σ² of a channel, γ(w∗x + b − μ)/√(σ² + ε) + β is a convolution with the weights wγ/√(σ² + ε) and the
    bias (b − μ)γ/√(σ² + ε) + β. The result is for inference: it has no statistics left
    to train with. Agrees with `torch.nn.utils.fusion.fuse_conv_bn_eval`.

    Raises:
        ValueError: the model cannot be traced by torch.fx.
    """
    model = copy.deepcopy(model)
    for name, norm in list(model.named_modules()):
        if not isinstance(norm, nn.BatchNorm2d) or norm.running_var is None:
            continue
        source = source_of(model, name)
        conv = source and model.get_submodule(source)
        if isinstance(conv, nn.Conv2d):
            _fold(conv, norm)
            model.set_submodule(name, nn.Identity())
    return model


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    with torch.no_grad():
        scale = (norm.running_var + norm.eps).rsqrt()
        shift = -norm.running_mean * scale
        if norm.affine:
            scale, shift = scale * norm.weight, shift * norm.weight + norm.bias
        bias = shift if conv.bias is None else conv.bias * scale + shift
        conv.weight = nn.Parameter(conv.weight * scale[:, None, None, None])
        conv.bias = nn.Parameter(bias)
