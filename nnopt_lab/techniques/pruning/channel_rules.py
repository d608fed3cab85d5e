"""How operators map channels: one small rule per operator, and a registry for your own.

A rule gets a `Call` and returns the labels of its result, a list with one entry per axis (see `channel_labels`). An
operator without a rule keeps all channels that it reads.
"""

import math
import operator
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from nnopt_lab.techniques.norms import is_batch_norm, steps_after
from nnopt_lab.techniques.pruning.channel_labels import Axes, Call

Rule = Callable[[Call], Axes]
_MODULES: dict[type[nn.Module], Rule] = {}
_FUNCTIONS: dict[object, Rule] = {}


def module_rule(*kinds: type[nn.Module]) -> Callable[[Rule], Rule]:
    """Register a rule for classes of modules, as a decorator; a later rule for the same class replaces the earlier.

    A registered class is followed as a whole: its forward is not looked into. Its subclasses need their own rule,
    unless they are torch's.

    Raises:
        ValueError: a kind is not a class of modules.
    """
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
            raise ValueError(f"kinds contains {kind!r}; it must contain subclasses of nn.Module.")
    return _registered(_MODULES, kinds)


def function_rule(*targets: Callable | str) -> Callable[[Rule], Rule]:
    """Register a rule for functions (`torch.cat`) and methods of tensors, by name (`"view"`), as a decorator.

    Raises:
        ValueError: a target is neither a function nor a name.
    """
    for target in targets:
        if not (callable(target) or isinstance(target, str)):
            raise ValueError(f"targets contains {target!r}; it must contain functions or names of methods.")
    return _registered(_FUNCTIONS, targets)


def _registered(registry: dict, keys: tuple) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        registry.update(dict.fromkeys(keys, rule))
        return rule

    return register


def is_followed_whole(module: nn.Module) -> bool:
    """Whether a rule exists for a module of this class, so that its forward is not looked into."""
    return type(module) in _MODULES or _is_channels_first_norm(module) or is_batch_norm(module)


def rule_for(node: fx.Node, layer: nn.Module | None) -> Rule | None:
    """The rule for a call, None if there is none."""
    if layer is None:
        if _is_identity(node):
            return channelwise
        return _FUNCTIONS.get(node.target)
    if _is_channels_first_norm(layer):
        return _layer_norm
    if is_batch_norm(layer):
        return _batch_norm
    return next((_MODULES[kind] for kind in type(layer).__mro__ if kind in _MODULES), None)


def _is_identity(node: fx.Node) -> bool:
    """Whether a node is stochastic depth outside training (Huang et al. 2016, https://arxiv.org/abs/1603.09382)."""
    training = node.args[3] if len(node.args) > 3 else node.kwargs.get("training", True)
    # Compared by name: importing torchvision takes long, and a network without it needs none.
    return getattr(node.target, "__name__", "") == "stochastic_depth" and training is False


# Functions of each element


@module_rule(
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Mish, nn.ELU, nn.SELU, nn.CELU, nn.Softplus, nn.Hardswish,
    nn.Hardtanh, nn.Tanh, nn.Sigmoid, nn.Hardsigmoid, nn.LogSigmoid, nn.Identity, nn.Dropout, nn.Dropout1d,
    nn.Dropout2d,
)  # fmt: skip
@function_rule(
    F.relu, torch.relu, F.relu6, F.leaky_relu, F.gelu, F.silu, F.mish, F.elu, F.selu, F.softplus, F.hardswish,
    F.hardtanh, F.tanh, torch.tanh, F.sigmoid, F.hardsigmoid, torch.sigmoid, F.dropout, F.dropout2d, torch.abs,
    torch.exp, torch.sqrt, torch.clamp, torch.neg, operator.neg, "relu", "relu_", "tanh", "sigmoid", "contiguous",
    "clone", "detach", "abs", "exp", "sqrt", "clamp", "float", "neg",
)  # fmt: skip
def channelwise(call: Call) -> Axes:
    """The result has the labels of the first tensor, axis by axis."""
    if len(call.inputs) != 1 or call.result.shape != call.values[0].shape:
        call.freeze()
        return [None] * call.result.ndim
    return call.inputs[0]


@module_rule(
    nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d, nn.Upsample, nn.ZeroPad2d,
)  # fmt: skip
@function_rule(
    F.max_pool2d, torch.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d, F.max_pool1d,
    F.avg_pool1d, F.adaptive_avg_pool1d, F.interpolate,
)  # fmt: skip
def pool(call: Call) -> Axes:
    """Axes 0 and 1 keep their labels; those of the pixels can't shrink."""
    if call.result.ndim != call.values[0].ndim or call.result.ndim < 3:
        call.freeze()
        return [None] * call.result.ndim
    for labels in call.inputs[0][2:]:
        call.freeze(labels, "channels lie along the pixels") if labels is not None else None
    return [*call.inputs[0][:2], *[None] * (call.result.ndim - 2)]


@function_rule(
    operator.add, operator.iadd, torch.add, "add", "add_", operator.sub, operator.isub, torch.sub, "sub", "sub_",
    operator.mul, operator.imul, torch.mul, "mul", "mul_", operator.truediv, operator.itruediv, torch.div, "div",
    "div_", operator.pow, torch.pow, "pow", torch.maximum, torch.minimum,
)  # fmt: skip
def elementwise(call: Call) -> Axes:
    """Channels at the same position stay together; an axis of size 1 is repeated."""
    result: Axes = [None] * call.result.ndim
    for axes, value in zip(call.inputs, call.values, strict=True):
        first = call.result.ndim - value.ndim
        for axis, labels in enumerate(axes):
            if value.shape[axis] == 1 < call.result.shape[first + axis]:
                call.freeze(labels, "one channel is repeated") if labels is not None else None
            elif labels is not None:
                if result[first + axis] is None:
                    result[first + axis] = labels
                call.labels.unite(result[first + axis], labels)
    for axes, value in zip(call.inputs, call.values, strict=True):
        for axis in range(value.ndim):
            labels = result[call.result.ndim - value.ndim + axis]
            if labels is not None and axes[axis] is None and value.shape[axis] > 1:
                call.freeze(labels, "a tensor of fixed size meets channels")
    return result


# Layers


@module_rule(nn.Conv1d, nn.Conv2d, nn.Conv3d)
def _convolution(call: Call) -> Axes:
    layer, axes = call.layer, call.inputs[0]
    if call.result.ndim != layer.weight.ndim:  # of a single picture the channels would be at axis 0
        if call.node.all_input_nodes[0].op == "placeholder":
            raise ValueError(f"example must be a batch for the layer {call.name!r}, with {layer.weight.ndim} axes.")
        call.freeze()
        return [None] * call.result.ndim
    for labels in axes[2:]:
        call.freeze(labels, "channels lie along the pixels") if labels is not None else None
    return [axes[0], _convolved(call, axes[1]), *[None] * (call.result.ndim - 2)]


def _convolved(call: Call, read: np.ndarray | None) -> np.ndarray | None:
    layer = call.layer
    if layer.groups == layer.in_channels > 1 and read is not None:
        made = np.repeat(read, layer.out_channels // layer.groups)
        call.shrink(made)
        call.note("producers", made)
        return made
    if read is not None:
        within = _together(call, read.reshape(layer.groups, -1))
        call.shrink(within, ("weight",), axis=1)
        call.note("consumers", within)
    made = call.produce(layer.out_channels)
    _together(call, made.reshape(layer.groups, -1))
    return made


def _together(call: Call, labels: np.ndarray) -> np.ndarray:
    """Unite the rows, so that equally many channels stay in each; returns the first row."""
    for row in labels[1:]:
        call.labels.unite(labels[0], row)
    return labels[0]


@module_rule(nn.Linear)
def _linear(call: Call) -> Axes:
    *others, read = call.inputs[0]
    if read is not None:
        call.shrink(read, ("weight",), axis=1)
        call.note("consumers", read)
    return [*others, call.produce(call.layer.out_features)]


def _batch_norm(call: Call) -> Axes:
    axes = call.inputs[0]
    steps = steps_after(call.layer)
    if steps is None or axes[1] is None or not all(type(step) in _MODULES for step in steps.values()):
        call.freeze()
        return [None] * call.result.ndim
    call.shrink(axes[1], ("weight", "bias", "running_mean", "running_var"))
    call.note("norms", axes[1])
    return axes


@module_rule(nn.LayerNorm)
def _layer_norm(call: Call) -> Axes:
    axes = call.inputs[0]
    axis = norm_axis(call.layer)
    if len(call.layer.normalized_shape) != 1:
        call.freeze()
        return [None] * call.result.ndim
    if axes[axis] is not None:
        call.shrink(axes[axis])
        call.note("norms", axes[axis])
    return axes


def norm_axis(layer: nn.LayerNorm) -> int:
    """The axis over which a layer norm computes its statistics."""
    return 1 if _is_channels_first_norm(layer) else -1


def _is_channels_first_norm(module: nn.Module) -> bool:
    """Whether a module normalises the channels of [N, C, H, W], such as torchvision's and timm's `LayerNorm2d`."""
    return isinstance(module, nn.LayerNorm) and type(module).__name__ == "LayerNorm2d"


@module_rule(nn.PReLU)
def _prelu(call: Call) -> Axes:
    if call.layer.num_parameters > 1 and call.inputs[0][1] is not None:
        call.shrink(call.inputs[0][1])
        call.note("norms", call.inputs[0][1])
    return call.inputs[0]


# Concatenation and parts


@function_rule(torch.cat, torch.concat)
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
    call.freeze(labels, "a tensor of fixed size meets channels")
    return labels


@function_rule(torch.chunk, "chunk")
def _chunk(call: Call) -> list[Axes]:
    axes, count = call.inputs[0], len(call.result)
    dim = call.argument(2, "dim", default=0) % call.values[0].ndim
    part = axes[dim]
    if part is not None and len(part) % count:
        call.freeze(part, "unequal chunks")
        part = None
    rows = [None] * count if part is None else part.reshape(count, -1)
    if part is not None:
        _together(call, rows)
    return [[row if axis == dim else labels for axis, labels in enumerate(axes)] for row in rows]


@module_rule(nn.ChannelShuffle)
def _shuffle(call: Call) -> Axes:
    batch, labels, *pixels = call.inputs[0]
    if labels is not None:
        first = _together(call, labels.reshape(call.layer.groups, -1))
        labels = np.repeat(first, call.layer.groups)
    return [batch, labels, *pixels]


@function_rule(operator.getitem)
def _indexing(call: Call) -> Axes:
    index = call.node.args[1]
    index = list(index) if isinstance(index, tuple) else [index]
    if not all(i is None or i is Ellipsis or isinstance(i, int | slice) for i in index):
        call.freeze()
        return [None] * call.result.ndim
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
        if labels is not None and not whole:
            call.freeze(labels, "channels are picked by their numbers")
        if not isinstance(i, int):
            result.append(labels if whole else None)
    return [*result, *axes]


# Axes


@function_rule(torch.permute, "permute")
def _permutation(call: Call) -> Axes:
    dims = call.argument(1, "dims")
    dims = dims if isinstance(dims, list | tuple) else call.node.args[1:]
    return [call.inputs[0][dim] for dim in dims]


@function_rule(torch.transpose, "transpose", torch.swapaxes, "swapaxes")
def _transposition(call: Call) -> Axes:
    axes = list(call.inputs[0])
    a, b = call.argument(1, "dim0", "axis0"), call.argument(2, "dim1", "axis1")
    axes[a], axes[b] = axes[b], axes[a]
    return axes


@function_rule(torch.mean, "mean", torch.sum, "sum", torch.amax, "amax")
def _reduction(call: Call) -> Axes:
    axes = call.inputs[0]
    dims = call.argument(1, "dim", "axis")
    dims = [dims] if isinstance(dims, int) else list(dims or range(len(axes)))
    gone = {dim % len(axes) for dim in dims}
    for dim in gone:
        call.freeze(axes[dim], "a reduction over channels") if axes[dim] is not None else None
    if call.result.ndim == len(axes):
        return [None if dim in gone else labels for dim, labels in enumerate(axes)]
    return [labels for dim, labels in enumerate(axes) if dim not in gone]


@module_rule(nn.Flatten)
@function_rule(torch.flatten, "flatten", torch.squeeze, "squeeze", torch.unsqueeze, "unsqueeze")
def _flatten(call: Call) -> Axes:
    return _reshaped(call, [-1] * call.result.ndim)


@function_rule(torch.reshape, "view", "reshape")
def _reshape(call: Call) -> Axes:
    sizes = call.argument(1, "shape", "size")
    sizes = sizes if isinstance(sizes, list | tuple) else call.node.args[1:]
    if len(sizes) != call.result.ndim:  # a dtype, or the shape of another tensor
        call.freeze()
        call.freeze_counts()
        return [None] * call.result.ndim
    result = _reshaped(call, list(sizes))
    for axis, size in enumerate(sizes):
        counted = call.counts.get(size, []) if isinstance(size, fx.Node) else []
        # A size of other channels would change without those of this axis.
        if any(call.labels.groups_of(labels) != call.labels.groups_of(result[axis]) for labels in counted):
            call.freeze(result[axis], "channels are counted elsewhere") if result[axis] is not None else None
            call.freeze_counts()
    return result


def _reshaped(call: Call, sizes: list) -> Axes:
    """Factor or join axes; `sizes` are the arguments: numbers, −1, or nodes that compute a size."""
    axes, before, after = call.inputs[0], list(call.values[0].shape), list(call.result.shape)
    result: Axes = [None] * len(after)
    for old, new in _blocks(before, after):
        found = [axis for axis in old if axes[axis] is not None]
        if not found or not new:
            continue
        if len(found) > 1:
            for axis in found:
                call.freeze(axes[axis], "two axes of channels are joined")
            continue
        shape = [before[axis] if axis == found[0] else 1 for axis in old]
        flat = np.broadcast_to(axes[found[0]].reshape(shape), [before[axis] for axis in old]).reshape(-1)
        free = [axis for axis in new if sizes[axis] == -1 or _counts_channels(call, sizes[axis])]
        if not free:
            call.freeze(flat, "the number of channels is written out")
            continue
        rows = np.moveaxis(flat.reshape([after[axis] for axis in new]), new.index(free[0]), -1)
        result[free[0]] = _together(call, rows.reshape(-1, after[free[0]]))
    return result


def _counts_channels(call: Call, size: object) -> bool:
    return isinstance(size, fx.Node) and bool(call.counts.get(size))


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


def fallback(call: Call) -> list:
    """What an operator without a rule does: it keeps all channels that it reads."""
    call.freeze()
    if isinstance(call.result, Tensor):
        return [None] * call.result.ndim
    return [[None] * item.ndim if isinstance(item, Tensor) else None for item in call.result]
