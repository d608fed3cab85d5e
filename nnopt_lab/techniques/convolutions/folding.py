"""Fold batch norms into the convolutions before them.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", section 3.2, https://arxiv.org/abs/1712.05877
"""

import warnings
from collections import OrderedDict

import torch
from torch import fx, nn

from nnopt_lab.techniques.network_checks import (
    UNKNOWN,
    computed_parameters,
    copied,
    evaluating,
    hooked,
    is_uninitialised,
    make_plain,
    module_names,
    overrides_forward,
    parameter_like,
    replace_module,
)
from nnopt_lab.techniques.norms import axes_after_channels, is_batch_norm, scale_and_shift, steps_after
from nnopt_lab.techniques.tracing import read_in_graph, trace

_CONVOLUTIONS = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
_IDENTITIES = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)  # in evaluation mode


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """Fold each batch norm into the convolution before it: the same function in evaluation mode with less work.

    With a channel's γ, β, μ and σ², γ(w∗x + b − μ)/√(σ² + ε) + β is a convolution with weights wγ/√(σ² + ε) and bias
    (b − μ)γ/√(σ² + ε) + β. The result is for inference only, because it has no batch statistics left to train with. It
    agrees with `torch.nn.utils.fusion.fuse_conv_bn_eval`.

    Batch norms that also apply an activation, such as timm's `BatchNormAct2d`, leave their activation behind; other
    such classes can be made known by `norms.register_batch_norm`. A convolution with a forward of its own, such as
    timm's `Conv2dSame`, is folded if a trial with random numbers shows that it computes the same afterwards.

    A pair is left unchanged if folding would have side effects: one of its layers is called twice, has a hook, or has
    parameters that another module reads or that custom code computes. Masks, weight norms and parametrisations of a
    folded convolution are written into its weights. Frozen parameters stay frozen, and modules keep their modes.

    Args:
        model: left unchanged.

    Returns:
        A copy, with an `nn.Identity` (or the activation) instead of each folded batch norm.

    Warns:
        UserWarning: some batch norms stay; one sentence says how many and why the first does. `why_not_folded` has the
            reasons for all.

    Raises:
        ValueError: torch.fx can't trace the model.
    """
    model = copied(model)
    pairs, reasons = _pairs(model)
    for norm, conv in pairs.items():
        steps = steps_after(norm)
        _fold(conv, norm)
        after = nn.Sequential(OrderedDict(steps)) if steps else nn.Identity()
        after.training = norm.training
        replace_module(model, module_names(model)[norm][0], after)
    left = {name: reason for name, reason in reasons.items() if reason}
    if left:
        name, reason = next(iter(left.items()))
        warnings.warn(
            f"{len(left)} of the model's {len(reasons)} batch norms cannot be folded, such as {name!r}: {reason}. "
            "folding.why_not_folded(model) lists them all.",
            stacklevel=2,
        )
    return model


def why_not_folded(model: nn.Module) -> dict[str, str]:
    """Find out which batch norms `fold_batch_norm` would leave, and why.

    Args:
        model: left unchanged.

    Returns:
        A clause per batch norm, by its first name, in the model's order; "" if it can be folded.

    Raises:
        ValueError: torch.fx can't trace the model.
    """
    return _pairs(model)[1]


def _pairs(model: nn.Module) -> tuple[dict[nn.Module, nn.Module], dict[str, str]]:
    """The convolution of each batch norm that can be folded, and a reason per batch norm, "" for those."""
    traced = trace(model, leaves=lambda module: is_batch_norm(module) or isinstance(module, tuple(_CONVOLUTIONS)))
    nodes: dict[nn.Module, list[fx.Node]] = {}
    for node in traced.graph.nodes:
        if node.op == "call_module":
            nodes.setdefault(traced.get_submodule(node.target), []).append(node)
    read = {traced.get_submodule(name) for name in read_in_graph(traced)}
    pairs, reasons = {}, {}
    for norm, names in module_names(model).items():
        if is_batch_norm(norm):
            conv = _convolution(norm, nodes, traced)
            reasons[names[0]] = _why_not(norm, conv, nodes, read)
            if not reasons[names[0]]:
                pairs[norm] = conv
    return pairs, reasons


def _convolution(norm: nn.Module, nodes: dict[nn.Module, list[fx.Node]], traced: fx.GraphModule) -> nn.Module | str:
    """The module whose output a batch norm reads, or what it is if it is no module."""
    calls = nodes.get(norm, [])
    if len(calls) != 1 or len(calls[0].all_input_nodes) != 1:
        return "nothing"
    node = calls[0].all_input_nodes[0]
    while _is_identity(node, traced):
        node = node.all_input_nodes[0]
    if node.op == "call_module":
        return traced.get_submodule(node.target)
    return "the input" if node.op == "placeholder" else str(getattr(node.target, "__name__", node.target))


def _is_identity(node: fx.Node, traced: fx.GraphModule) -> bool:
    """Whether a node changes nothing in evaluation mode, and only one other reads it."""
    if node.op != "call_module" or len(node.users) != 1 or len(node.all_input_nodes) != 1:
        return False
    module = traced.get_submodule(node.target)
    return type(module) in _IDENTITIES and not hooked(module)


def _why_not(norm: nn.Module, conv: nn.Module | str, nodes: dict[nn.Module, list[fx.Node]], read: set) -> str:
    calls = len(nodes.get(norm, ()))
    if is_uninitialised(norm):
        return "it has no weights yet"
    if norm.running_var is None:
        return "it has no running statistics"
    if calls != 1:
        return f"it is called {calls} times"
    if steps_after(norm) is None:
        return "its forward is not torch's"
    kind = next((kind for kind in _CONVOLUTIONS if isinstance(conv, kind)), None)
    if kind is None or axes_after_channels(norm) not in (0, _CONVOLUTIONS[kind]):
        return f"it follows {conv if isinstance(conv, str) else type(conv).__name__}, not a convolution"
    if len(nodes[conv]) != 1:
        return f"its convolution is called {len(nodes[conv])} times"
    if len(nodes[conv][0].users) != 1:
        return "its convolution's output is also used elsewhere"
    if is_uninitialised(conv):
        return "its convolution has no weights yet"
    for what, layer in (("it", norm), ("its convolution", conv)):
        if hooked(layer):
            return f"{what} has a hook, which would be lost"
        if UNKNOWN in computed_parameters(layer).values():
            return f"{what} has a weight or bias that custom code computes"
        if layer in read:
            return f"{what} has parameters that another module reads"
    if overrides_forward(conv, kind) and ("forward" in vars(conv) or not _folds(conv, norm)):
        return "the forward of its convolution is not torch's"
    return ""


def _folds(conv: nn.Module, norm: nn.Module) -> bool:
    """Whether a convolution with a forward of its own, such as timm's `Conv2dSame`, computes the same when folded.

    A forward that standardises its weights doesn't. It is tried on copies, with random numbers.
    """
    sides = [4 * dilation * kernel for dilation, kernel in zip(conv.dilation, conv.kernel_size, strict=True)]
    x = torch.randn(2, conv.in_channels, *sides, generator=torch.Generator().manual_seed(0)).to(conv.weight)
    try:
        folded = copied(conv).eval()
        _fold(folded, norm)
        with evaluating(conv), torch.no_grad():
            scale, shift = (values.view(-1, *[1] * len(sides)) for values in scale_and_shift(norm))
            wanted, got = conv(x) * scale + shift, folded(x)
    except Exception:  # whatever another class's forward raises, it is no convolution of these numbers
        return False
    tolerance = 1e-3 if x.dtype in (torch.float32, torch.float64) else 3e-2
    return got.shape == wanted.shape and bool((got - wanted).abs().max() <= tolerance * wanted.abs().max())


def _fold(conv: nn.Module, norm: nn.Module) -> None:
    make_plain(conv)
    with torch.no_grad():
        scale, shift = scale_and_shift(norm)
        bias = shift if conv.bias is None else conv.bias * scale + shift
        weight = conv.weight * scale.view(-1, *[1] * (conv.weight.ndim - 1))
        has_bias = ("bias" in norm._parameters and norm.bias is not None) or "bias" in computed_parameters(norm)
        owner, name = (conv, "bias") if conv.bias is not None else (norm, "bias") if has_bias else (conv, "weight")
        conv.bias = parameter_like(bias.to(conv.weight.dtype), owner, name)
        conv.weight = parameter_like(weight.to(conv.weight.dtype), conv)
