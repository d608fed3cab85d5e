"""Structured pruning: remove whole filters, so that the tensors themselves become smaller.

A mask leaves a dense kernel as slow as before; a removed filter saves work in its own layer and in every layer that
reads its output. `dependency_graph` finds the channels that must be removed together.
"""

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from nnopt_lab.techniques.network_checks import copied, first_sentence, parameter_like
from nnopt_lab.techniques.pruning.dependency_graph import Group, channel_groups
from nnopt_lab.techniques.pruning.scores import importance
from nnopt_lab.workbench.measure import inference


def group_importance(model: nn.Module, group: Group, norm: int = 1) -> Tensor:
    """Importance of each channel of a group, float [size]: the norms of its filters, summed over the producers."""
    modules = dict(model.named_modules())
    return sum(importance(modules[name].weight, norm, per="filter") for name in group.producers)


def keep_most_important(
    model: nn.Module, example: Tensor, share: float | dict[str, float], *, norm: int = 1, multiple_of: int = 1
) -> dict[str, Tensor]:
    """Choose the channels to keep in each removable group, by importance.

    Args:
        model, example: as in `channel_groups`.
        share: share of each group's channels to keep, in (0, 1]; or a dict group name → share, in which a missing
            group keeps all its channels.
        norm: 1 or 2.
        multiple_of: round the number of channels up to a multiple of this, at least 1, which suits vector units.

    Returns:
        For each removable group's name, the positions to keep: int64, ascending, at least one.

    Raises:
        ValueError: a share is outside (0, 1] or for a group that is missing or not removable, `multiple_of` is below
            1, or as in `channel_groups`.
    """
    if multiple_of < 1:
        raise ValueError(f"multiple_of={multiple_of} must be at least 1.")
    found = channel_groups(model, example)
    groups = {g.name: g for g in found if g.removable}
    shares = share if isinstance(share, dict) else dict.fromkeys(groups, share)
    for name, value in shares.items():
        _require_removable("share", name, found)
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
    """Return a copy in which every other channel is zero: filter, bias, and batch norm's scale and shift.

    It computes the same as `remove_channels` at the full cost: the reference for checking removal.

    Arguments and errors as in `remove_channels`.
    """
    return _zeroed(model, _chosen(model, example, keep))


def remove_channels(model: nn.Module, example: Tensor, keep: dict[str, Tensor]) -> nn.Module:
    """Return a smaller copy of `model` with only the kept channels.

    Its output equals that of `zero_channels` with the same `keep`, up to rounding: nothing is approximated. Frozen
    parameters stay frozen, and each module keeps its mode.

    Args:
        model: left unchanged; must not have masks (make them permanent first) or parametrisations.
        example: an input, [N, C, H, W].
        keep: for each group's name, the positions to keep, int64, from `keep_most_important` or your own choice.

    Raises:
        ValueError: a group is missing or not removable, a position is out of range, the model uses its channels in a
            way that its graph does not show, or as in `channel_groups`.
    """
    chosen = _chosen(model, example, keep)
    small = copied(model)
    modules = dict(small.named_modules())
    for group, kept in chosen:
        for name in group.producers:
            _shrink_outputs(modules[name], kept)
        for name in group.norms:
            _shrink_norm(modules[name], kept)
        for name, inputs in group.consumers:
            _shrink_inputs(modules[name], expand_to_inputs(kept, inputs))
    _require_same_outputs(_zeroed(model, chosen), copied(small), example)
    return small


def expand_to_inputs(kept: Tensor, inputs_per_channel: int) -> Tensor:
    """Positions of the kept channels after a flatten, int64: channel c becomes c·k … c·k + k − 1."""
    return (kept[:, None] * inputs_per_channel + torch.arange(inputs_per_channel)).flatten()


def _chosen(model: nn.Module, example: Tensor, keep: dict[str, Tensor]) -> list[tuple[Group, Tensor]]:
    found = channel_groups(model, example)
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


def _zeroed(model: nn.Module, chosen: list[tuple[Group, Tensor]]) -> nn.Module:
    model = copied(model)
    modules = dict(model.named_modules())
    for group, kept in chosen:
        gone = torch.ones(group.size, dtype=torch.bool)
        gone[kept] = False
        with torch.no_grad():
            for name in group.producers + group.norms:
                for parameter in (modules[name].weight, modules[name].bias):
                    if parameter is not None:
                        parameter[gone] = 0
    return model


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


def _shrink_outputs(layer: nn.Module, kept: Tensor) -> None:
    _shrink_parameters(layer, kept)
    if isinstance(layer, nn.Linear):
        layer.out_features = len(kept)
        return
    layer.out_channels = len(kept)
    if layer.groups > 1:  # depthwise: input and output channels are the same group
        layer.in_channels = layer.groups = len(kept)


def _shrink_norm(layer: nn.Module, kept: Tensor) -> None:
    layer.num_features = len(kept)
    _shrink_parameters(layer, kept)
    for name in ("running_mean", "running_var"):
        if getattr(layer, name) is not None:
            setattr(layer, name, getattr(layer, name)[kept].clone())


def _shrink_parameters(layer: nn.Module, kept: Tensor) -> None:
    for name in ("weight", "bias"):
        if getattr(layer, name) is not None:
            setattr(layer, name, parameter_like(getattr(layer, name)[kept], layer, name))


def _shrink_inputs(layer: nn.Module, kept: Tensor) -> None:
    layer.weight = parameter_like(layer.weight[:, kept], layer)
    setattr(layer, "in_features" if isinstance(layer, nn.Linear) else "in_channels", len(kept))
