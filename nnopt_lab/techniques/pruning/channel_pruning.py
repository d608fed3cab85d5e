"""Structured pruning: remove whole filters, so that the tensors themselves become smaller.

A mask leaves a dense kernel as slow as before; a removed filter saves work in its own layer and in every layer that
reads its output. `dependency_graph` finds the channels that must be removed together.
"""

import copy

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.pruning.dependency_graph import Group, channel_groups
from nnopt_lab.techniques.pruning.scores import importance


def group_importance(model: nn.Module, group: Group, norm: int = 1) -> Tensor:
    """Importance of each channel of a group: the norms of its filters, summed over the producers. float [size]."""
    modules = dict(model.named_modules())
    return sum(importance(modules[name].weight, norm, per="filter") for name in group.producers)


def keep_most_important(
    model: nn.Module, example: Tensor, share: float | dict[str, float], *, norm: int = 1, multiple_of: int = 1
) -> dict[str, Tensor]:
    """For each removable group, the channels to keep.

    Args:
        share: part of each group's channels to keep, in (0, 1]; or one for each group by name, where a group that is
            not named is kept whole.
        norm: 1 or 2.
        multiple_of: round the number of channels up to a multiple, which vector units like.

    Returns:
        For each removable group's name the positions to keep: int64, ascending, at least one.

    Raises:
        ValueError: a share is outside (0, 1], or names a group that is not there.
    """
    groups = {g.name: g for g in channel_groups(model, example) if g.removable}
    shares = share if isinstance(share, dict) else dict.fromkeys(groups, share)
    for name, value in shares.items():
        if name not in groups:
            raise ValueError(f"share names {name!r}, which is not a removable group: choose from {', '.join(groups)}.")
        if not 0 < value <= 1:
            raise ValueError(f"share={value} must be above 0 and at most 1.")
    keep = {}
    for name, group in groups.items():
        wanted = -(-round(shares.get(name, 1.0) * group.size) // multiple_of) * multiple_of
        count = min(max(wanted, 1), group.size)
        scores = group_importance(model, group, norm)
        keep[name] = scores.argsort(descending=True, stable=True)[:count].sort().values
    return keep


def zero_channels(model: nn.Module, example: Tensor, keep: dict[str, Tensor]) -> nn.Module:
    """A copy in which every channel that is not kept is zero: filter, bias, and batch norm's scale and shift.

    It computes what `remove_channels` computes, at the full price: the reference that removal is checked against.
    """
    model = copy.deepcopy(model)
    modules = dict(model.named_modules())
    for group, kept in _chosen(model, example, keep):
        gone = torch.ones(group.size, dtype=torch.bool)
        gone[kept] = False
        with torch.no_grad():
            for name in group.producers + group.norms:
                for parameter in (modules[name].weight, modules[name].bias):
                    if parameter is not None:
                        parameter[gone] = 0
    return model


def remove_channels(model: nn.Module, example: Tensor, keep: dict[str, Tensor]) -> nn.Module:
    """A smaller copy of `model` that has only the kept channels.

    It gives the same output as `zero_channels` with the same `keep`, to rounding: nothing is approximated.

    Args:
        model: left as it was; must not carry masks (make them permanent first).
        example: an input, [N, C, H, W].
        keep: for each group's name the positions to keep, from `keep_most_important` or your own choice.

    Raises:
        ValueError: a group is not there or not removable, or a position is out of range.
    """
    model = copy.deepcopy(model)
    modules = dict(model.named_modules())
    for group, kept in _chosen(model, example, keep):
        for name in group.producers:
            _shrink_outputs(modules[name], kept)
        for name in group.norms:
            _shrink_norm(modules[name], kept)
        for name, inputs in group.consumers:
            _shrink_inputs(modules[name], expand_to_inputs(kept, inputs))
    return model


def expand_to_inputs(kept: Tensor, inputs_per_channel: int) -> Tensor:
    """Positions that the kept channels take after a flatten: channel c becomes c·k … c·k + k − 1. int64."""
    return (kept[:, None] * inputs_per_channel + torch.arange(inputs_per_channel)).flatten()


def _chosen(model: nn.Module, example: Tensor, keep: dict[str, Tensor]) -> list[tuple[Group, Tensor]]:
    groups = {g.name: g for g in channel_groups(model, example) if g.removable}
    keep = {name: torch.as_tensor(kept) for name, kept in keep.items()}
    for name, kept in keep.items():
        if name not in groups:
            raise ValueError(f"keep names {name!r}, which is not a removable group: choose from {', '.join(groups)}.")
        size = groups[name].size
        if kept.dtype != torch.int64:
            raise ValueError(f"keep[{name!r}] is {kept.dtype}; it must be int64, the positions that stay.")
        if len(kept) < 1 or kept.min() < 0 or kept.max() >= size or len(kept.unique()) != len(kept):
            raise ValueError(f"keep[{name!r}] must be different positions between 0 and {size - 1}, at least one.")
    return [(groups[name], kept) for name, kept in keep.items()]


def _shrink_outputs(layer: nn.Module, kept: Tensor) -> None:
    layer.weight = nn.Parameter(layer.weight.detach()[kept])
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.detach()[kept])
    if isinstance(layer, nn.Linear):
        layer.out_features = len(kept)
        return
    layer.out_channels = len(kept)
    if layer.groups > 1:  # depthwise: input and output channels are the same group
        layer.in_channels = layer.groups = len(kept)


def _shrink_norm(layer: nn.Module, kept: Tensor) -> None:
    layer.num_features = len(kept)
    for name in ("weight", "bias"):
        if getattr(layer, name) is not None:
            setattr(layer, name, nn.Parameter(getattr(layer, name).detach()[kept]))
    for name in ("running_mean", "running_var"):
        if getattr(layer, name) is not None:
            setattr(layer, name, getattr(layer, name)[kept].clone())


def _shrink_inputs(layer: nn.Module, kept: Tensor) -> None:
    layer.weight = nn.Parameter(layer.weight.detach()[:, kept])
    setattr(layer, "in_features" if isinstance(layer, nn.Linear) else "in_channels", len(kept))
