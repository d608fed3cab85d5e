"""Trace a model with torch.fx: get its graph for one input in evaluation mode, or one sentence that says why not."""

import dis
import inspect
import types
from collections.abc import Callable

from torch import fx, nn

from nnopt_lab.techniques.network_checks import (
    UNKNOWN,
    computed_parameters,
    evaluating,
    first_sentence,
    hooked,
    module_names,
    overrides_forward,
    ties_of,
)

# Layers whose parameters these torch modules pass to a fused function.
_READ_BY_TORCH = {
    "out_proj": nn.MultiheadAttention,
    "linear1": nn.TransformerEncoderLayer,
    "linear2": nn.TransformerEncoderLayer,
}


def trace(
    model: nn.Module, leaves: Callable[[nn.Module], bool] = lambda _: False, *, training: bool = False
) -> fx.GraphModule:
    """Trace the model's graph for its first argument, in evaluation mode; all other arguments keep their defaults.

    The graph's module contains the model's own layers, not copies. `forward(self, x, mask=None)` gives the graph of
    `forward(x)`, without a mask.

    Args:
        model: left unchanged.
        leaves: a function module → whether the graph shows it as one call, as it does all modules of torch.
        training: trace the graph of training mode instead.

    Raises:
        ValueError: the model needs a second argument, or torch.fx can't trace it.
    """
    _require_one_argument(model)
    tracer = _OneInput(leaves)
    try:
        with evaluating(model):
            model.train(training)
            graph = tracer.trace(model)
        return fx.GraphModule(tracer.root, graph)
    except Exception as error:
        reason = f"{type(error).__name__}: {first_sentence(error)}"
        raise ValueError(f"model cannot be traced by torch.fx ({reason}).") from error


def modules_read_by_parents(model: nn.Module) -> dict[str, str]:
    """Find modules whose parameters another module's forward reads, by name, each with the other module's type.

    These are layers of `nn.MultiheadAttention` and `nn.TransformerEncoderLayer`, which pass their weights to fused
    functions, and those that torch.fx shows. If it can't trace the model, those whose weight a method of the parent
    names, as in `self.layer.weight`.
    """
    read = {}
    names = module_names(model)
    for parent, places in names.items():
        for child, kind in _READ_BY_TORCH.items():
            if isinstance(parent, kind):
                read |= {f"{place}.{child}".lstrip("."): type(parent).__name__ for place in places}
    try:
        found = read_in_graph(trace(model))
    except ValueError:
        found = _read_in_code(names)
    for name in found:
        for place in names[model.get_submodule(name)]:
            read.setdefault(place, _parent_type(model, name))
    return read


def _parent_type(model: nn.Module, name: str) -> str:
    """The type of the closest module around `name` that is not a mere container."""
    parent = model.get_submodule(name := name.rpartition(".")[0])
    while name and isinstance(parent, nn.ModuleDict | nn.ModuleList | nn.Sequential):
        parent = model.get_submodule(name := name.rpartition(".")[0])
    return type(parent).__name__


def read_in_graph(model: nn.Module | fx.GraphModule) -> set[str]:
    """Names of the modules whose parameters or buffers the model's graph reads; empty if it can't be traced."""
    try:
        graph = (model if isinstance(model, fx.GraphModule) else trace(model)).graph
    except ValueError:
        return set()
    return {node.target.rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"} - {""}


def _read_in_code(names: dict[nn.Module, list[str]]) -> set[str]:
    """Names of the modules whose parameters or buffers the methods of other modules name, as in `self.a.b.weight`."""
    read = set()
    for parent, (name, *_) in names.items():
        if type(parent).__module__.startswith("torch.nn."):
            continue
        for path in _paths_of_self(type(parent)):
            for length in range(1, len(path)):
                child = _submodule(parent, path[:length])
                tensors = (child._parameters | child._buffers) if child is not None else {}
                if path[length] in tensors or path[length] in getattr(child, "parametrizations", ()):
                    read.add(".".join(filter(None, (name, *path[:length]))))
    return read


def _paths_of_self(kind: type) -> set[tuple[str, ...]]:
    """The chains of attributes after `self` in a class's methods: ("a", "weight") for `self.a.weight`."""
    paths = set()
    for base in kind.__mro__:
        if base.__module__.startswith("torch.nn.") or base is object:
            continue
        for method in vars(base).values():
            code = getattr(method, "__code__", None)
            if code is not None and code.co_name != "__init__" and code.co_argcount:
                paths |= _chains(code, code.co_varnames[0])
    return paths


def _chains(code: types.CodeType, variable: str) -> set[tuple[str, ...]]:
    paths, path = set(), None
    for instruction in dis.get_instructions(code):
        loaded = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
        if instruction.opname.startswith("LOAD_FAST") and loaded[-1] == variable:  # some versions load two at once
            path = ()
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD") and path is not None:
            path = (*path, instruction.argval)
            paths.add(path)
        else:
            path = None
    return paths


def _submodule(parent: nn.Module, path: tuple[str, ...]) -> nn.Module | None:
    try:
        return parent.get_submodule(".".join(path))
    except AttributeError:
        return None


def why_not_replaceable(model: nn.Module, kinds: Callable[[nn.Module], bool]) -> dict[str, str]:
    """Find out why layers of torch can't be replaced by another module.

    Args:
        model: the model that contains the layers.
        kinds: a function layer → whether to consider it.

    Returns:
        A clause per name of such a layer, "" if it can be replaced; a replacement affects all its names.
    """
    read, reasons = modules_read_by_parents(model), {}
    for layer, names in module_names(model).items():
        if kinds(layer):
            parents = [read[name] for name in names if name in read]
            reasons[names[0]] = f"{parents[0]} reads its weights" if parents else _why_not(model, names[0], layer)
            reasons |= dict.fromkeys(names[1:], f"it is {names[0]!r} under another name")
    return reasons


def _why_not(model: nn.Module, name: str, layer: nn.Module) -> str:
    kind = next(kind for kind in type(layer).__mro__ if kind.__module__.startswith("torch.nn.modules"))
    if any(nn.parameter.is_lazy(parameter) for parameter in layer.parameters()):
        return "it has no weights yet"
    if overrides_forward(layer, kind):
        return "its forward is not torch's"
    if hooked(layer):
        return "it has a hook, which would be lost"
    if UNKNOWN in computed_parameters(layer).values():
        return "its weight or bias is computed by custom code"
    return next((f"it is tied with {other!r}" for other in ties_of(model, name)), "")


class _OneInput(fx.Tracer):
    """Traces `forward` with a placeholder for its first argument; the others keep their defaults."""

    def __init__(self, leaves: Callable[[nn.Module], bool]):
        super().__init__()
        self._leaves = leaves

    def is_leaf_module(self, module, qualified_name):
        return self._leaves(module) or super().is_leaf_module(module, qualified_name)

    def create_args_for_root(self, root_fn, is_module, concrete_args=None):
        name = next(iter(inspect.signature(self.root.forward).parameters), "x")
        return self.root.forward, [self.create_proxy("placeholder", name, (), {})]


def _require_one_argument(model: nn.Module) -> None:
    parameters = list(inspect.signature(model.forward).parameters.values())
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in variable]
    keyword_only = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name in needed]
    positional = [p for p in parameters if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]
    if not positional:
        raise ValueError(f"model's forward ({type(model).__name__}) takes no input.")
    if further := [name for name in needed if name in keyword_only or name != positional[0].name]:
        raise ValueError(
            f"model's forward ({type(model).__name__}) needs {further[0]!r} in addition to its first argument."
        )
