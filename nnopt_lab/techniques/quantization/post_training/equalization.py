"""Cross-layer equalisation: scale the channels between two layers so that both use the same range.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.1,
https://arxiv.org/abs/1906.04721
"""

import operator

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from nnopt_lab.techniques.network_checks import current_value, hooked, overrides_forward
from nnopt_lab.techniques.quantization.chains import Link, chain, data_inputs, describe, flattens
from nnopt_lab.techniques.quantization.layers import set_value

# If a channel's input is scaled by s > 0, so is its output: these are positively homogeneous.
HOMOGENEOUS = (
    nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten,
    nn.Dropout, nn.Dropout2d, nn.Identity,
)  # fmt: skip
_FUNCTIONS = (
    F.relu, F.relu_, torch.relu, torch.relu_, F.leaky_relu, F.dropout, F.dropout2d, "relu", "relu_", "contiguous",
    "clone",
)  # fmt: skip
_POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_POOL_FUNCTIONS = (
    F.max_pool2d, torch.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d
)  # fmt: skip
_SCALINGS = (operator.mul, operator.truediv, operator.imul, operator.itruediv, torch.mul, torch.div, "mul", "div")
_SPATIAL = ((2, 3), (3, 2), (-2, -1), (-1, -2))
DEAD = 1e-12  # a channel with only smaller weights is not scaled: it has no effect, and its factor would explode


def equalizing_factors(first: Tensor, second: Tensor) -> Tensor:
    """Compute factors by which to divide the channels between two layers, so that both use the same range: float [C].

    s = √(r₁r₂)/r₂ (Nagel et al. 2019, eq. 11), where r₁ and r₂ are a channel's largest magnitudes in the first and the
    second layer's weight. The factor of a dead channel, with r₁ or r₂ at most 1e-12, is 1.

    Args:
        first: weight [C, in, …].
        second: weight [out, C, …], or [out, C · positions] after a flatten.

    Raises:
        ValueError: the second layer does not read the first one's channels.
    """
    channels, inputs = len(first), second.shape[1]
    if inputs % channels or (second.dim() > 2 and inputs != channels):
        raise ValueError(f"second has {inputs} inputs; it does not read the {channels} channels of first.")
    r1 = first.detach().double().abs().flatten(1).amax(1)
    r2 = second.detach().double().abs().transpose(0, 1).reshape(channels, -1).amax(1)
    factors = (r1 / r2).sqrt()
    return torch.where((r1 > DEAD) & (r2 > DEAD), factors, 1.0).to(first.dtype)


@torch.no_grad()
def equalize(model: nn.Module, sweeps: int = 20) -> nn.Module:
    """Equalise a chain of layers, in place: the same function with weights that suit a single grid better.

    Between each layer and the next, channel i is divided by sᵢ in the first and multiplied by it in the second. An
    inner layer belongs to two pairs, so all pairs are equalised `sweeps` times.

    Args:
        model: a chain of ungrouped convolutions and linear layers, as torch.fx traces them. Between them may be ReLU,
            leaky ReLU, pooling, flatten and dropout, as modules or functions, which preserve the scaling; before the
            first and after the last of them may be anything. Pruned weights stay masked.
        sweeps: at least 0.

    Returns:
        The same model.

    Raises:
        ValueError: the function could change, because something else is between two layers; a tensor is read in two
            places (a residual sum); a layer runs twice, is tied to another, has forward hooks or a computed weight, or
            does not read the previous layer's channels; or the model can't be traced. The model is unchanged then.
    """
    traced, links = chain(model)
    layers = {name: model.get_submodule(name) for link in links for name in link[:2]}
    for name, layer in layers.items():
        if getattr(layer, "groups", 1) != 1:
            raise ValueError(f"model contains {layer} at {name!r}; equalisation does not support groups.")
    last = [_channels_last(traced, link) for link in links]
    weights = {name: current_value(layer).clone() for name, layer in layers.items()}
    biases = {name: current_value(layer, "bias") for name, layer in layers.items()}
    biases = {name: bias.clone() for name, bias in biases.items() if bias is not None}
    for _ in range(sweeps):
        for link, channels_last in zip(links, last, strict=True):
            first, second = weights[link.first], weights[link.second]
            positions = second.shape[1] // len(first)
            read = second
            if channels_last:  # [out, positions · C] → [out, C · positions]
                read = second.unflatten(1, (positions, -1)).transpose(1, 2).flatten(1)
            s = equalizing_factors(first, read)
            first.div_(s.view(-1, *[1] * (first.dim() - 1)))
            if link.first in biases:
                biases[link.first].div_(s)
            behind = s.repeat(positions) if channels_last else s.repeat_interleave(positions)
            second.mul_(behind.view(-1, *[1] * (second.dim() - 2)))
    for name, layer in layers.items():
        set_value(layer, weights[name])
        if name in biases:
            set_value(layer, biases[name], "bias")
    return model


def _channels_last(traced: fx.GraphModule, link: Link) -> bool:
    """Whether the second layer's inputs are [positions · C], not [C · positions].

    They are after the flatten of a linear layer's output, whose channels are the last axis.

    Raises:
        ValueError: something between the layers does not preserve the scaling.
    """
    first, second = (traced.get_submodule(name) for name in link[:2])
    picture, flat = isinstance(first, nn.Conv2d), False
    for node in link.between:
        layer = traced.get_submodule(node.target) if node.op == "call_module" else None
        passes = _passes(node, layer, picture and not flat)
        if not passes or (layer is not None and (hooked(layer) or overrides_forward(layer, _kind(layer)))):
            raise ValueError(
                f"model contains {describe(node, layer)} between {link.first!r} and {link.second!r}, which does not "
                "preserve a channel's scale. Fold batch norms first."
            )
        flat |= flattens(node, layer) or (node.target in (torch.mean, "mean") and not _keeps_axes(node))
    if isinstance(second, nn.Linear) and picture and not flat:
        raise ValueError(
            f"model's layer {link.second!r} reads the last axis of pictures, not the channels of {link.first!r}."
        )
    written, read = current_value(first), current_value(second)
    channels, inputs = len(written), read.shape[1]
    if inputs % channels or (inputs != channels and not flat):
        raise ValueError(f"second has {inputs} inputs; it does not read the {channels} channels of first.")
    return not picture and flat


def _passes(node: fx.Node, layer: nn.Module | None, picture: bool) -> bool:
    if len(data_inputs(node)) != 1:
        return False
    if flattens(node, layer):
        return True
    if layer is not None:
        homogeneous = isinstance(layer, HOMOGENEOUS) and not isinstance(layer, nn.Flatten)
        return homogeneous and (picture or not isinstance(layer, _POOLS))
    if node.target in (torch.mean, "mean"):
        return picture and _mean_axes(node) in _SPATIAL
    if node.target in _SCALINGS:
        return isinstance(node.args[0], fx.Node) and isinstance(node.args[1], (int, float))
    return node.target in _FUNCTIONS or (picture and node.target in _POOL_FUNCTIONS)


def _kind(layer: nn.Module) -> type[nn.Module]:
    return next(kind for kind in HOMOGENEOUS if isinstance(layer, kind))


def _mean_axes(node: fx.Node) -> tuple | None:
    axes = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    return tuple(axes) if isinstance(axes, (tuple, list)) else None


def _keeps_axes(node: fx.Node) -> bool:
    return bool(node.args[2] if len(node.args) > 2 else node.kwargs.get("keepdim"))
