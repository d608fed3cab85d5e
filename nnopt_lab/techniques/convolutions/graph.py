"""Find what a layer reads in a model's graph."""

from collections.abc import Callable

from torch import fx, nn

from nnopt_lab.techniques.tracing import trace


def source_of(
    model: nn.Module, name: str, through: Callable | None = None, traced: fx.GraphModule | None = None
) -> str | None:
    """Name of the module whose output only the module `name` reads, or None.

    Nodes for which `through(model, node)` is true may stand between the two.

    Args:
        name: any name of the module, where it has several.
        traced: what `tracing.trace` made of the model, where several layers are asked about.

    Raises:
        ValueError: the model cannot be traced by torch.fx.
    """
    traced = traced or trace(model)
    module = model.get_submodule(name)
    calls = [node for node in _calls(traced) if traced.get_submodule(node.target) is module]
    if len(calls) != 1 or len(calls[0].all_input_nodes) != 1:
        return None
    node = calls[0].all_input_nodes[0]
    while through is not None and _is_a_link(node) and through(model, node):
        node = node.all_input_nodes[0]
    called_once = sum(call.target == node.target for call in _calls(traced)) == 1
    return node.target if node.op == "call_module" and called_once and len(node.users) == 1 else None


def _calls(traced: fx.GraphModule) -> list[fx.Node]:
    return [node for node in traced.graph.nodes if node.op == "call_module"]


def _is_a_link(node: fx.Node) -> bool:
    return len(node.users) == 1 and len(node.all_input_nodes) == 1 and node.op != "output"
