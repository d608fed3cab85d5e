"""Find the groups of channels that can only be removed together.

Removing a filter shrinks its layer's output, and with it every layer that reads this output: batch norm, the next
convolution, the linear layer after a flatten, and the other branch of a residual sum. Such channels form a *group*. The
groups are read from the model's graph (torch.fx), as in Fang et al. 2023, "DepGraph: Towards Any Structural Pruning",
https://arxiv.org/abs/2301.12900

`channel_rules` has one small rule per operator and a registry for more, `axis_rules` and `attention_rules` have further
rules; an operator without a rule keeps the channels that it reads.
"""

import builtins
import operator

import numpy as np
from torch import Tensor, fx, nn

from nnopt_lab.techniques.network_checks import first_sentence, require_plain, tied_parameters
from nnopt_lab.techniques.pruning import attention_rules  # noqa: F401 (registers its rules)
from nnopt_lab.techniques.pruning.axis_rules import RESHAPES
from nnopt_lab.techniques.pruning.channel_labels import AxisUnits, Call, Group, Labels
from nnopt_lab.techniques.pruning.channel_rules import fallback, is_followed_whole, is_zero, rule_for
from nnopt_lab.techniques.pruning.size_attributes import marked, places_read
from nnopt_lab.techniques.tracing import read_in_graph, trace
from nnopt_lab.workbench.measure import inference

__all__ = ["AxisUnits", "Group", "channel_groups"]


def channel_groups(model: nn.Module, example: Tensor) -> list[Group]:
    """Find the groups of channels of a model.

    Args:
        model: traceable by torch.fx, without masks and parametrisations.
        example: an input, [N, C, H, W]. Other arguments of the model keep their defaults.

    Returns:
        The groups in the order in which the network computes them, including its input and output, which are not
        removable. Neither are groups that an operator without a rule reads, and groups with a layer whose parameters
        another layer shares or another module reads; their `reason` says which. Modules that the network calls in
        training mode only, such as auxiliary classifiers, shrink with the channels that they read.

    Raises:
        ValueError: the model can't be traced or does not run on the example; the message says where.
    """
    require_plain(model)
    if not isinstance(example, Tensor) or example.ndim < 2:
        raise ValueError("example must be a tensor [N, C, …], an input of the model.")
    labels = Labels()
    tracer = _Tracer(model, labels)
    tracer.follow(example)
    if tracer.uncalled():
        _follow_in_training(model, labels, example)
    groups = labels.finished()
    tracer.fix_shared(groups)
    return groups


def _follow_in_training(model: nn.Module, labels: Labels, example: Tensor) -> None:
    """Follow auxiliary classifiers too, which read channels in training mode only."""
    try:
        tracer = _InTraining(model, labels, training=True)
    except ValueError:
        return
    tracer.follow(example)


class _Tracer(fx.Interpreter):
    """Runs the model's graph once and records the labels of every intermediate tensor."""

    def __init__(self, model: nn.Module, labels: Labels, *, training: bool = False):
        with marked(model) as computed:
            super().__init__(trace(model, leaves=is_followed_whole, training=training))
        self.computed = set(computed)  # attributes with a number that enters a computation
        self.extra_traceback = False  # torch.fx would append paragraphs to the messages below
        self.model = model
        self.modules_by_name = dict(self.module.named_modules())
        self.model_modules = dict(model.named_modules())
        self.labels = labels
        self.of: dict[fx.Node, list] = {}  # node → labels per axis; for several tensors a list of these
        self.zero: dict[fx.Node, bool] = {}  # node → whether it is surely 0 at removed channels

    def follow(self, example: Tensor) -> None:
        with inference(self.module):
            self.run(example)
        for layer, attribute in self.computed:
            self.labels.fix(self.labels.bound.get((layer, attribute, 0)), f"{attribute!r} enters a computation")

    def run_node(self, node: fx.Node):
        result = self._computed(node)
        if node.op == "placeholder":
            self.of[node] = [None, self.labels.of_input(result.shape[1]), *[None] * (result.ndim - 2)]
        elif node.op == "get_attr" and isinstance(result, Tensor):
            self.of[node] = self._stored(node.target, result)
            self.zero[node] = isinstance(result, nn.Parameter)
        elif node.op == "output":
            for source in node.all_input_nodes:
                self._fix_all(source)
        elif node.op.startswith("call_"):
            self._follow(node, result)
        return result

    def _computed(self, node: fx.Node):
        try:
            return super().run_node(node)
        except Exception as error:
            reason = f"{type(error).__name__}: {first_sentence(error)}"
            place = node.target if node.op == "call_module" else node.name
            raise ValueError(f"model does not run on the example at {place!r} ({reason}).") from error

    def _follow(self, node: fx.Node, result) -> None:
        if (
            node.target is operator.getitem
            and node.args[0] in self.of
            and not isinstance(self.env[node.args[0]], Tensor)
        ):
            parts = self.of[node.args[0]]
            if isinstance(node.args[1], int):
                self.of[node] = parts[node.args[1]]
                self.zero[node] = self.zero.get(node.args[0], False)
            else:
                self._fix_all(node.args[0], "some of several results are taken")
            return
        if isinstance(node.target, type) and issubclass(node.target, tuple):  # outputs with names
            self.of[node] = [self.of.get(source) for source in node.args]
            return
        tensors = isinstance(result, Tensor) or (
            isinstance(result, list | tuple) and any(isinstance(item, Tensor) for item in result)
        )
        if not tensors:
            return
        if node.target not in RESHAPES:
            self.computed |= places_read(node, self.of)
        call = self._call(node, result)
        rule = rule_for(node, call.layer) if call.inputs else fallback
        axes = rule(call) if rule else fallback(call)
        if isinstance(result, Tensor) and not _fits(axes, result):
            axes = fallback(call)
        self.of[node] = axes
        self.zero[node] = is_zero(call)

    def _call(self, node: fx.Node, result) -> Call:
        sources = [s for s in _arguments(node) if s in self.of and isinstance(self.env[s], Tensor)]
        call = Call(
            self.labels, node, [self.of[s] for s in sources], [self.env[s] for s in sources], result,
            self.modules_by_name[node.target] if node.op == "call_module" else None,
            sources=sources, zeros=[self.zero.get(s, False) for s in sources],
        )  # fmt: skip
        for source in node.all_input_nodes:
            if source in self.of and not isinstance(self.env[source], Tensor):
                self._fix_all(source, f"channel pruning has no rule for {call.name!r}")
            elif source not in self.of:
                call.counts[source] = self._counted(source)
        if node.target not in RESHAPES:
            call.freeze_counts()
        return call

    def _stored(self, path: str, value: Tensor) -> list:
        """A parameter or buffer that a forward reads shrinks with the channels that it meets."""
        layer, _, name = path.rpartition(".")
        # The graph's module stores constants too, as buffers that the model lacks.
        owner = self.model_modules.get(layer)
        if owner is None or name not in owner._parameters | owner._buffers or not value.is_floating_point():
            return [None] * value.ndim
        axes = []
        for axis, size in enumerate(value.shape):
            known = self.labels.bound.get((layer, name, axis))
            if known is None and size > 1:
                known = self.labels.new(size)
                self.labels.bind(layer, name, axis, known)
            axes.append(known)
        return axes

    def _counted(self, node: fx.Node) -> list[np.ndarray]:
        """The labels whose number a computed size depends on."""
        if node in self.of:
            return _flat(self.of[node])
        first = node.args[0] if node.args else None
        if first in self.of and node.target == "size" and len(node.args) > 1 and isinstance(node.args[1], int):
            return _flat([self.of[first][node.args[1]]])
        if node.target is operator.getitem and isinstance(first, fx.Node) and isinstance(node.args[1], int):
            tensor = first.args[0] if first.args else None
            is_shape = (first.target == "size" and len(first.args) == 1) or (
                first.target is builtins.getattr and first.args[1] == "shape"
            )
            if is_shape and tensor in self.of:
                return _flat([self.of[tensor][node.args[1]]])
        if first in self.of and node.target in (builtins.getattr, "dim") and node.args[1:] not in (("shape",),):
            return []  # a device, a dtype, a number of axes
        return [labels for source in node.all_input_nodes for labels in self._counted(source)]

    def uncalled(self) -> bool:
        """Whether the graph leaves out a module with parameters."""
        seen = {node.target for node in self.module.graph.nodes if node.op in ("call_module", "get_attr")}
        for name, module in self.model.named_modules():
            parts = name.split(".")
            owners = {".".join(parts[: length + 1]) for length in range(len(parts))}
            own = {f"{name}.{each}".lstrip(".") for each, tensor in module._parameters.items() if tensor is not None}
            if own and not (owners & seen or own <= seen):
                return True
        return False

    def _fix_all(self, node: fx.Node, reason: str = "") -> None:
        for labels in self._counted(node):
            self.labels.fix(labels, reason)

    def fix_shared(self, groups: list[Group]) -> None:
        called = {node.target for node in self.module.graph.nodes if node.op == "call_module"}
        read = read_in_graph(self.module) & called
        tied = tied_parameters(self.model)
        for group in groups:
            for name in dict.fromkeys(axis.layer for axis in group.axes):
                if name in read:
                    group.fix(f"another module reads the weights of {name!r}")
                for other in self._ties(name, tied) if name and tied else ():
                    group.fix(f"{name!r} is tied with {other!r}")

    def _ties(self, name: str, tied: dict[str, list[str]]) -> list[str]:
        own = [f"{name}.{parameter}" for parameter, _ in self.model.get_submodule(name).named_parameters()]
        return [other for parameter in own for other in tied.get(parameter, ()) if other not in own]


class _InTraining(_Tracer):
    """Follows the graph of training mode; what does not run on the example there keeps the channels that it reads."""

    def run_node(self, node: fx.Node):
        try:
            return super().run_node(node)
        except ValueError:
            for source in node.all_input_nodes:
                if source in self.env:
                    self._fix_all(source, f"{node.target!r} does not run on the example in training mode")
            return None


def _arguments(node: fx.Node) -> list[fx.Node]:
    """The nodes among a call's arguments, in order and with repetitions."""
    found = []
    fx.map_arg((node.args, node.kwargs), found.append)
    return found


def _fits(axes: list, result: Tensor) -> bool:
    return len(axes) == result.ndim and all(a is None or len(a) == n for a, n in zip(axes, result.shape, strict=True))


def _flat(axes) -> list[np.ndarray]:
    if axes is None or isinstance(axes, np.ndarray):
        return [] if axes is None else [axes]
    return [labels for each in axes for labels in _flat(each)]
