"""Structured pruning: take whole filters out, so that the tensors themselves become smaller.

A mask leaves a dense kernel as slow as before. A filter that is removed shrinks its layer's output, and with it every
layer that reads this output: batch norm, the next convolution, the linear layer behind a flatten, and the other
branch of a residual sum. Channels that must go together form a *group*; the groups are read from the model's graph
(torch.fx), as in Fang et al. 2023, "DepGraph: Towards Any Structural Pruning".
"""

import copy
import operator
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from nnopt_lab.techniques.pruning import importance
from nnopt_lab.workbench.measure import inference

# Functions that act on each channel by itself and map zero to zero, so that a removed channel leaves no trace.
_CHANNELWISE_MODULES = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Tanh, nn.Identity, nn.Dropout, nn.Dropout2d,
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d,
)  # fmt: skip
_CHANNELWISE_FUNCTIONS = (
    F.relu, torch.relu, F.relu6, F.leaky_relu, F.gelu, F.silu, F.hardswish, torch.tanh, F.dropout, F.max_pool2d,
    F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d, "relu", "relu_", "tanh", "contiguous",
)  # fmt: skip
# These map zero to ½, so that a removed channel leaves no trace only where they are a factor of something else, as in
# squeeze-and-excitation (Hu, Shen & Sun 2018).
_GATES = (nn.Sigmoid, nn.Hardsigmoid, F.sigmoid, F.hardsigmoid, torch.sigmoid, "sigmoid")
_SUMS = (operator.add, operator.iadd, torch.add, "add", "add_")
_PRODUCTS = (operator.mul, operator.imul, torch.mul, "mul", "mul_")


@dataclass
class Group:
    """Channels that live and die together.

    Attributes:
        size: number of channels.
        producers: layers whose outputs are these channels (convolutions, linear layers).
        norms: batch norms over them.
        consumers: (layer, inputs per channel) that read them; behind a flatten of h×w pictures a linear layer reads
            h·w inputs per channel.
        removable: False for the network's own inputs and outputs.
    """

    size: int
    producers: list[str] = field(default_factory=list)
    norms: list[str] = field(default_factory=list)
    consumers: list[tuple[str, int]] = field(default_factory=list)
    removable: bool = True

    @property
    def name(self) -> str:
        return self.producers[0] if self.producers else "input"


def channel_groups(model: nn.Module, example: Tensor) -> list[Group]:
    """Find the groups of channels of a model.

    Args:
        model: traceable by torch.fx, made of convolutions, linear layers, batch norms, channelwise functions, sums,
            products with a gate, global means and flattens.
        example: an input, [N, C, H, W].

    Returns:
        The groups in the order in which the network computes them, input and output included (not removable).

    Raises:
        ValueError: the model holds something that this module does not know; the sentence names it.
    """
    return _Tracer(model).trace(example)


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


class _Tracer(fx.Interpreter):
    """Runs the model's graph once and notes, for every intermediate tensor, which group its channels belong to."""

    def __init__(self, model: nn.Module):
        if any(hasattr(module, "weight_orig") for module in model.modules()):
            raise ValueError("model carries pruning masks: call pruning.make_permanent(model) first.")
        try:
            traced = fx.symbolic_trace(model)
        except Exception as error:
            raise ValueError(f"model cannot be traced by torch.fx ({type(error).__name__}: {error}).") from error
        super().__init__(traced)
        self.modules_by_name = dict(traced.named_modules())
        self.groups: list[Group] = []
        self.of: dict[fx.Node, tuple[Group, int]] = {}  # node → its group, and inputs per channel
        self.gates: set[fx.Node] = set()

    def trace(self, example: Tensor) -> list[Group]:
        with inference(self.module):
            self.run(example)
        return self.groups

    def run_node(self, node: fx.Node):
        result = super().run_node(node)
        if node.op == "placeholder":
            self.of[node] = self._new(result.shape[1], removable=False), 1
        elif node.op == "output":
            for source in node.all_input_nodes:
                self.of[source][0].removable = False
        elif isinstance(result, Tensor) and node.op in ("call_module", "call_function", "call_method"):
            gated = [s for s in node.all_input_nodes if s in self.gates]
            if gated and (node.target not in _PRODUCTS or len(gated) > 1):
                raise ValueError(
                    f"model uses a sigmoid at {node.name!r} not as a factor: channel pruning can't follow."
                )
            through = self._through_module if node.op == "call_module" else self._through_function
            group, inputs = self.of[node] = through(node, result)
            # What a rule below did not foresee (another flatten, a mean over channels) shows in the shape.
            if result.ndim < 2 or result.shape[1] != group.size * inputs:
                raise ValueError(
                    f"model makes {list(result.shape)} at {node.name!r}, which channel pruning can't follow."
                )
        return result

    def _new(self, size: int, removable: bool = True) -> Group:
        self.groups.append(Group(size, removable=removable))
        return self.groups[-1]

    def _through_module(self, node: fx.Node, result: Tensor) -> tuple[Group, int]:
        name, layer = node.target, self.modules_by_name[node.target]
        group, inputs = self.of[node.args[0]]
        if isinstance(layer, _CHANNELWISE_MODULES):
            return group, inputs
        if type(layer) in _GATES:
            self.gates.add(node)
            return group, inputs
        if isinstance(layer, nn.Flatten):
            return self._flatten(node, result)
        if any(name in g.producers + g.norms for g in self.groups):
            raise ValueError(f"model calls the layer {name!r} twice, which channel pruning can't follow.")
        if isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels == layer.out_channels > 1:
            group.producers.append(name)
            return group, inputs
        flat = isinstance(layer, nn.Linear) and result.ndim == 2
        if flat or (isinstance(layer, nn.Conv2d) and layer.groups == 1):
            group.consumers.append((name, inputs))
            mine = self._new(layer.weight.shape[0])
            mine.producers.append(name)
            return mine, 1
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)) and inputs == 1:
            group.norms.append(name)
            if layer.weight is None:
                group.removable = False  # nothing to zero: a removed channel would have left its mean behind
            return group, inputs
        raise ValueError(
            f"model has the layer {name!r} of type {type(layer).__name__}, which channel pruning can't follow."
        )

    def _through_function(self, node: fx.Node, result: Tensor) -> tuple[Group, int]:
        sources = [s for s in node.all_input_nodes if s in self.of]
        if node.target in _SUMS + _PRODUCTS and len(sources) == 2:
            return self._merge(node, *sources)
        if node.target in _GATES:
            self.gates.add(node)
            return self.of[sources[0]]
        # A size that is written out would not shrink with the channels.
        if node.target in (torch.flatten, "flatten") or (node.target in ("view", "reshape") and node.args[-1] == -1):
            return self._flatten(node, result)
        if node.target in (torch.mean, "mean") and result.ndim == 2:
            return self.of[sources[0]]
        if node.target in _CHANNELWISE_FUNCTIONS:
            return self.of[sources[0]]
        name = getattr(node.target, "__name__", node.target)
        raise ValueError(f"model calls {name!r}, which channel pruning can't follow.")

    def _flatten(self, node: fx.Node, result: Tensor) -> tuple[Group, int]:
        group, inputs = self.of[node.args[0]]
        before = self.env[node.args[0]]
        if result.ndim != 2 or result.shape[0] != before.shape[0]:
            raise ValueError(
                f"model reshapes {list(before.shape)} to {list(result.shape)}; only [N, C·H·W] can follow."
            )
        return group, inputs * (before[0, 0].numel() if before.ndim > 2 else 1)

    def _merge(self, node: fx.Node, a: fx.Node, b: fx.Node) -> tuple[Group, int]:
        (first, inputs), (second, others) = self.of[a], self.of[b]
        if (first.size, inputs) != (second.size, others):
            sizes = f"{first.size} and {second.size} channels"
            raise ValueError(f"model adds or multiplies {sizes} at {node.name!r}, which channel pruning can't follow.")
        if first is not second:
            first.producers += second.producers
            first.norms += second.norms
            first.consumers += second.consumers
            first.removable &= second.removable
            self.groups.remove(second)
            self.of = {node: (first, n) if group is second else (group, n) for node, (group, n) in self.of.items()}
        return first, inputs
