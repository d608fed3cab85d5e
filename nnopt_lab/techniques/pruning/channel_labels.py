"""Labels of channels: which indices of which axes of a network's tensors can only be removed together.

Every axis of a tensor has either a label per index or None, if no index can be removed (batch, pixels). A layer that
produces channels makes new labels; an operator unites the labels of indices that must stay together, and hands labels
on to its result. United labels form a *unit*, which is kept or removed as a whole.

Attention arranges its channels as a table, heads × head width, whose rows and columns can be removed independently.
Such a channel's label is *joined* from a row's and a column's: the channel stays if both units stay.
"""

import dataclasses
import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, fx, nn

Axes = list[np.ndarray | None]
"""The labels of a tensor: per axis int64 [size], or None."""


@dataclass
class AxisUnits:
    """One axis of a parameter or buffer that shrinks when units of a group are removed.

    Attributes:
        layer: name of the module with the tensor.
        tensor: name of the tensor in it, such as "weight", or of an attribute with the number of channels, such as
            "num_heads".
        axis: the axis.
        units: int64 [size of the axis], the position in the group of each index's unit, or −1 for an index of another
            group.
        produced: whether the layer's output channels lie along this axis.
    """

    layer: str
    tensor: str
    axis: int
    units: Tensor
    produced: bool = False


@dataclass
class Group:
    """Channels that are kept or removed together.

    Attributes:
        size: number of units. A unit is one channel, or several that only go together: under a grouped convolution, one
            of each group of the convolution.
        producers: layers whose outputs are these channels (convolutions, linear layers).
        norms: batch norms and layer norms over these channels.
        consumers: (layer, inputs per unit) of the layers that read them; after a flatten of h×w pictures, a linear
            layer reads h·w inputs per channel.
        removable: False for the network's inputs and outputs, and for groups with a `reason`.
        reason: why the channels must stay, a clause about a layer or an operator of the group, or empty.
        axes: all axes of parameters and buffers that shrink with the group.
        part: which part of its producers' channels a unit is, such as "heads", or empty for whole channels.
    """

    size: int
    producers: list[str] = field(default_factory=list)
    norms: list[str] = field(default_factory=list)
    consumers: list[tuple[str, int]] = field(default_factory=list)
    removable: bool = True
    reason: str = ""
    axes: list[AxisUnits] = field(default_factory=list)
    part: str = ""

    @property
    def name(self) -> str:
        return " ".join(filter(None, (self.producers[0] if self.producers else "input", self.part)))

    @property
    def layers(self) -> list[str]:
        """Names of all layers that a removal would change."""
        return [*self.producers, *self.norms, *(name for name, _ in self.consumers)]

    def fix(self, reason: str = "") -> None:
        """Mark these channels as not removable."""
        self.removable, self.reason = False, self.reason or reason


class Labels:
    """All labels of a network: units of united labels, and groups of units that one layer produces."""

    def __init__(self):
        self.parent: list[int] = []
        self.joined: dict[int, tuple[int, ...]] = {}  # a root → the labels that must all stay for it to stay
        self.families: list[int] = []  # label → index into `groups`
        self.groups: list[Group | int] = []  # an int is the group with which this one was merged
        self.order: list[int] = []  # the groups with a place in the network, in order
        self.bound: dict[tuple[str, str, int], np.ndarray] = {}
        self.outputs: set[tuple[str, str, int]] = set()  # the keys of `bound` that are axes of output channels
        self.input: np.ndarray | None = None
        self.split: set[tuple[int, int]] = set()  # (group, group to which its layers were added)

    def new(self, size: int, producer: str = "", listed: bool = False, part: str = "") -> np.ndarray:
        """New labels [size] of a new group."""
        self.groups.append(Group(size, [producer] if producer else [], part=part))
        index = len(self.groups) - 1
        if producer or listed:
            self.order.append(index)
        start = len(self.parent)
        self.parent += range(start, start + size)
        self.families += [index] * size
        return np.arange(start, start + size)

    def of_input(self, size: int) -> np.ndarray:
        """The labels of the network's input, which stay."""
        if self.input is None:
            self.input = self.new(size, listed=True)
            self.fix(self.input)
        return self.input

    def groups_of(self, labels: np.ndarray | None) -> list[Group]:
        return [self.groups[index] for index in self._indices(labels)]

    def fix(self, labels: np.ndarray | None, reason: str = "") -> None:
        for group in self.groups_of(labels):
            group.fix(reason)

    def unite(self, first: np.ndarray, second: np.ndarray) -> None:
        """Unite the labels at the same positions."""
        if first is second or np.array_equal(first, second):
            return
        for a, b in {(int(a), int(b)) for a, b in zip(first, second, strict=True)}:
            self._unite(a, b)

    def join(self, axes: list[np.ndarray]) -> np.ndarray:
        """Labels of several axes laid out as one: an index stays if its index on each of the axes does."""
        if len(axes) == 1:
            return axes[0]
        made = self.new(math.prod(len(labels) for labels in axes))
        rows = zip(*(grid.flatten().tolist() for grid in np.meshgrid(*axes, indexing="ij")), strict=True)
        self.joined.update(zip(made.tolist(), rows, strict=True))
        return made

    def bind(self, layer: str, tensor: str, axis: int, labels: np.ndarray, *, output: bool = False) -> None:
        """Let an axis of a parameter or buffer shrink with these labels."""
        known = self.bound.setdefault((layer, tensor, axis), labels)
        if output:
            self.outputs.add((layer, tensor, axis))
        self.unite(known, labels)

    def place(self, labels: np.ndarray, layer: str, tensor: str) -> None:
        """Give the labels' groups a place in the network, as output channels of a layer's tensor."""
        self.outputs.add((layer, tensor, 0))
        for index in self._indices(labels):
            if layer not in self.groups[index].producers:
                self.groups[index].producers.append(layer)
            if index not in self.order:
                self.order.append(index)

    def root(self, label: int) -> int:
        while self.parent[label] != label:
            self.parent[label] = self.parent[self.parent[label]]
            label = self.parent[label]
        return label

    def finished(self) -> list[Group]:
        """The groups in the network's order, with their sizes and axes."""
        units = {index: {} for index in self.order}  # group → unit → position
        axes = [(key, self._units_of(labels)) for key, labels in self.bound.items()]
        produced = {key[0]: found for key, found in reversed(axes) if key in self.outputs}
        for index in self.order:
            for name in self.groups[index].producers:
                self._number(produced.get(name, []), units)
        for found in (self._units_of(np.arange(len(self.parent))), *(found for _, found in axes)):
            self._number(found, units)
        self.order = [index for index in self.order if units[index]]
        for index in self.order:
            self.groups[index].size = len(units[index])
        for key, found in axes:
            for index, positions in self._positions(found, units).items():
                self.groups[index].axes.append(AxisUnits(*key, torch.from_numpy(positions), key in self.outputs))
        for index in self.order:
            self._count_inputs(self.groups[index])
            self._require_equal_parts(self.groups[index])
        groups = [self.groups[index] for index in self.order]
        _make_names_unique(groups)
        return groups

    def _unite(self, a: int, b: int) -> None:
        a, b = self.root(a), self.root(b)
        if a == b:
            return
        if a in self.joined and b in self.joined:
            self._unite_joined(a, b)
        elif a in self.joined or b in self.joined:
            a, b = (a, b) if a in self.joined else (b, a)
            self.parent[b] = a
            for group in self._indices(np.array([a])):
                self._add_layers(group, self._group(self.families[b]))
        else:
            self.parent[b] = a
            self._merge(self._group(self.families[a]), self._group(self.families[b]))

    def _unite_joined(self, a: int, b: int) -> None:
        first, second = self.units(a), self.units(b)
        families = [[self._group(self.families[unit]) for unit in each] for each in (first, second)]
        if sorted(families[0]) == sorted(families[1]):  # a table that was transposed
            first, second = (sorted(each, key=lambda u: self._group(self.families[u])) for each in (first, second))
        if len(first) != len(second):
            self.fix(np.array([a, b]), "two arrangements of the channels meet")
            return
        for pair in zip(first, second, strict=True):
            self._unite(*pair)

    def units(self, label: int) -> tuple[int, ...]:
        """The roots that must all stay for a label to stay."""
        label = self.root(label)
        if label not in self.joined:
            return (label,)
        return tuple(dict.fromkeys(unit for part in self.joined[label] for unit in self.units(part)))

    def _units_of(self, labels: np.ndarray) -> list[tuple[int, ...]]:
        known = {label: self.units(label) for label in dict.fromkeys(labels.tolist())}
        return [known[label] for label in labels.tolist()]

    def _number(self, found: list[tuple[int, ...]], units: dict[int, dict[int, int]]) -> None:
        for unit in dict.fromkeys(unit for each in found for unit in each):
            index = self._group(self.families[unit])
            if index in units:
                units[index].setdefault(unit, len(units[index]))

    def _positions(self, found: list[tuple[int, ...]], units: dict[int, dict[int, int]]) -> dict[int, np.ndarray]:
        """For each group on an axis, the position of each index's unit in it, or −1."""
        positions = {}
        for place, each in enumerate(found):
            for unit in each:
                index = self._group(self.families[unit])
                if index in units:
                    if index not in positions:
                        positions[index] = np.full(len(found), -1)
                    mine = positions[index]
                    if mine[place] >= 0:
                        self.groups[index].fix("its channels are arranged in two ways")
                    mine[place] = units[index][unit]
        return positions

    def _count_inputs(self, group: Group) -> None:
        counts = {
            a.layer: int((a.units >= 0).sum()) // group.size
            for a in group.axes
            if a.tensor.endswith("weight") and not a.produced
        }
        group.consumers = [(name, max(1, counts.get(name, 1))) for name, _ in group.consumers]

    def _require_equal_parts(self, group: Group) -> None:
        """A number of units must determine every layer's size, and a layer must not lose all its channels."""
        for axis in group.axes:
            counts = torch.bincount(axis.units[axis.units >= 0], minlength=group.size)
            if counts.min() != counts.max():
                group.fix(f"{axis.layer!r} has only some of the channels that must stay together, or some more often")

    def _group(self, index: int) -> int:
        while isinstance(self.groups[index], int):
            index = self.groups[index]
        return index

    def _indices(self, labels: np.ndarray | None) -> list[int]:
        if labels is None:
            return []
        families = dict.fromkeys(
            self.families[unit] for label in dict.fromkeys(labels.tolist()) for unit in self.units(label)
        )
        return list(dict.fromkeys(self._group(index) for index in families))

    def _merge(self, first: int, second: int) -> None:
        if first == second:
            return
        if first not in self.order:
            first, second = second, first
        self._add_layers(first, second)
        if second in self.order:
            self.order.remove(second)
        self.groups[second] = first

    def _add_layers(self, first: int, second: int) -> None:
        """List the layers of the second group with the first, at the earlier place of both."""
        if (second, first) in self.split:
            return
        self.split.add((second, first))
        mine, other = self.groups[first], self.groups[second]
        for kind in ("producers", "norms", "consumers"):
            getattr(mine, kind).extend(each for each in getattr(other, kind) if each not in getattr(mine, kind))
        mine.part = mine.part or other.part
        if not other.removable:
            mine.fix(other.reason)
        if first not in self.order and second in self.order:
            self.order.insert(self.order.index(second), first)


def _make_names_unique(groups: list[Group]) -> None:
    counts = {}
    for group in groups:
        name = group.name
        counts[name] = counts.get(name, 0) + 1
        if counts[name] > 1:
            group.part = f"{group.part} {counts[name]}".strip()


@dataclass
class Call:
    """One call of an operator in the model's graph, as a rule sees it.

    Attributes:
        labels: the labels of the whole network, to make new ones and to unite them.
        node: the call in the graph.
        inputs: the labels of the tensors among the arguments, in order; None for axes that can't shrink.
        values: these tensors.
        result: what the call returned.
        layer: the module that is called, or None.
        counts: per argument that is a size the model computed, the labels that it counts.
        sources: the nodes of the tensors among the arguments, in order.
        zeros: per tensor among the arguments, whether it is surely 0 at removed channels.
        path: name of the called layer, if it is inside the module that the graph calls.
    """

    labels: Labels
    node: fx.Node
    inputs: list[Axes]
    values: list[Tensor]
    result: object
    layer: nn.Module | None = None
    counts: dict[fx.Node, list[np.ndarray]] = field(default_factory=dict)
    sources: list[fx.Node] = field(default_factory=list)
    zeros: list[bool] = field(default_factory=list)
    path: str = ""

    @property
    def name(self) -> str:
        """The layer's name in the model, or the operator's."""
        target = self.path or self.node.target
        return target if isinstance(target, str) else getattr(target, "__name__", str(target))

    def argument(self, position: int, *names: str, default=None):
        """An argument by position or by one of its names."""
        if len(self.node.args) > position:
            return self.node.args[position]
        return next((self.node.kwargs[name] for name in names if name in self.node.kwargs), default)

    def child(self, name: str, *inputs: Axes) -> "Call":
        """A call of a layer inside this one, for rules of modules that are followed as a whole."""
        return dataclasses.replace(
            self, layer=self.layer.get_submodule(name), path=f"{self.name}.{name}", inputs=list(inputs)
        )

    def freeze(self, *axes: np.ndarray | None, why: str = "") -> None:
        """Keep all channels with these labels; an axis without labels is skipped."""
        place = f"{self.name!r}" if self.layer is None else f"{self.name!r} of type {type(self.layer).__name__}"
        reason = f"{why} at {self.node.name!r}" if why else f"channel pruning has no rule for {place}"
        for labels in axes:
            self.labels.fix(labels, reason)

    def freeze_inputs(self, why: str = "") -> list:
        """Keep all channels of all inputs; returns the labels of a result without channels."""
        self.freeze(*(axis for axes in self.inputs for axis in axes), why=why)
        if isinstance(self.result, Tensor):
            return [None] * self.result.ndim
        return [[None] * item.ndim if isinstance(item, Tensor) else None for item in self.result]

    def freeze_counts(self) -> None:
        """Keep all channels whose number is among the arguments."""
        for labels in (each for found in self.counts.values() for each in found):
            self.freeze(labels, why="the number of channels enters a computation")

    def produce(self, size: int, axis: int = 0, *, bias: bool = True) -> np.ndarray:
        """New labels for the layer's output channels; its weight shrinks with them along `axis`, and its bias."""
        known = self.labels.bound.get((self.name, "weight", axis))
        made = self.labels.new(size, self.name) if known is None else known
        self.shrink(made, ("weight",), axis, output=True)
        if bias:
            self.shrink(made, ("bias",))
        return made

    def shrink(
        self,
        labels: np.ndarray | None,
        tensors: tuple[str, ...] = ("weight", "bias"),
        axis: int = 0,
        *,
        output: bool = False,
    ) -> None:
        """Let the layer's tensors shrink along an axis with these labels, if there are any."""
        for tensor in tensors:
            if labels is not None and getattr(self.layer, tensor, None) is not None:
                self.labels.bind(self.name, tensor, axis, labels, output=output)

    def note(self, kind: str, labels: np.ndarray) -> None:
        """List the layer among its groups' "producers", "norms" or "consumers"."""
        for group in self.labels.groups_of(labels):
            entry = (self.name, 1) if kind == "consumers" else self.name
            if entry not in getattr(group, kind):
                getattr(group, kind).append(entry)
