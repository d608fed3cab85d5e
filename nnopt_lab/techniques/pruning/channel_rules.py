"""How operators map channels: one small rule per operator, and a registry for your own.

A rule gets a `Call` and returns the labels of its result, a list with one entry per axis (see `channel_labels`). An
operator without a rule keeps all channels that it reads. Here are the rules for functions of each element, layers and
norms; `axis_rules` has those that move axes, and `attention_rules` those of attention.
"""

import operator
from collections.abc import Callable

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional as F

from nnopt_lab.techniques.norms import is_batch_norm, steps_after
from nnopt_lab.techniques.pruning.channel_labels import Axes, Call

Rule = Callable[[Call], Axes]
_MODULES: dict[type[nn.Module] | str, Rule] = {}
_FUNCTIONS: dict[object, Rule] = {}


def module_rule(*kinds: type[nn.Module] | str) -> Callable[[Rule], Rule]:
    """Register a rule for classes of modules, as a decorator; a later rule for the same class replaces the earlier.

    A registered class is followed as a whole: its forward is not looked into. Its subclasses need their own rule,
    unless they are torch's. A class can be given by its full name, such as "package.module.Class": then its package
    need not be installed.

    Raises:
        ValueError: a kind is not a class of modules or a full name.
    """
    for kind in kinds:
        is_class = isinstance(kind, type) and issubclass(kind, nn.Module)
        if not (is_class or (isinstance(kind, str) and "." in kind)):
            raise ValueError(f"kinds contains {kind!r}; it must contain subclasses of nn.Module, or their full names.")
    return _registered(_MODULES, kinds)


def function_rule(*targets: Callable | str) -> Callable[[Rule], Rule]:
    """Register a rule for functions (`torch.cat`) and methods of tensors, by name (`"view"`), as a decorator.

    A function can be given by its full name too, such as "package.module.function".

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
    return _own_rule(type(module)) is not None or _is_channels_first_norm(module) or is_batch_norm(module)


def rule_for(node: fx.Node, layer: nn.Module | None) -> Rule | None:
    """The rule for a call, None if there is none."""
    if layer is None:
        if _is_identity(node):
            return channelwise
        full_name = f"{getattr(node.target, '__module__', '')}.{getattr(node.target, '__name__', '')}"
        return _FUNCTIONS.get(node.target) or _FUNCTIONS.get(full_name)
    if _is_channels_first_norm(layer):
        return layer_norm
    if is_batch_norm(layer):
        return _batch_norm
    return next((rule for kind in type(layer).__mro__ if (rule := _own_rule(kind))), None)


def _own_rule(kind: type) -> Rule | None:
    return _MODULES.get(kind) or _MODULES.get(f"{kind.__module__}.{kind.__qualname__}")


def _is_identity(node: fx.Node) -> bool:
    """Whether a node is stochastic depth outside training (Huang et al. 2016, https://arxiv.org/abs/1603.09382)."""
    training = node.args[3] if len(node.args) > 3 else node.kwargs.get("training", True)
    # Compared by name: importing torchvision takes long, and a network without it needs none.
    return getattr(node.target, "__name__", "") == "stochastic_depth" and training is False


# Functions of each element

_ZERO_AT_ZERO = {
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Mish, nn.ELU, nn.SELU, nn.CELU, nn.Hardswish, nn.Tanh,
    nn.Tanhshrink, nn.Softsign, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
    F.relu, torch.relu, F.relu6, F.leaky_relu, F.gelu, F.silu, F.mish, F.elu, F.selu, F.hardswish, F.tanh, torch.tanh,
    F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, torch.abs, torch.sqrt, torch.square, torch.neg, operator.neg,
    "relu", "relu_", "tanh", "abs", "sqrt", "square", "neg", "contiguous", "clone", "detach", "float", "double",
    "half", "to", "type_as", "requires_grad_",
}  # fmt: skip
_NOT_ZERO_AT_ZERO = {
    nn.Softplus, nn.Hardtanh, nn.Sigmoid, nn.Hardsigmoid, nn.LogSigmoid, F.softplus, F.hardtanh, F.sigmoid,
    F.hardsigmoid, F.logsigmoid, torch.sigmoid, torch.exp, torch.log, torch.cos, torch.clamp, "sigmoid", "sigmoid_",
    "exp", "log", "cos", "clamp", "clamp_",
}  # fmt: skip


def channelwise(call: Call) -> Axes:
    """The result has the labels of the first tensor, axis by axis."""
    if len(call.inputs) != 1 or call.result.shape != call.values[0].shape:
        return call.freeze_inputs()
    return call.inputs[0]


for _known in (_ZERO_AT_ZERO, _NOT_ZERO_AT_ZERO):
    module_rule(*(each for each in _known if isinstance(each, type)))(channelwise)
    function_rule(*(each for each in _known if not isinstance(each, type)))(channelwise)


@module_rule(
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d,
    nn.LPPool2d, nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d, nn.ZeroPad1d, nn.ZeroPad2d,
    nn.ZeroPad3d, nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d, nn.ReplicationPad1d,
    nn.ReplicationPad2d, nn.ReplicationPad3d, nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d,
    nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d,
)  # fmt: skip
@function_rule(
    F.max_pool1d, F.max_pool2d, F.max_pool3d, torch.max_pool2d, F.avg_pool1d, F.avg_pool2d, F.avg_pool3d,
    F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d, F.adaptive_max_pool1d,
    F.adaptive_max_pool2d, F.adaptive_max_pool3d, F.interpolate,
)  # fmt: skip
def pool(call: Call) -> Axes:
    """Axes 0 and 1 keep their labels; those of the pixels can't shrink."""
    if not hasattr(call.result, "ndim") or call.result.ndim != call.values[0].ndim or call.result.ndim < 3:
        return call.freeze_inputs()
    call.freeze(*call.inputs[0][2:], why="channels lie along the pixels")
    return [*call.inputs[0][:2], *[None] * (call.result.ndim - 2)]


@function_rule(F.pad)
def _padding(call: Call) -> Axes:
    """Axes that are padded can't shrink."""
    padded = len(call.argument(1, "pad", default=())) // 2
    kept = [n if n == m else None for n, m in zip(call.values[0].shape, call.result.shape, strict=True)]
    axes = call.inputs[0]
    for axis in range(len(axes) - padded, len(axes)):
        if kept[axis] is None:
            call.freeze(axes[axis], why="channels are padded")
    return [labels if kept[axis] is not None else None for axis, labels in enumerate(axes)]


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
                call.freeze(labels, why="one channel is repeated")
            elif labels is not None:
                if result[first + axis] is None:
                    result[first + axis] = labels
                call.labels.unite(result[first + axis], labels)
    for axes, value in zip(call.inputs, call.values, strict=True):
        for axis in range(value.ndim):
            place = call.result.ndim - value.ndim + axis
            if axes[axis] is None and value.shape[axis] > 1:
                call.freeze(result[place], why="a tensor of fixed size meets channels")
                result[place] = None
    return result


# Layers


@module_rule(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
def _convolution(call: Call) -> Axes:
    layer, axes = call.layer, call.inputs[0]
    if call.result.ndim != layer.weight.ndim:  # of a single picture the channels would be at axis 0
        if call.node.all_input_nodes[0].op == "placeholder":
            raise ValueError(f"example must be a batch for the layer {call.name!r}, with {layer.weight.ndim} axes.")
        return call.freeze_inputs()
    call.freeze(*axes[2:], why="channels lie along the pixels")
    made = _transposed(call, axes[1]) if layer.transposed else _convolved(call, axes[1])
    return [axes[0], made, *[None] * (call.result.ndim - 2)]


def _convolved(call: Call, read: np.ndarray | None) -> np.ndarray:
    layer = call.layer
    if layer.groups == layer.in_channels > 1 and read is not None:
        made = np.repeat(read, layer.out_channels // layer.groups)
        call.shrink(made, ("weight",), output=True)
        call.shrink(made, ("bias",))
        call.note("producers", made)
        return made
    if read is not None:
        within = together(call, read.reshape(layer.groups, -1))
        call.shrink(within, ("weight",), axis=1)
        call.note("consumers", within)
    made = call.produce(layer.out_channels)
    together(call, made.reshape(layer.groups, -1))
    return made


def _transposed(call: Call, read: np.ndarray | None) -> np.ndarray:
    """A transposed convolution's weight is [inputs, outputs per group, …], so each group needs equally many."""
    layer = call.layer
    if read is not None:
        together(call, read.reshape(layer.groups, -1))
        call.shrink(read, ("weight",), axis=0)
        call.note("consumers", read)
    made = np.tile(call.produce(layer.out_channels // layer.groups, axis=1, bias=False), layer.groups)
    call.shrink(made, ("bias",))
    return made


def together(call: Call, labels: np.ndarray) -> np.ndarray:
    """Unite the rows, so that equally many channels stay in each; returns the first row."""
    for row in labels[1:]:
        call.labels.unite(labels[0], row)
    return labels[0]


@module_rule(nn.Linear)
def linear(call: Call) -> Axes:
    """The last axis is read, and the output's last axis made."""
    *others, read = call.inputs[0]
    if read is not None:
        call.shrink(read, ("weight",), axis=1)
        call.note("consumers", read)
    return [*others, call.produce(call.layer.out_features)]


@function_rule(F.linear)
def _linear_function(call: Call) -> Axes:
    """With a module's own parameters, as with `nn.Linear`; otherwise the weight's axes have no labels."""
    (*others, read), (made, reads), *bias = call.inputs
    if reads is None or made is None:
        return call.freeze_inputs()
    meet(call, read, reads)
    for labels in bias:
        meet(call, made, labels[0])
    layer, _, tensor = str(call.sources[1].target).rpartition(".")
    if layer:  # a group is listed by the name of a module that produces its channels
        call.labels.place(made, layer, tensor)
    return [*others, made]


def meet(call: Call, first: np.ndarray | None, second: np.ndarray | None) -> None:
    """Unite the labels of two axes, of which one may have a fixed size."""
    if first is None or second is None:
        call.freeze(first, second, why="a tensor of fixed size meets channels")
    else:
        call.labels.unite(first, second)


@module_rule(nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell)
def _recurrent(call: Call) -> list:
    return call.freeze_inputs("a recurrent layer feeds its channels back into itself")


# Norms


def _batch_norm(call: Call) -> Axes:
    axes = call.inputs[0]
    steps = steps_after(call.layer)
    if steps is None or axes[1] is None or not all(type(step) in _MODULES for step in steps.values()):
        return call.freeze_inputs()
    call.shrink(axes[1], ("weight", "bias", "running_mean", "running_var"))
    call.note("norms", axes[1])
    return axes


@module_rule(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
def _instance_norm(call: Call) -> Axes:
    axes = call.inputs[0]
    if call.result.ndim != INSTANCE_AXES[next(k for k in INSTANCE_AXES if isinstance(call.layer, k))]:
        return call.freeze_inputs()
    if axes[1] is not None:
        call.shrink(axes[1], ("weight", "bias", "running_mean", "running_var"))
        call.labels.bind(call.name, "num_features", 0, axes[1])
        call.note("norms", axes[1])
    return axes


INSTANCE_AXES = {nn.InstanceNorm1d: 3, nn.InstanceNorm2d: 4, nn.InstanceNorm3d: 5}


@module_rule(nn.GroupNorm)
def _group_norm(call: Call) -> Axes:
    """Statistics span a group of channels, so that only whole groups can go."""
    batch, labels, *pixels = call.inputs[0]
    if labels is not None:
        groups = together(call, labels.reshape(call.layer.num_groups, -1).T)
        call.labels.bind(call.name, "num_groups", 0, groups)
        call.shrink(labels)
        call.note("norms", labels)
    return [batch, labels, *pixels]


@function_rule(F.batch_norm, F.instance_norm)
def _channel_norm_function(call: Call) -> Axes:
    """With a module's own parameters and statistics, which shrink with the channels."""
    axes, *vectors = call.inputs
    for labels in vectors:
        meet(call, axes[1], labels[0])
    return axes


@module_rule(nn.LayerNorm, nn.RMSNorm, "timm.layers.norm.LayerNorm")
def layer_norm(call: Call) -> Axes:
    """The statistics are those of the channels that stay."""
    axes = call.inputs[0]
    axis = norm_axis(call.layer)
    if len(call.layer.normalized_shape) != 1:
        return call.freeze_inputs()
    if axes[axis] is not None:
        call.labels.bind(call.name, "normalized_shape", 0, axes[axis])
        call.shrink(axes[axis])
        call.note("norms", axes[axis])
    return axes


@function_rule(F.layer_norm)
def _layer_norm_function(call: Call) -> Axes:
    """Axes before the normalised ones keep their labels; a function's statistics always span fixed sizes."""
    axes = call.inputs[0]
    normalised = len(call.argument(1, "normalized_shape", default=axes))
    call.freeze(*axes[len(axes) - normalised :], why="a function normalises over channels")
    for vector in call.inputs[1:]:
        call.freeze(*vector, why="a function normalises over channels")
    return [*axes[: len(axes) - normalised], *[None] * normalised]


@function_rule(F.group_norm)
def _group_norm_function(call: Call) -> Axes:
    return call.freeze_inputs("the number of groups is written out")


def norm_axis(layer: nn.LayerNorm | nn.RMSNorm) -> int:
    """The axis over which a layer norm or RMS norm computes its statistics."""
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


def fallback(call: Call) -> list:
    """What an operator without a rule does: it keeps all channels that it reads."""
    return call.freeze_inputs()


# Zero at removed channels


_KEEPS_ZERO = _ZERO_AT_ZERO | {
    operator.mul, operator.imul, torch.mul, "mul", "mul_", operator.getitem, torch.cat, torch.concat, torch.stack,
    torch.permute, "permute", torch.transpose, "transpose", "swapaxes", "t", "mT", torch.reshape, "view", "reshape",
    torch.flatten, "flatten", torch.unflatten, "unflatten", "expand", "unsqueeze", "squeeze", torch.unsqueeze,
    torch.squeeze, torch.split, "split", torch.chunk, "chunk", torch.unbind, "unbind", torch.narrow, "narrow",
    torch.matmul, "matmul", operator.matmul, torch.movedim, "movedim", "__getitem__", F.normalize,
}  # fmt: skip
_SUMS = {
    operator.add, operator.iadd, torch.add, "add", "add_", operator.sub, operator.isub, torch.sub, "sub", "sub_",
    operator.truediv, torch.div, "div",
}  # fmt: skip


def is_zero(call: Call) -> bool:
    """Whether a call's result is surely 0 at removed channels once the weights that make them are."""
    if isinstance(call.layer, nn.Linear):
        return not any(labels is not None for labels in call.inputs[0][:-1])
    if isinstance(call.layer, nn.modules.conv._ConvNd):
        return True
    if call.layer is not None:
        return type(call.layer) in _ZERO_AT_ZERO and all(call.zeros)
    target, numbers = call.node.target, [each for each in call.node.args if isinstance(each, int | float)]
    if target in _SUMS and numbers:
        is_quotient = target in (operator.truediv, torch.div, "div")
        return is_quotient and isinstance(call.node.args[0], fx.Node) and all(call.zeros)
    return target in _KEEPS_ZERO | _SUMS and all(call.zeros)
