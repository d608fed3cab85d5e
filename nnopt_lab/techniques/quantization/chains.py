"""Follow a model's graph from one layer to the next: the operations between them, and the layout of channels.

Between two layers, the channels of a tensor are its axis 1, [N, C, H, W] or [N, C]; after a flatten, each channel is
several inputs of the next layer. Sizes that a model reads from its tensors (`x.size(0)`) don't count as operations.
"""

import operator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import fx, nn

from nnopt_lab.techniques.network_checks import hooked, overrides_forward, require_plain, require_untied
from nnopt_lab.techniques.quantization.layers import QUANTIZABLE
from nnopt_lab.techniques.tracing import read_in_graph, trace

_FLATTENS = (torch.flatten, "flatten")
_VIEWS = (torch.reshape, "view", "reshape")


class Link(NamedTuple):
    """Two layers, the second of which reads the first one's channels, and the nodes between them in order."""

    first: str
    second: str
    between: list[fx.Node]


def chain(model: nn.Module) -> tuple[fx.GraphModule, list[Link]]:
    """Find the model's graph, and the link from each convolution or linear layer to the next.

    Raises:
        ValueError: the model can't be traced, or its layers don't form a chain: one runs twice, is tied, computes its
            weight other than by a mask, has hooks or a custom forward, or its output is read in several places.
    """
    traced = trace(model)
    modules = dict(traced.named_modules())
    calls = [n for n in traced.graph.nodes if n.op == "call_module" and isinstance(modules[n.target], QUANTIZABLE)]
    names = [node.target for node in calls]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"model calls the layer {name!r} {names.count(name)} times; in a chain, each runs once.")
    require_plain(model, names, masks=True)
    require_untied(model, names)
    for name in names:
        kind = next(kind for kind in QUANTIZABLE if isinstance(modules[name], kind))
        if hooked(modules[name]) or overrides_forward(modules[name], kind):
            raise ValueError(f"model's layer {name!r} has forward hooks or a custom forward.")
        if name in read_in_graph(traced):
            raise ValueError(f"model reads the weight of the layer {name!r} in addition to calling the layer.")
    links = [_link(traced, before, node) for before, node in pairwise(calls)]
    return traced, links


def data_inputs(node: fx.Node) -> list[fx.Node]:
    """The nodes that a node reads, except sizes."""
    return [source for source in node.all_input_nodes if not is_size(source)]


def is_size(node: fx.Node) -> bool:
    """Whether a node is a size or computed from sizes alone."""
    if (node.op == "call_method" and node.target in ("size", "dim", "numel")) or (
        node.target is getattr and node.args[1] in ("shape", "ndim", "dtype", "device")
    ):
        return True
    sources = node.all_input_nodes
    return bool(sources) and node.op == "call_function" and all(is_size(source) for source in sources)


def flattens(node: fx.Node, layer: nn.Module | None) -> bool:
    """Whether a node turns [N, C, H, W] into [N, C·H·W]: a flatten from axis 1, or a view that keeps the batch size."""
    if isinstance(layer, nn.Flatten):
        return (layer.start_dim, layer.end_dim) == (1, -1)
    rest = [*node.args[1:], *node.kwargs.values()]
    if node.target in _FLATTENS:
        return rest in ([1], [1, -1])
    if node.target in _VIEWS:
        sizes = rest[0] if len(rest) == 1 and isinstance(rest[0], (tuple, list)) else rest
        return len(sizes) == 2 and (_is_batch_size(sizes[0]) or sizes[0] == -1) and not isinstance(sizes[1], fx.Node)
    return False


def describe(node: fx.Node, layer: nn.Module | None) -> str:
    """Name the module or function that a node calls, for messages."""
    return str(layer) if layer is not None else f"{getattr(node.target, '__name__', node.target)} (at {node.name!r})"


def _is_batch_size(size) -> bool:
    if not isinstance(size, fx.Node):
        return False
    if size.target == "size":
        return size.args[1:] == (0,) or size.kwargs.get("dim") == 0
    return size.target is operator.getitem and size.args[1] == 0 and is_size(size.args[0])


def _link(traced: fx.GraphModule, first: fx.Node, second: fx.Node) -> Link:
    between, node = [], second
    while True:
        sources = data_inputs(node)
        if len(sources) != 1:
            layer = traced.get_submodule(node.target) if node.op == "call_module" else None
            raise ValueError(
                f"model is not a chain at {describe(node, layer)}, before the layer {second.target!r}: "
                f"it reads {len(sources)} tensors."
            )
        node = sources[0]
        readers = [user for user in node.users if not is_size(user)]
        if node is not first and (node.op == "placeholder" or node.op == "get_attr"):
            raise ValueError(
                f"model is not a chain: the layer {second.target!r} does not read the output of {first.target!r}."
            )
        if len(readers) != 1:
            raise ValueError(
                f"model is not a chain: the output of the layer {first.target!r} is read in {len(readers)} places "
                f"({', '.join(reader.name for reader in readers)})."
            )
        if node is first:
            return Link(first.target, second.target, between[::-1])
        between.append(node)
