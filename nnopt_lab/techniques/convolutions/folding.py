"""Fold batch norms into the convolutions before them.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", section 3.2, https://arxiv.org/abs/1712.05877
"""

import torch
from torch import nn

from nnopt_lab.techniques.convolutions.graph import source_of
from nnopt_lab.techniques.network_checks import (
    UNKNOWN,
    computed_parameters,
    copied,
    current_value,
    hooked,
    make_plain,
    module_names,
    overrides_forward,
    parameter_like,
    replace_module,
)
from nnopt_lab.techniques.tracing import read_in_graph, trace


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """Fold each batch norm into the convolution before it: the same function in evaluation mode with less work.

    With a channel's γ, β, μ and σ², γ(w∗x + b − μ)/√(σ² + ε) + β is a convolution with weights wγ/√(σ² + ε) and bias
    (b − μ)γ/√(σ² + ε) + β. The result is for inference only, because it has no batch statistics left to train with. It
    agrees with `torch.nn.utils.fusion.fuse_conv_bn_eval`.

    A pair is left unchanged if folding would have side effects: one of its layers is called twice, has a hook, or has
    parameters that another module reads or that custom code computes. Masks, weight norms and parametrisations of a
    folded convolution are written into its weights. Frozen parameters stay frozen, and modules keep their modes.

    Args:
        model: left unchanged.

    Returns:
        A copy, with an `nn.Identity` instead of each folded batch norm.

    Raises:
        ValueError: torch.fx can't trace the model.
    """
    model = copied(model)
    traced = trace(model)
    read = read_in_graph(traced)
    for name, norm in list(model.named_modules()):
        if not isinstance(norm, nn.BatchNorm2d) or norm.running_var is None or overrides_forward(norm, nn.BatchNorm2d):
            continue
        source = source_of(model, name, traced=traced)
        conv = model.get_submodule(source) if source else None
        if not isinstance(conv, nn.Conv2d) or overrides_forward(conv, nn.Conv2d):
            continue
        if not (_is_watched(conv) or _is_watched(norm) or read & {source, *module_names(model)[norm]}):
            _fold(conv, norm)
            replace_module(model, name, nn.Identity().train(norm.training))
    return model


def _is_watched(layer: nn.Module) -> bool:
    return hooked(layer) or UNKNOWN in computed_parameters(layer).values()


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    make_plain(conv)
    with torch.no_grad():
        scale = (norm.running_var + norm.eps).rsqrt()
        shift = -norm.running_mean * scale
        if norm.affine:
            weight, bias = current_value(norm, "weight"), current_value(norm, "bias")
            scale, shift = scale * weight, shift * weight + bias
        bias = shift if conv.bias is None else conv.bias * scale + shift
        weight = conv.weight * scale[:, None, None, None]
        owner, name = (conv, "bias") if conv.bias is not None else (norm, "bias") if norm.affine else (conv, "weight")
        conv.bias = parameter_like(bias.to(conv.weight.dtype), owner, name)
        conv.weight = parameter_like(weight.to(conv.weight.dtype), conv)
