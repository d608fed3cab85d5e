"""Find the groups of channels that can only be removed together.

Removing a filter shrinks its layer's output, and with it every layer that reads this output: batch norm, the next
convolution, the linear layer behind a flatten, and the other branch of a residual sum. Such channels form a *group*;
the groups are read from the model's graph (torch.fx), as in Fang et al. 2023, "DepGraph: Towards Any Structural
Pruning".
"""

import operator
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

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
    """Channels that are kept or removed together.

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
