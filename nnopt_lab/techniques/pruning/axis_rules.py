"""How operators that move, join, split, and contract axes map channels: rules for `channel_rules`."""

import math
import operator

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional as F

from nnopt_lab.techniques.pruning.channel_labels import Axes, Call
from nnopt_lab.techniques.pruning.channel_rules import elementwise, function_rule, module_rule, together
from nnopt_lab.techniques.pruning.size_attributes import SizeAttribute, places_in

RESHAPES = ("view", "reshape", torch.reshape, "unflatten", torch.unflatten, "split", torch.split)
"""Operators that may be given numbers of channels."""

# Concatenation and parts


@function_rule(torch.cat, torch.concat, torch.concatenate)
def _concatenation(call: Call) -> Axes:
    rank = call.result.ndim
    dim = call.argument(1, "dim", "axis", default=0) % rank
    parts = [axes[dim] for axes in call.inputs]
    result = elementwise(_without(call, dim))
    if any(part is not None for part in parts):
        fixed = [
            _fixed(call, value.shape[dim]) if p is None else p for p, value in zip(parts, call.values, strict=True)
        ]
        result[dim] = np.concatenate(fixed)
    return result


def _without(call: Call, dim: int) -> Call:
    """The call as if all tensors had size 1 along an axis."""
    one = [value.narrow(dim, 0, 1) for value in call.values]
    axes = [[None if axis == dim else labels for axis, labels in enumerate(axes)] for axes in call.inputs]
    return Call(call.labels, call.node, axes, one, call.result.narrow(dim, 0, 1), call.layer, call.counts)


def _fixed(call: Call, size: int) -> np.ndarray:
    labels = call.labels.new(size)
    call.freeze(labels, why="a tensor of fixed size meets channels")
    return labels


@function_rule("torchvision.models.swin_transformer._patch_merging_pad")
def _patch_merging(call: Call) -> Axes:
    """Swin's merging of 2×2 pixels: four tensors with the same channels, concatenated along the last axis."""
    *others, labels = call.inputs[0]
    call.freeze(*others[1:], why="channels lie along the pixels")
    return [others[0], *[None] * (len(others) - 1), None if labels is None else np.tile(labels, 4)]


@function_rule(torch.stack)
def _stack(call: Call) -> Axes:
    dim = call.argument(1, "dim", default=0) % call.result.ndim
    result = elementwise(_unstacked(call, dim))
    return [*result[:dim], None, *result[dim:]]


def _unstacked(call: Call, dim: int) -> Call:
    return Call(call.labels, call.node, call.inputs, call.values, call.result.select(dim, 0), call.layer, call.counts)


@function_rule(torch.chunk, "chunk", torch.split, "split", torch.tensor_split, "tensor_split")
def _parts(call: Call) -> list[Axes]:
    dim = call.argument(2, "dim", default=0) % call.values[0].ndim
    axes, part = call.inputs[0], call.inputs[0][dim]
    sizes = [each.shape[dim] for each in call.result]
    rows: list[np.ndarray | None] = [None] * len(sizes)
    if part is not None:
        rows = np.split(part, np.cumsum(sizes)[:-1])
        if not _sizes_follow(call, rows):
            call.freeze(part, why="the sizes of parts are written out")
            rows = [None] * len(sizes)
    return [[row if axis == dim else labels for axis, labels in enumerate(axes)] for row in rows]


def _sizes_follow(call: Call, rows: list[np.ndarray]) -> bool:
    """Whether the sizes of the parts change with their channels; equal parts keep equal sizes."""
    given = call.argument(1, "split_size_or_sections", "split_size", "chunks", "indices_or_sections", "sections")
    if getattr(call.node.target, "__name__", call.node.target) in ("chunk", "tensor_split"):
        follows = isinstance(given, int) and len({len(row) for row in rows}) == 1 and len(rows) == given
    elif isinstance(given, list | tuple):
        return all(_size_follows(call, size, row) for size, row in zip(given, rows, strict=True))
    else:
        follows = len({len(row) for row in rows}) == 1 and _size_follows(call, given, rows[0])
    if follows:
        together(call, np.stack(rows))
    return follows


def _size_follows(call: Call, size: object, labels: np.ndarray) -> bool:
    if isinstance(size, fx.Node):
        counted = call.counts.get(size, [])
        return bool(counted) and all(call.labels.groups_of(c) == call.labels.groups_of(labels) for c in counted)
    return _bind_attributes(call, size, [labels]) > 0


def _bind_attributes(call: Call, size: object, axes: list[np.ndarray]) -> int:
    """Let the attributes that a size is computed from shrink with the axes that they count; returns how many do."""
    free, bound = list(axes), 0
    for layer, attribute, value in places_in(size):
        known = call.labels.bound.get((layer, attribute, 0))
        fitting = [labels for labels in free if len(labels) == value]
        if not fitting:
            call.labels.bind(layer, attribute, 0, frozen := call.labels.new(value))
            call.freeze(frozen, why=f"{attribute!r} counts other channels too")
            continue
        units = None if known is None else [call.labels.units(label) for label in known.tolist()]
        mine = next((f for f in fitting if [call.labels.units(label) for label in f.tolist()] == units), fitting[0])
        call.labels.bind(layer, attribute, 0, mine)
        free = [labels for labels in free if labels is not mine]
        bound += 1
    return bound


@function_rule(torch.unbind, "unbind")
def _unbind(call: Call) -> list[Axes]:
    axes = call.inputs[0]
    dim = call.argument(1, "dim", default=0) % len(axes)
    call.freeze(axes[dim], why="channels are picked by their numbers")
    return [[*axes[:dim], *axes[dim + 1 :]] for _ in call.result]


@function_rule(torch.narrow, "narrow", torch.select, "select")
def _part(call: Call) -> Axes:
    axes = call.inputs[0]
    dim = call.argument(1, "dim") % len(axes)
    call.freeze(axes[dim], why="channels are picked by their numbers")
    kept = [None] if call.result.ndim == len(axes) else []
    return [*axes[:dim], *kept, *axes[dim + 1 :]]


@module_rule(nn.ChannelShuffle)
@function_rule(F.channel_shuffle)
def _shuffle(call: Call) -> Axes:
    batch, labels, *pixels = call.inputs[0]
    groups = call.argument(1, "groups") if call.layer is None else call.layer.groups
    if labels is not None:
        first = together(call, labels.reshape(groups, -1))
        labels = np.repeat(first, groups)
    return [batch, labels, *pixels]


@module_rule(nn.PixelShuffle)
@function_rule(F.pixel_shuffle)
def _pixel_shuffle(call: Call) -> Axes:
    """Channel c of the result comes from the r² channels from c·r² on, which stay together."""
    factor = call.argument(1, "upscale_factor") if call.layer is None else call.layer.upscale_factor
    *others, labels, height, width = call.inputs[0]
    call.freeze(height, width, why="channels lie along the pixels")
    if labels is not None:
        labels = together(call, labels.reshape(-1, factor**2).T)
    return [*others, labels, None, None]


@module_rule(nn.PixelUnshuffle)
@function_rule(F.pixel_unshuffle)
def _pixel_unshuffle(call: Call) -> Axes:
    factor = call.argument(1, "downscale_factor") if call.layer is None else call.layer.downscale_factor
    *others, labels, height, width = call.inputs[0]
    call.freeze(height, width, why="channels lie along the pixels")
    return [*others, None if labels is None else np.repeat(labels, factor**2), None, None]


@function_rule(operator.getitem, "__getitem__")
def _indexing(call: Call) -> Axes:
    index = call.node.args[1]
    index = list(index) if isinstance(index, tuple) else [index]
    if not all(i is None or i is Ellipsis or isinstance(i, int | slice) for i in index):
        return call.freeze_inputs()
    if Ellipsis in index:
        place = index.index(Ellipsis)
        rank = call.values[0].ndim - sum(i is not None for i in index) + 1
        index[place : place + 1] = [slice(None)] * rank
    axes, result = iter(call.inputs[0]), []
    for i in index:
        if i is None:
            result.append(None)
            continue
        labels = next(axes)
        whole = i == slice(None)
        if not whole:
            call.freeze(labels, why="channels are picked by their numbers")
        if not isinstance(i, int):
            result.append(labels if whole else None)
    return [*result, *axes]


# Axes


@function_rule(torch.permute, "permute")
def _permutation(call: Call) -> Axes:
    dims = call.argument(1, "dims")
    dims = dims if isinstance(dims, list | tuple) else call.node.args[1:]
    return [call.inputs[0][dim] for dim in dims]


@function_rule(torch.transpose, "transpose", torch.swapaxes, "swapaxes", torch.swapdims, "swapdims")
def _transposition(call: Call) -> Axes:
    axes = list(call.inputs[0])
    a, b = call.argument(1, "dim0", "axis0"), call.argument(2, "dim1", "axis1")
    axes[a], axes[b] = axes[b], axes[a]
    return axes


@function_rule("t", torch.t)
def _turned(call: Call) -> Axes:
    return call.inputs[0][::-1]


@function_rule(torch.movedim, "movedim", torch.moveaxis, "moveaxis")
def _moved(call: Call) -> Axes:
    source, target = call.argument(1, "source"), call.argument(2, "destination")
    # The shape of a meta tensor whose axis n has size n shows where each axis went.
    sizes = torch.empty(list(range(call.result.ndim)), device="meta").movedim(source, target).shape
    return [call.inputs[0][size] for size in sizes]


@function_rule("expand", "expand_as", torch.broadcast_to)
def _expanded(call: Call) -> Axes:
    """Axes that keep their size keep their labels; those that are repeated have none."""
    (axes, *_), value, result = call.inputs, call.values[0], call.result
    first = result.ndim - value.ndim
    sizes = call.argument(1, "size", "sizes")
    sizes = list(sizes) if isinstance(sizes, list | tuple) else list(call.node.args[1:])
    kept: Axes = [None] * result.ndim
    for axis, labels in enumerate(axes):
        same = value.shape[axis] == result.shape[first + axis]
        if labels is not None and same and len(sizes) == result.ndim and sizes[first + axis] == -1:
            kept[first + axis] = labels
        else:
            call.freeze(labels, why="channels are repeated")
    if len(call.inputs) > 1:
        call.freeze(*call.inputs[1], why="channels are repeated")
    return kept


@function_rule(torch.mean, "mean", torch.sum, "sum", torch.amax, "amax", torch.amin, "amin")
def _reduction(call: Call) -> Axes:
    axes = call.inputs[0]
    dims = call.argument(1, "dim", "axis")
    dims = [dims] if isinstance(dims, int) else list(dims or range(len(axes)))
    gone = {dim % len(axes) for dim in dims}
    call.freeze(*(axes[dim] for dim in gone), why="a reduction over channels")
    if call.result.ndim == len(axes):
        return [None if dim in gone else labels for dim, labels in enumerate(axes)]
    return [labels for dim, labels in enumerate(axes) if dim not in gone]


@module_rule(nn.Softmax, nn.LogSoftmax)
@function_rule(F.softmax, torch.softmax, "softmax", F.log_softmax, torch.log_softmax, "log_softmax")
def _softmax(call: Call) -> Axes:
    axes = list(call.inputs[0])
    dim = call.argument(1, "dim") if call.layer is None else call.layer.dim
    if dim is None:
        return call.freeze_inputs()
    call.freeze(axes[dim], why="a softmax over channels")
    axes[dim] = None
    return axes


@function_rule(F.normalize)
def _normalisation(call: Call) -> Axes:
    """Zeros add nothing to a norm."""
    axes = list(call.inputs[0])
    dim = call.argument(2, "dim", default=1)
    if isinstance(dim, int) and call.zeros[0]:
        return axes
    return call.freeze_inputs("channels that need not be 0 are normalised")


# Shapes


@module_rule(nn.Flatten)
@function_rule(torch.flatten, "flatten", torch.squeeze, "squeeze", torch.unsqueeze, "unsqueeze")
def _flatten(call: Call) -> Axes:
    return _reshaped(call, [-1] * call.result.ndim)


@function_rule(torch.reshape, "view", "reshape")
def _reshape(call: Call) -> Axes:
    sizes = call.argument(1, "shape", "size")
    sizes = sizes if isinstance(sizes, list | tuple) else call.node.args[1:]
    if len(sizes) != call.result.ndim:  # a dtype, or the shape of another tensor
        call.freeze_counts()
        return call.freeze_inputs()
    return _reshaped(call, list(sizes))


@module_rule(nn.Unflatten)
@function_rule(torch.unflatten, "unflatten")
def _unflatten(call: Call) -> Axes:
    if call.layer is None:
        dim, sizes = call.argument(1, "dim"), call.argument(2, "sizes")
    else:
        dim, sizes = call.layer.dim, call.layer.unflattened_size
    rank = call.values[0].ndim
    if not isinstance(dim, int):
        return call.freeze_inputs()
    return _reshaped(call, [*[-1] * (dim % rank), *sizes, *[-1] * (rank - dim % rank - 1)])


def _reshaped(call: Call, sizes: list) -> Axes:
    """Factor or join axes; `sizes` are the arguments: numbers, −1, attributes, or nodes that compute a size."""
    axes, before, after = call.inputs[0], list(call.values[0].shape), list(call.result.shape)
    result: Axes = [None] * len(after)
    for old, new in _blocks(before, after):
        found = [axis for axis in old if axes[axis] is not None]
        if not found or not new:
            continue
        shape = [before[axis] if axis in found else 1 for axis in old]
        joined = call.labels.join([axes[axis] for axis in found]).reshape(shape)
        flat = np.broadcast_to(joined, [before[axis] for axis in old]).reshape(-1)
        free = _free(call, sizes, after, new)
        if not free:
            call.freeze(flat, why="the number of channels is written out")
            continue
        _factor(call, flat, after, new, free, result)
        _follow_sizes(call, sizes, new, result, [axes[axis] for axis in found])
    for axis, size in enumerate(sizes):
        if result[axis] is None:
            _bind_attributes(call, size, [])
        _require_own_count(call, size, result[axis])
    return result


def _free(call: Call, sizes: list, after: list[int], new: list[int]) -> list[int]:
    """The axes of a reshape's result whose sizes may change."""
    free = [
        axis for axis in new if (isinstance(sizes[axis], int) and sizes[axis] == -1) or _may_change(call, sizes[axis])
    ]
    return [axis for axis in free if after[axis] > 1] or free[:1]


def _may_change(call: Call, size: object) -> bool:
    # The number of groups of a shuffle is rather an architecture's choice than a number of channels.
    attributes = [attribute for _, attribute, _ in places_in(size) if "group" not in attribute]
    return bool(attributes) or (isinstance(size, fx.Node) and bool(call.counts.get(size)))


def _factor(call: Call, flat: np.ndarray, after: list[int], new: list[int], free: list[int], result: Axes) -> None:
    """Arrange the labels along the free axes; what differs only along the others stays together."""
    if len(new) == 1:
        result[new[0]] = flat
        return
    places = [new.index(axis) for axis in free]
    rows = np.moveaxis(flat.reshape([after[axis] for axis in new]), places, range(-len(free), 0))
    row = together(call, rows.reshape(-1, math.prod(after[axis] for axis in free)))
    if len(free) == 1:
        result[free[0]] = row
        return
    names = ("heads", "width") if len(free) == 2 else [f"axis {n}" for n in range(len(free))]
    for axis, name in zip(free, names, strict=True):
        result[axis] = call.labels.new(after[axis], part=name)
    call.labels.unite(call.labels.join([result[axis] for axis in free]), row)


def _follow_sizes(call: Call, sizes: list, new: list[int], result: Axes, read: Axes) -> None:
    """Attributes shrink with the axes that they count, and counted channels with those of an equal number."""
    made = [result[axis] for axis in new if result[axis] is not None]
    whole = [*made, call.labels.join(made)] if len(made) > 1 else made
    for axis in new:
        size, mine = sizes[axis], result[axis]
        if mine is not None:
            own = isinstance(size, SizeAttribute) and len(size.places) == 1
            _bind_attributes(call, size, [mine] if own else [*made, *read])
        for counted in call.counts.get(size, []) if isinstance(size, fx.Node) else []:
            if not any(call.labels.groups_of(counted) == call.labels.groups_of(labels) for labels in whole):
                equal = next((labels for labels in whole if len(labels) == len(counted)), None)
                if equal is not None:
                    call.labels.unite(counted, equal)


def _require_own_count(call: Call, size: object, labels: np.ndarray | None) -> None:
    """A size of other channels would change without those of its axis."""
    for counted in call.counts.get(size, []) if isinstance(size, fx.Node) else []:
        mine, other = (call.labels.groups_of(each) for each in (labels, counted))
        if not all(group in other for group in mine) or not mine:
            call.freeze(labels, why="channels are counted elsewhere")
            call.freeze_counts()


def _blocks(before: list[int], after: list[int]) -> list[tuple[list[int], list[int]]]:
    """The smallest runs of axes, before and after a reshape, with equal numbers of elements."""
    blocks, i, j = [], 0, 0
    while i < len(before) and j < len(after):
        old, new = [i], [j]
        i, j = i + 1, j + 1
        while (p := math.prod(before[k] for k in old)) != (q := math.prod(after[k] for k in new)):
            if p < q and i < len(before):
                old.append(i)
                i += 1
            elif j < len(after):
                new.append(j)
                j += 1
            else:
                return blocks
        # Axes of one element belong to the block before them where the other side has no such axis.
        while i < len(before) and before[i] == 1 and (j >= len(after) or after[j] != 1):
            old.append(i)
            i += 1
        while j < len(after) and after[j] == 1 and (i >= len(before) or before[i] != 1):
            new.append(j)
            j += 1
        blocks.append((old, new))
    return blocks


# Products of matrices


@function_rule(torch.einsum)
def _einsum(call: Call) -> Axes:
    equation = call.node.args[0]
    if not isinstance(equation, str) or "." in equation or len(call.node.args) != 1 + len(call.inputs):
        return call.freeze_inputs()
    left, arrow, right = equation.replace(" ", "").partition("->")
    if not arrow:
        return call.freeze_inputs("the result's axes are not written out")
    return contract(call, left.split(","), right)


@function_rule(torch.matmul, operator.matmul, "matmul", torch.bmm, "bmm")
def _matmul(call: Call) -> Axes:
    ranks = [value.ndim for value in call.values]
    if len(ranks) != 2 or min(ranks) < 2 or call.node.target == "__rmatmul__":
        return call.freeze_inputs()
    shared = "abcdefghij"[: max(ranks) - 2]
    names = ["".join(shared[len(shared) - rank + 2 :]) for rank in ranks]
    return contract(call, [names[0] + "xy", names[1] + "yz"], shared + "xz")


def contract(call: Call, operands: list[str], result: str) -> Axes:
    """Axes with the same letter stay together; those that are summed over must be 0 where channels are removed."""
    sizes = {}
    for letters, value in zip(operands, call.values, strict=True):
        for letter, size in zip(letters, value.shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    found: dict[str, np.ndarray | None] = {}
    for letter, size in sizes.items():
        mine = [
            (axes[letters.index(letter)], value.shape[letters.index(letter)])
            for letters, axes, value in zip(operands, call.inputs, call.values, strict=True)
            if letter in letters
        ]
        found[letter] = _common(call, mine, size)
        if letter not in result and found[letter] is not None:
            readers = [zero for letters, zero in zip(operands, call.zeros, strict=True) if letter in letters]
            if not any(readers):
                call.freeze(found[letter], why="a product sums over channels that need not be 0")
    return [found[letter] for letter in result]


def _common(call: Call, axes: list[tuple[np.ndarray | None, int]], size: int) -> np.ndarray | None:
    """The labels of an axis that several tensors have, or None if one of them has a fixed size there."""
    fixed = any(labels is None and mine > 1 for labels, mine in axes) or any(mine != size for _, mine in axes)
    labelled = [labels for labels, mine in axes if labels is not None and mine == size]
    if fixed:
        call.freeze(*(labels for labels, _ in axes), why="a tensor of fixed size meets channels")
        return None
    if not labelled:
        return None
    return together(call, np.stack(labelled))
