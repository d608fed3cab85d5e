"""Find what a layer reads in a model's graph."""

from collections.abc import Callable

from torch import fx, nn


def source_of(model: nn.Module, name: str, through: Callable | None = None) -> str | None:
    """Name of the module whose output only the module `name` reads, or None.

    Nodes for which `through(model, node)` is true may stand between the two.

    Raises:
        ValueError: the model cannot be traced by torch.fx.
    """
    try:
        graph = fx.symbolic_trace(model).graph
    except Exception as error:
        raise ValueError(f"model cannot be traced by torch.fx ({type(error).__name__}: {error}).") from error
    calls = [node for node in graph.nodes if node.op == "call_module" and node.target == name]
    if len(calls) != 1:
        return None
    node = calls[0].args[0]
    while through is not None and len(node.users) == 1 and node.all_input_nodes and through(model, node):
        node = node.all_input_nodes[0]
    called_once = sum(n.op == "call_module" and n.target == node.target for n in graph.nodes) == 1
    return node.target if called_once and len(node.users) == 1 else None
