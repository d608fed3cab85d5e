"""Find a layer's source in a model's graph."""

from collections.abc import Callable

from torch import fx, nn

from nnopt_lab.techniques.tracing import trace


def source_of(
    model: nn.Module, name: str, through: Callable | None = None, traced: fx.GraphModule | None = None
) -> str | None:
    """Find the module whose output is read by the module `name` and nothing else; None if there is none.

    Args:
        model: the model that contains the module.
        name: a name of the module; any of them if it has several.
        through: a function (model, node) → whether a node may lie between the two; default none may.
        traced: the result of `tracing.trace(model)`, to save time over several calls.

    Raises:
        ValueError: torch.fx can't trace the model.
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
