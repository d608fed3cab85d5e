"""Find the groups of channels that can only be removed together.

Removing a filter shrinks its layer's output, and with it every layer that reads this output: batch norm, the next
convolution, the linear layer after a flatten, and the other branch of a residual sum. Such channels form a *group*. The
groups are read from the model's graph (torch.fx), as in Fang et al. 2023, "DepGraph: Towards Any Structural Pruning",
https://arxiv.org/abs/2301.12900
"""

import operator
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from nnopt_lab.techniques.network_checks import first_sentence, require_plain, ties_of
from nnopt_lab.techniques.tracing import read_in_graph, trace
from nnopt_lab.workbench.measure import inference

# Functions that act on each channel separately and map zero to zero, so that a removed channel leaves no trace.
_CHANNELWISE_MODULES = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Tanh, nn.Identity, nn.Dropout, nn.Dropout2d,
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d,
)  # fmt: skip
_CHANNELWISE_FUNCTIONS = (
    F.relu, torch.relu, F.relu6, F.leaky_relu, F.gelu, F.silu, F.hardswish, torch.tanh, F.dropout, F.max_pool2d,
    F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d, "relu", "relu_", "tanh", "contiguous",
)  # fmt: skip
# These map zero to ½, so that a removed channel leaves no trace only if they are a factor of something else, as in
# squeeze-and-excitation (Hu, Shen & Sun 2018, https://arxiv.org/abs/1709.01507).
_GATES = (nn.Sigmoid, nn.Hardsigmoid, F.sigmoid, F.hardsigmoid, torch.sigmoid, "sigmoid")
_SUMS = (operator.add, operator.iadd, torch.add, "add", "add_")
_MEANS = (torch.mean, "mean")
_PRODUCTS = (operator.mul, operator.imul, torch.mul, "mul", "mul_")
_QUOTIENTS = (operator.truediv, operator.itruediv, torch.div, "div", "div_")


@dataclass
class Group:
    """Channels that are kept or removed together.

    Attributes:
        size: number of channels.
        producers: layers whose outputs are these channels (convolutions, linear layers).
        norms: batch norms over these channels.
        consumers: (layer, inputs per channel) of the layers that read them; after a flatten of h×w pictures, a linear
            layer reads h·w inputs per channel.
        removable: False for the network's inputs and outputs, and for groups with a `reason`.
        reason: why the channels must stay, a clause about a layer of the group, or empty.
    """

    size: int
    producers: list[str] = field(default_factory=list)
    norms: list[str] = field(default_factory=list)
    consumers: list[tuple[str, int]] = field(default_factory=list)
    removable: bool = True
    reason: str = ""

    @property
    def name(self) -> str:
        return self.producers[0] if self.producers else "input"

    @property
    def layers(self) -> list[str]:
        """Names of all layers that a removal would change."""
        return [*self.producers, *self.norms, *(name for name, _ in self.consumers)]

    def fix(self, reason: str = "") -> None:
        """Mark these channels as not removable."""
        self.removable, self.reason = False, self.reason or reason


def channel_groups(model: nn.Module, example: Tensor) -> list[Group]:
    """Find the groups of channels of a model.

    Args:
        model: traceable by torch.fx; made of convolutions, linear layers, batch norms, channelwise functions, sums,
            products with a gate, means over pixels and flattens; without masks and parametrisations.
        example: an input, [N, C, H, W]. Other arguments of the model keep their defaults.

    Returns:
        The groups in the order in which the network computes them, including its input and output, which are not
        removable. Neither are groups with a layer whose parameters another layer shares or another module reads.

    Raises:
        ValueError: the model contains an operation that this module can't follow, or does not run on the example; the
            message names it.
    """
    return _Tracer(model).trace(example)


class _Tracer(fx.Interpreter):
    """Runs the model's graph once and records the group of channels of every intermediate tensor."""

    def __init__(self, model: nn.Module):
        require_plain(model)
        super().__init__(trace(model))
        self.extra_traceback = False  # torch.fx would append paragraphs to the messages below
        self.model = model
        self.modules_by_name = dict(self.module.named_modules())
        self.groups: list[Group] = []
        self.of: dict[fx.Node, tuple[Group, int]] = {}  # node → its group, and inputs per channel
        self.gates: set[fx.Node] = set()

    def trace(self, example: Tensor) -> list[Group]:
        if not isinstance(example, Tensor) or example.ndim < 2:
            raise ValueError("example must be a tensor [N, C, …], an input of the model.")
        with inference(self.module):
            self.run(example)
        self._fix_shared()
        return self.groups

    def run_node(self, node: fx.Node):
        result = self._computed(node)
        if node.op == "placeholder":
            self.of[node] = self._new(result.shape[1], removable=False), 1
        elif node.op == "output":
            for group in self._behind(node):
                group.fix()
        elif isinstance(result, Tensor) and node.op in ("call_module", "call_function", "call_method"):
            gated = [s for s in node.all_input_nodes if s in self.gates]
            if gated and (node.target not in _PRODUCTS or len(gated) > 1):
                raise ValueError(
                    f"model uses the sigmoid at {node.name!r} other than as a factor, which channel pruning can't "
                    "follow."
                )
            through = self._through_module if node.op == "call_module" else self._through_function
            group, inputs = self.of[node] = through(node, result)
            # A case that the rules below don't cover (another flatten, a mean over channels) shows in the shape.
            if result.ndim < 2 or result.shape[1] != group.size * inputs:
                raise ValueError(
                    f"model returns {list(result.shape)} at {node.name!r}, which channel pruning can't follow."
                )
        return result

    def _computed(self, node: fx.Node):
        try:
            return super().run_node(node)
        except Exception as error:
            reason = f"{type(error).__name__}: {first_sentence(error)}"
            place = node.target if node.op == "call_module" else node.name
            raise ValueError(f"model does not run on the example at {place!r} ({reason}).") from error

    def _behind(self, node: fx.Node) -> list[Group]:
        """The groups that a node reads, also through sizes and lists."""
        found = [self.of[source][0] for source in node.all_input_nodes if source in self.of]
        others = [source for source in node.all_input_nodes if source not in self.of]
        return found + [group for source in others for group in self._behind(source)]

    def _fix_shared(self) -> None:
        read = read_in_graph(self.module)
        for group in self.groups:
            for name in group.layers:
                if name in read:
                    group.fix(f"another module reads the weights of {name!r}")
                for other in ties_of(self.model, name):
                    group.fix(f"{name!r} is tied with {other!r}")

    def _new(self, size: int, removable: bool = True) -> Group:
        self.groups.append(Group(size, removable=removable))
        return self.groups[-1]

    def _source(self, node: fx.Node) -> fx.Node:
        """The tensor that a layer or a function of one tensor reads, passed by position or by keyword."""
        sources = [source for source in node.all_input_nodes if source in self.of]
        first = node.args[0] if node.args else next(iter(node.kwargs.values()), None)
        if first in sources:
            return first
        raise ValueError(
            f"model calls {_target(node)!r} on a tensor that does not depend on its input, which channel pruning can't "
            "follow."
        )

    def _through_module(self, node: fx.Node, result: Tensor) -> tuple[Group, int]:
        name, layer = node.target, self.modules_by_name[node.target]
        source = self._source(node)
        group, inputs = self.of[source]
        if isinstance(layer, _CHANNELWISE_MODULES):
            return group, inputs
        if type(layer) in _GATES:
            self.gates.add(node)
            return group, inputs
        if isinstance(layer, nn.Flatten):
            return self._flatten(node, result)
        if any(name in g.producers + g.norms for g in self.groups):
            raise ValueError(f"model calls the layer {name!r} twice, which channel pruning can't follow.")
        batched = result.ndim == 4  # of a single picture the channels would be at axis 0
        if isinstance(layer, nn.Conv2d) and batched and layer.groups == layer.in_channels == layer.out_channels > 1:
            group.producers.append(name)
            return group, inputs
        flat = isinstance(layer, nn.Linear) and result.ndim == 2
        if flat or (isinstance(layer, nn.Conv2d) and batched and layer.groups == 1):
            group.consumers.append((name, inputs))
            mine = self._new(layer.weight.shape[0])
            mine.producers.append(name)
            return mine, 1
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)) and inputs == 1:
            group.norms.append(name)
            if layer.weight is None:
                group.fix(f"{name!r} has no scale")  # nothing to set to zero: a removed channel would leave its mean
            return group, inputs
        raise ValueError(
            f"model has the layer {name!r} of type {type(layer).__name__}, which channel pruning can't follow."
        )

    def _through_function(self, node: fx.Node, result: Tensor) -> tuple[Group, int]:
        sources = [s for s in node.all_input_nodes if s in self.of]
        if node.target in _SUMS + _PRODUCTS and len(sources) == 2:
            return self._merge(node, *sources)
        if node.target in _GATES or (_is_identity(node) and self._source(node) in self.gates):
            self.gates.add(node)
            return self.of[self._source(node)]
        if node.target in (torch.flatten, "flatten") or _keeps_the_batch(node):
            return self._flatten(node, result)
        if len(sources) == 1 and _is_scaled_by_a_number(node):
            if sources[0] in self.gates:
                self.gates.add(node)
            return self.of[sources[0]]
        if node.target in _CHANNELWISE_FUNCTIONS or _is_identity(node):
            return self.of[self._source(node)]
        if node.target in _MEANS:
            if self._is_over_pixels(node):
                return self.of[self._source(node)]
            raise ValueError(
                f"model takes a mean at {node.name!r} over other axes than a picture's height and width, which channel "
                "pruning can't follow."
            )
        raise ValueError(f"model calls {_target(node)!r}, which channel pruning can't follow.")

    def _is_over_pixels(self, node: fx.Node) -> bool:
        dims = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", node.kwargs.get("axis", ()))
        rank = self.env[self._source(node)].ndim
        dims = [dims] if isinstance(dims, int) else list(dims or ())
        return bool(dims) and all(dim % rank >= 2 for dim in dims)

    def _flatten(self, node: fx.Node, result: Tensor) -> tuple[Group, int]:
        source = self._source(node)
        (group, inputs), before = self.of[source], self.env[source]
        if result.ndim != 2 or result.shape[0] != before.shape[0]:
            raise ValueError(
                f"model reshapes {list(before.shape)} to {list(result.shape)}; channel pruning can only follow a "
                "reshape to [N, C·H·W]."
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
            if not second.removable:
                first.fix(second.reason)
            self.groups.remove(second)
            self.of = {node: (first, n) if group is second else (group, n) for node, (group, n) in self.of.items()}
        return first, inputs


def _target(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else node.target.__name__


def _is_identity(node: fx.Node) -> bool:
    """Whether a node is stochastic depth outside training (Huang et al. 2016, https://arxiv.org/abs/1603.09382)."""
    training = node.args[3] if len(node.args) > 3 else node.kwargs.get("training", True)
    # Compared by name: importing torchvision takes long, and a network without it needs none.
    return getattr(node.target, "__name__", "") == "stochastic_depth" and training is False


def _is_scaled_by_a_number(node: fx.Node) -> bool:
    """Whether a node is `x * 2`, `2 * x`, `x / 2` or similar, with a Python number, not one that the model computes."""
    numbers = [value for value in node.args if isinstance(value, (int, float))]
    first = node.target in _PRODUCTS or (node.args and isinstance(node.args[0], fx.Node))
    return bool(first) and node.target in _PRODUCTS + _QUOTIENTS and (len(node.args), len(numbers)) == (2, 1)


def _keeps_the_batch(node: fx.Node) -> bool:
    """Whether a node is `x.view(x.size(0), -1)` or similar; a constant number of features would not shrink."""
    if node.target not in ("view", "reshape") or len(node.args) != 3 or node.args[2] != -1:
        return False
    batch = node.args[1]
    if not isinstance(batch, fx.Node):
        return True
    return batch.args[1:] == (0,) and batch.target in ("size", operator.getitem)
