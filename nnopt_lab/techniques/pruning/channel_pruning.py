"""Structured pruning: remove whole filters, so that the tensors themselves become smaller.

A mask leaves a dense kernel as slow as before; a removed filter saves work in its own layer and in every layer that
reads its output. `dependency_graph` finds the channels that must be removed together.
"""

import math

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from nnopt_lab.techniques.network_checks import copied, first_sentence, parameter_like, replace_module
from nnopt_lab.techniques.norms import is_batch_norm
from nnopt_lab.techniques.pruning.channel_labels import AxisUnits
from nnopt_lab.techniques.pruning.channel_rules import norm_axis
from nnopt_lab.techniques.pruning.dependency_graph import Group, channel_groups
from nnopt_lab.techniques.pruning.narrow_attention import is_attention, narrowed
from nnopt_lab.techniques.pruning.scores import importance
from nnopt_lab.workbench.measure import inference


def group_importance(model: nn.Module, group: Group, norm: int = 1, *, readers: bool = False) -> Tensor:
    """Importance of each unit of a group, float [size]: the norms of its filters, summed over the producers.

    Args:
        model: the network of the group.
        group: one of its `channel_groups`.
        norm: 1 or 2.
        readers: whether to multiply by the same sum over the layers that read the unit, because a large output that is
            read with small weights matters as little as a small one.
    """
    modules = dict(model.named_modules())
    produced = _summed_norms(model, group, [axis for axis in group.axes if axis.produced], norm)
    reading = [axis for axis in group.axes if not axis.produced and axis.tensor.endswith("weight")]
    reading = [axis for axis in reading if getattr(modules[axis.layer], axis.tensor).dim() > 1] if readers else []
    return produced * _summed_norms(model, group, reading, norm) if reading else produced


def _summed_norms(model: nn.Module, group: Group, axes: list[AxisUnits], norm: int) -> Tensor:
    """The norms of each unit's weights along these axes, summed."""
    modules = dict(model.named_modules())
    total = torch.zeros(group.size, device=next(model.parameters()).device)
    for axis in axes:
        weight = getattr(modules[axis.layer], axis.tensor)
        scores = importance(weight.movedim(axis.axis, 0), norm, per="filter")
        units = axis.units.to(scores.device)
        mine = units >= 0
        total = total.to(scores.dtype).index_add(0, units[mine], scores[mine])
    return total


def keep_most_important(
    model: nn.Module,
    example: Tensor,
    share: float | dict[str, float],
    *,
    norm: int = 1,
    readers: bool = False,
    multiple_of: int = 1,
    groups: list[Group] | None = None,
) -> dict[str, Tensor]:
    """Choose the channels to keep in each removable group, by importance.

    Args:
        model, example: as in `channel_groups`.
        share: share of each group's channels to keep, in (0, 1]; or a dict group name → share, in which a missing
            group keeps all its channels.
        norm, readers: as in `group_importance`.
        multiple_of: round the number of channels up to a multiple of this, at least 1, which suits vector units.
        groups: the result of `channel_groups(model, example)`, if it is known; default it is computed.

    Returns:
        For each removable group's name, the positions to keep: int64, ascending, at least one.

    Raises:
        ValueError: a share is outside (0, 1] or for a group that is missing or not removable, `multiple_of` is below
            1, or as in `channel_groups`.
    """
    if multiple_of < 1:
        raise ValueError(f"multiple_of={multiple_of} must be at least 1.")
    found = channel_groups(model, example) if groups is None else groups
    removable = {g.name: g for g in found if g.removable}
    shares = share if isinstance(share, dict) else dict.fromkeys(removable, share)
    for name, value in shares.items():
        _require_removable("share", name, found)
        if not 0 < value <= 1:
            raise ValueError(f"share={value} must be above 0 and at most 1.")
    keep = {}
    for name, group in removable.items():
        wanted = -(-round(shares.get(name, 1.0) * group.size) // multiple_of) * multiple_of
        count = min(max(wanted, 1), group.size)
        scores = group_importance(model, group, norm, readers=readers)
        keep[name] = scores.argsort(descending=True, stable=True)[:count].sort().values
    return keep


def zero_channels(model: nn.Module, example: Tensor, keep: dict[str, Tensor]) -> nn.Module:
    """Return a copy in which every other channel is zero, where it is produced and where it is read.

    Layer norms and RMS norms take their statistics over the kept channels only. The copy computes the same as
    `remove_channels` at the full cost: the reference for checking removal.

    Arguments and errors as in `remove_channels`.
    """
    return _zeroed(model, _chosen(model, example, keep))


def remove_channels(
    model: nn.Module, example: Tensor, keep: dict[str, Tensor], *, groups: list[Group] | None = None
) -> nn.Module:
    """Return a smaller copy of `model` with only the kept channels.

    Its output equals that of `zero_channels` with the same `keep`, up to rounding: nothing is approximated. Frozen
    parameters stay frozen, and each module keeps its mode. Attributes with a number of channels that a forward reads,
    such as `num_heads`, change too. Smaller attention of torch's or torchvision's own classes becomes one of
    `narrow_attention`, with other names of parameters.

    Args:
        model: left unchanged; must not have masks (make them permanent first) or parametrisations.
        example: an input, [N, C, H, W].
        keep: for each group's name, the positions to keep, int64, from `keep_most_important` or your own choice.
        groups: as in `keep_most_important`.

    Raises:
        ValueError: a group is missing or not removable, a position is out of range, the model uses its channels in a
            way that its graph does not show, or as in `channel_groups`.
    """
    chosen = _chosen(model, example, keep, groups)
    small = copied(model)
    modules = dict(small.named_modules())
    positions = _kept_positions(chosen)
    for (layer, name, axis), kept in positions.items():
        _shrink(modules[layer], name, axis, kept)
    changed = dict.fromkeys(layer for layer, _, _ in positions)
    for name in changed:
        _set_sizes(modules[name], model.get_submodule(name))
    for name in [name for name, module in modules.items() if is_attention(module)]:
        if any(each == name or each.startswith(f"{name}.") for each in changed):
            _replace_attention(small, name, model.get_submodule(name))
    _require_same_outputs(_zeroed(model, chosen), copied(small), example)
    return small


def _replace_attention(small: nn.Module, name: str, before: nn.Module) -> None:
    replace_module(small, name, narrowed(small.get_submodule(name), before))
    for module in small.modules():
        if isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False  # only torch's own attention reads nested tensors


def expand_to_inputs(kept: Tensor, inputs_per_channel: int) -> Tensor:
    """Positions of the kept channels after a flatten, int64: channel c becomes c·k … c·k + k − 1."""
    return (kept[:, None] * inputs_per_channel + torch.arange(inputs_per_channel)).flatten()


def _chosen(
    model: nn.Module, example: Tensor, keep: dict[str, Tensor], known: list[Group] | None = None
) -> list[tuple[Group, Tensor]]:
    found = channel_groups(model, example) if known is None else known
    groups = {g.name: g for g in found}
    keep = {name: torch.as_tensor(kept) for name, kept in keep.items()}
    for name, kept in keep.items():
        _require_removable("keep", name, found)
        size = groups[name].size
        if kept.dtype != torch.int64:
            raise ValueError(f"keep[{name!r}] is {kept.dtype}; it must be int64, the positions to keep.")
        if len(kept) < 1 or kept.min() < 0 or kept.max() >= size or len(kept.unique()) != len(kept):
            raise ValueError(f"keep[{name!r}] must be at least one position from 0 to {size - 1}, without repetition.")
    return [(groups[name], kept) for name, kept in keep.items()]


def _require_removable(argument: str, name: str, groups: list[Group]) -> None:
    for group in groups:
        if group.name == name and group.reason:
            raise ValueError(f"{argument} names {name!r}, whose channels can't be removed: {group.reason}.")
    removable = [group.name for group in groups if group.removable]
    if name not in removable:
        choice = ", ".join(removable) or "none"
        raise ValueError(f"{argument} names {name!r}, which is not a removable group: choose from {choice}.")


def _kept_positions(chosen: list[tuple[Group, Tensor]]) -> dict[tuple[str, str, int], Tensor]:
    """For each axis of a parameter or buffer (layer, name, axis), the positions that stay, int64 in ascending order."""
    masks = {}
    for group, kept in chosen:
        stays = torch.zeros(group.size + 1, dtype=torch.bool)
        stays[kept.cpu()] = True
        stays[-1] = True  # for −1, the channels of other groups
        for axis in group.axes:
            key = (axis.layer, axis.tensor, axis.axis)
            masks[key] = masks.get(key, torch.ones(len(axis.units), dtype=torch.bool)) & stays[axis.units]
    return {key: mask.nonzero().flatten() for key, mask in masks.items()}


def _zeroed(model: nn.Module, chosen: list[tuple[Group, Tensor]]) -> nn.Module:
    model = copied(model)
    modules = dict(model.named_modules())
    for (layer, name, axis), kept in _kept_positions(chosen).items():
        tensor = getattr(modules[layer], name, None)
        if isinstance(tensor, nn.Parameter):
            gone = torch.ones(tensor.shape[axis], dtype=torch.bool)
            gone[kept] = False
            with torch.no_grad():
                tensor[(slice(None),) * axis + (gone,)] = 0
        if isinstance(modules[layer], nn.LayerNorm | nn.RMSNorm) and name == "normalized_shape":
            model = replace_module(model, layer, _NormOverKept(modules[layer], kept))
    return model


class _NormOverKept(nn.Module):
    """A layer norm or RMS norm whose statistics leave out the removed channels."""

    eps = math.nan  # differs from any number: torch's fused encoder layer would read the weights of its norms

    def __init__(self, norm: nn.LayerNorm | nn.RMSNorm, kept: Tensor):
        super().__init__()
        self.norm, self.axis = copied(norm), norm_axis(norm)
        self.register_buffer("kept", kept if norm.weight is None else kept.to(norm.weight.device))
        self.norm.normalized_shape = (len(kept),)
        for name in ("weight", "bias"):
            if getattr(norm, name, None) is not None:
                _shrink(self.norm, name, 0, kept)

    def forward(self, x: Tensor) -> Tensor:
        result = torch.zeros_like(x)
        return result.index_copy(self.axis, self.kept, self.norm(x.index_select(self.axis, self.kept)))


def _require_same_outputs(zeroed: nn.Module, small: nn.Module, example: Tensor) -> None:
    """Check for effects that the graph does not show: hooks, and attributes that store a number of channels."""
    try:
        with inference(zeroed, small):
            wanted, got = _pytree.tree_leaves(zeroed(example)), _pytree.tree_leaves(small(example))
            again = _pytree.tree_leaves(zeroed(example))
    except Exception as error:
        reason = f"{type(error).__name__}: {first_sentence(error)}"
        raise ValueError(f"model does not run with fewer channels ({reason}): other code depends on them.") from error
    # A model that differs from itself is random, so there is nothing to compare.
    if _same(wanted, again) and not _same(wanted, got):
        raise ValueError("model changes its output with fewer channels: a hook or an attribute depends on them.")


def _same(wanted: list, got: list) -> bool:
    def agree(a, b) -> bool:
        if not isinstance(a, Tensor):
            return a == b
        if a.shape != b.shape or not a.is_floating_point():
            return a.shape == b.shape  # an argmax may flip by rounding
        tolerance = max(1e-4, 20 * torch.finfo(a.dtype).eps) * max(1.0, a.abs().nan_to_num(0, 0, 0).max().item())
        return torch.allclose(a, b, rtol=0, atol=tolerance, equal_nan=True)

    return len(wanted) == len(got) and all(agree(a, b) for a, b in zip(wanted, got, strict=True))


def _shrink(layer: nn.Module, name: str, axis: int, kept: Tensor) -> None:
    tensor = getattr(layer, name, None)
    if not isinstance(tensor, Tensor):  # an attribute with the number of channels
        setattr(layer, name, (len(kept),) if isinstance(tensor, tuple) else len(kept))
        return
    smaller = tensor.index_select(axis, kept.to(tensor.device))
    setattr(layer, name, parameter_like(smaller, layer, name) if isinstance(tensor, nn.Parameter) else smaller.clone())


def _set_sizes(layer: nn.Module, before: nn.Module) -> None:
    """Set the sizes that a layer stores to those of its smaller weight; `before` is the layer in its old size."""
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, nn.modules.conv._ConvTransposeNd):
        layer.in_channels, layer.out_channels = len(layer.weight), layer.weight.shape[1] * layer.groups
    elif isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        layer.out_channels = len(layer.weight)
        if before.groups == before.in_channels > 1:  # depthwise: input and output channels are the same group
            layer.groups = layer.out_channels * before.groups // before.out_channels
        layer.in_channels = layer.weight.shape[1] * layer.groups
    elif isinstance(layer, nn.GroupNorm):
        layer.num_channels = before.num_channels * layer.num_groups // before.num_groups
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = len(layer.weight)
    elif is_batch_norm(layer):
        sizes = [tensor for tensor in (layer.weight, layer.running_mean) if tensor is not None]
        layer.num_features = len(sizes[0]) if sizes else layer.num_features
