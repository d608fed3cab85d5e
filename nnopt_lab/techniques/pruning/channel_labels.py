"""Labels of channels: which indices of which axes of a network's tensors can only be removed together.

Every axis of a tensor has either a label per index or None, if no index can be removed (batch, pixels). A layer that
produces channels makes new labels; an operator unites the labels of indices that must stay together, and hands labels
on to its result. United labels form a *unit*, which is kept or removed as a whole.
"""

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
        tensor: name of the tensor in it, such as "weight".
        axis: the axis.
        units: int64 [size of the axis], the position in the group of each index's unit, or −1 for an index of another
            group.
    """

    layer: str
    tensor: str
    axis: int
    units: Tensor


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
    """

    size: int
    producers: list[str] = field(default_factory=list)
    norms: list[str] = field(default_factory=list)
    consumers: list[tuple[str, int]] = field(default_factory=list)
    removable: bool = True
    reason: str = ""
    axes: list[AxisUnits] = field(default_factory=list)

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


class Labels:
    """All labels of a network: units of united labels, and groups of units that one layer produces."""

    def __init__(self):
        self.parent: list[int] = []
        self.families: list[int] = []  # label → index into `groups`
        self.groups: list[Group | int] = []  # an int is the group with which this one was merged
        self.order: list[int] = []  # the groups with a place in the network, in order
        self.bound: dict[tuple[str, str, int], np.ndarray] = {}

    def new(self, size: int, producer: str = "", listed: bool = False) -> np.ndarray:
        """New labels [size] of a new group."""
        self.groups.append(Group(size, [producer] if producer else []))
        index = len(self.groups) - 1
        if producer or listed:
            self.order.append(index)
        start = len(self.parent)
        self.parent += range(start, start + size)
        self.families += [index] * size
        return np.arange(start, start + size)

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
            self.parent[self.root(b)] = self.root(a)
            self._merge(self._group(self.families[a]), self._group(self.families[b]))

    def bind(self, layer: str, tensor: str, axis: int, labels: np.ndarray) -> None:
        """Let an axis of a parameter or buffer shrink with these labels."""
        known = self.bound.setdefault((layer, tensor, axis), labels)
        self.unite(known, labels)

    def root(self, label: int) -> int:
        while self.parent[label] != label:
            self.parent[label] = self.parent[self.parent[label]]
            label = self.parent[label]
        return label

    def finished(self) -> list[Group]:
        """The groups in the network's order, with their sizes and axes."""
        units = {index: {} for index in self.order}  # group → unit → position
        axes = [(key, self._roots(labels)) for key, labels in self.bound.items()]
        produced = {key[0]: roots for key, roots in reversed(axes) if key[1:] == ("weight", 0)}
        for index in self.order:
            for name in self.groups[index].producers:
                self._number(produced[name], units)
        for roots in (self._roots(np.arange(len(self.parent))), *(roots for _, roots in axes)):
            self._number(roots, units)
        for index in self.order:
            self.groups[index].size = len(units[index])
        for (layer, tensor, axis), roots in axes:
            for index in self._indices(roots):
                if index in units:
                    positions = torch.tensor([units[index].get(root, -1) for root in roots.tolist()])
                    self.groups[index].axes.append(AxisUnits(layer, tensor, axis, positions))
        for index in self.order:
            self._count_inputs(self.groups[index])
            self._require_equal_parts(self.groups[index])
        return [self.groups[index] for index in self.order]

    def _number(self, roots: np.ndarray, units: dict[int, dict[int, int]]) -> None:
        for root in roots.tolist():
            index = self._group(self.families[root])
            if index in units:
                units[index].setdefault(root, len(units[index]))

    def _count_inputs(self, group: Group) -> None:
        counts = {
            a.layer: int((a.units >= 0).sum()) // group.size for a in group.axes if (a.tensor, a.axis) == ("weight", 1)
        }
        group.consumers = [(name, max(1, counts.get(name, 1))) for name, _ in group.consumers]

    def _require_equal_parts(self, group: Group) -> None:
        """A number of units must determine every layer's size, and a layer must not lose all its channels."""
        for axis in group.axes:
            counts = torch.bincount(axis.units[axis.units >= 0], minlength=group.size)
            if counts.min() != counts.max():
                group.fix(f"{axis.layer!r} has only some of the channels that must stay together, or some more often")

    def _roots(self, labels: np.ndarray) -> np.ndarray:
        return np.array([self.root(label) for label in labels.tolist()], dtype=np.int64)

    def _group(self, index: int) -> int:
        while isinstance(self.groups[index], int):
            index = self.groups[index]
        return index

    def _indices(self, labels: np.ndarray | None) -> list[int]:
        if labels is None:
            return []
        return list(dict.fromkeys(self._group(self.families[label]) for label in dict.fromkeys(labels.tolist())))

    def _merge(self, first: int, second: int) -> None:
        if first == second:
            return
        if first not in self.order:
            first, second = second, first
        mine, other = self.groups[first], self.groups[second]
        mine.producers += other.producers
        mine.norms += other.norms
        mine.consumers += other.consumers
        if not other.removable:
            mine.fix(other.reason)
        if second in self.order:
            self.order.remove(second)
        self.groups[second] = first


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
    """

    labels: Labels
    node: fx.Node
    inputs: list[Axes]
    values: list[Tensor]
    result: object
    layer: nn.Module | None = None
    counts: dict[fx.Node, list[np.ndarray]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The layer's name in the model, or the operator's."""
        target = self.node.target
        return target if isinstance(target, str) else getattr(target, "__name__", str(target))

    def argument(self, position: int, *names: str, default=None):
        """An argument by position or by one of its names."""
        if len(self.node.args) > position:
            return self.node.args[position]
        return next((self.node.kwargs[name] for name in names if name in self.node.kwargs), default)

    def freeze(self, labels: np.ndarray | None = None, why: str = "") -> None:
        """Keep all channels with these labels, by default those of all inputs."""
        place = f"{self.name!r}" if self.layer is None else f"{self.name!r} of type {type(self.layer).__name__}"
        reason = f"{why} at {self.node.name!r}" if why else f"channel pruning has no rule for {place}"
        for each in [labels] if labels is not None else [axis for axes in self.inputs for axis in axes]:
            self.labels.fix(each, reason)

    def freeze_counts(self) -> None:
        """Keep all channels whose number is among the arguments."""
        for labels in (each for found in self.counts.values() for each in found):
            self.freeze(labels, "the number of channels enters a computation")

    def produce(self, size: int) -> np.ndarray:
        """New labels for the layer's output channels; its weight and bias shrink with them along axis 0."""
        known = self.labels.bound.get((self.name, "weight", 0))
        made = self.labels.new(size, self.name) if known is None else known
        self.shrink(made)
        return made

    def shrink(self, labels: np.ndarray, tensors: tuple[str, ...] = ("weight", "bias"), axis: int = 0) -> None:
        """Let the layer's tensors shrink along an axis with these labels."""
        for tensor in tensors:
            if getattr(self.layer, tensor, None) is not None:
                self.labels.bind(self.name, tensor, axis, labels)

    def note(self, kind: str, labels: np.ndarray) -> None:
        """List the layer among its groups' "producers", "norms" or "consumers"."""
        for group in self.labels.groups_of(labels):
            entry = (self.name, 1) if kind == "consumers" else self.name
            if entry not in getattr(group, kind):
                getattr(group, kind).append(entry)
