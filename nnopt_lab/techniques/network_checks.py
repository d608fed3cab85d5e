"""Find what changes a network beside its layers' weights: ties, masks, parametrisations, hooks, frozen parameters.

A technique that replaces, reads or writes the parameters of a network asks here first. It either carries a finding over
(`parameter_like`, `replace_module`, `current_value`, `make_plain`) or refuses with one `ValueError` that names the
module and the reason (`require_plain`, `require_untied`).
"""

import contextlib
import copy
import functools
import types
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm, SpectralNormLoadStateDictPreHook, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

_COMPUTING_HOOKS = (prune.BasePruningMethod, WeightNorm, SpectralNorm)
_WEIGHT_AND_BIAS = ("weight", "bias")
UNKNOWN = "code of its own"
_MASK, _WEIGHT_NORM, _SPECTRAL_NORM = "a pruning mask", "weight_norm", "spectral_norm"


# Copies and modes


def copied(thing):
    """A deep copy of a model, or of a tuple such as (model, optimizer) whose parts share parameters.

    Tensors that were computed with gradients, such as a masked weight after a forward pass, cannot be deep-copied by
    torch; their copies hold the same numbers without the graph. Masks and weight norms compute them anew at the next
    call.

    Raises:
        ValueError: something in it cannot be copied, such as a lock or an open file.
    """
    memo = {id(tensor): tensor.detach().clone() for tensor in _computed_tensors(thing)}
    try:
        return copy.deepcopy(thing, memo)
    except Exception as error:
        raise ValueError(f"model cannot be copied ({type(error).__name__}: {first_sentence(error)}).") from error


def first_sentence(error: BaseException) -> str:
    """The first sentence of an exception's message, without its full stop and without what torch.fx appends."""
    lines = str(error).strip().splitlines()
    return lines[0].split(". ")[0].rstrip(". ") if lines else "no message"


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode; afterwards each submodule is back in the mode it had."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def parameter_like(tensor: Tensor, layer: nn.Module, name: str = "weight") -> nn.Parameter:
    """A parameter with a tensor's numbers in memory of its own, frozen if and only if the layer's `name` is."""
    return nn.Parameter(tensor.detach().clone(), requires_grad=not frozen(layer, name))


def frozen(layer: nn.Module, name: str = "weight") -> bool:
    """Whether a layer's parameter is frozen; of a computed one, whether all parameters behind it are."""
    behind = _behind(layer, name)
    return bool(behind) and not any(parameter.requires_grad for parameter in behind)


# Modules in several places


def module_names(model: nn.Module) -> dict[nn.Module, list[str]]:
    """All names of each module, in the model's order: more than one where the same module stands in several places."""
    names: dict[nn.Module, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
    return names


def replace_module(model: nn.Module, name: str, new: nn.Module) -> nn.Module:
    """Put `new` where the module `name` stands, in all places where the same module stands; returns the model.

    The name "" is the model's own: then `new` is returned. `new` gets the old module's sizes as attributes, such as
    `out_channels`, where it has none of that name: some networks read them.
    """
    old = model.get_submodule(name)
    for constant in getattr(old, "__constants__", ()):
        if not hasattr(new, constant):
            setattr(new, constant, getattr(old, constant))
    if name == "":
        return new
    for other in module_names(model)[old]:
        model.set_submodule(other, new)
    return model


# Tied parameters


def tied_parameters(model: nn.Module) -> dict[str, list[str]]:
    """For each parameter whose memory another module's parameter shares, the names of those others.

    One module under two names is not meant: see `module_names`.
    """
    shared: dict[object, list[str]] = {}
    for module_name, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                shared.setdefault(_memory(parameter), []).append(f"{module_name}.{name}".lstrip("."))
    return {name: [n for n in names if n != name] for names in shared.values() if len(names) > 1 for name in names}


def ties_of(model: nn.Module, name: str) -> list[str]:
    """Names of the parameters elsewhere that share their memory with one of the module `name`."""
    tied = tied_parameters(model)
    module = model.get_submodule(name)
    own = [f"{name}.{parameter}".lstrip(".") for parameter, _ in module.named_parameters()]
    return [other for parameter in own for other in tied.get(parameter, ()) if other not in own]


def require_untied(model: nn.Module, names: Iterable[str]) -> None:
    """Refuse layers that share a parameter with another layer.

    Raises:
        ValueError: one of the modules `names` does; the sentence names both.
    """
    for name in names:
        for other in ties_of(model, name):
            raise ValueError(f"model's layer {name!r} is tied with {other!r}: untie them first.")


# Computed parameters: masks, parametrisations, weight norms


def computed_parameters(layer: nn.Module) -> dict[str, str]:
    """The layer's tensors that are computed from others before use, by name, each with what computes it.

    Known are masks of `torch.nn.utils.prune`, parametrisations, and the hooks of the older `weight_norm` and
    `spectral_norm`. A weight or bias that is a tensor but no parameter, and none of these, is "code of its own".
    """
    found = {}
    for hook in layer._forward_pre_hooks.values():
        if isinstance(hook, prune.BasePruningMethod):
            found[hook._tensor_name] = _MASK
        elif isinstance(hook, WeightNorm | SpectralNorm):
            found[hook.name] = _WEIGHT_NORM if isinstance(hook, WeightNorm) else _SPECTRAL_NORM
    if parametrize.is_parametrized(layer):
        for name, chain in layer.parametrizations.items():
            found[name] = f"the parametrisation {type(chain[0]).__name__.lstrip('_')}"
    for name in _WEIGHT_AND_BIAS:
        if isinstance(layer.__dict__.get(name), Tensor):
            found.setdefault(name, UNKNOWN)
    return found


def current_value(layer: nn.Module, name: str = "weight") -> Tensor | None:
    """What the layer's forward would use as weight or bias now, in evaluation mode: detached; None where it has none.

    Under a mask or a weight norm the attribute `layer.weight` is only what the last forward pass left.
    """
    with evaluating(layer), torch.no_grad():
        for hook in layer._forward_pre_hooks.values():
            if isinstance(hook, prune.BasePruningMethod) and hook._tensor_name == name:
                return getattr(layer, f"{name}_orig").detach() * getattr(layer, f"{name}_mask")
            if isinstance(hook, WeightNorm) and hook.name == name:
                return hook.compute_weight(layer).detach()
            if isinstance(hook, SpectralNorm) and hook.name == name:
                return hook.compute_weight(layer, do_power_iteration=False).detach()
        value = getattr(layer, name)
        return None if value is None else value.detach()


def require_plain(
    model: nn.Module,
    names: Iterable[str] | None = None,
    *,
    parameters: Iterable[str] | None = None,
    masks: bool = False,
) -> None:
    """Refuse layers whose weight or bias is computed from other tensors, or not there yet.

    Args:
        names: of the modules to look at; all where it is None.
        parameters: names such as "weight"; all where it is None.
        masks: whether pruning masks are allowed.

    Raises:
        ValueError: there is one; the sentence names it and the call that makes it plain.
    """
    for module_name, layer in model.named_modules():
        if names is not None and module_name not in names:
            continue
        for name, kind in computed_parameters(layer).items():
            if (parameters is None or name in parameters) and not (masks and kind == _MASK):
                raise ValueError(f"model's layer {module_name!r} has {kind} on its {name}: {_cure(layer, name, kind)}")
        if any(nn.parameter.is_lazy(parameter) for parameter in layer._parameters.values()):
            raise ValueError(f"model's layer {module_name!r} has no weights yet: call the model on an input first.")


def make_plain(layer: nn.Module) -> None:
    """Replace masks, weight norms and parametrisations by ordinary parameters with their current values, in place.

    Frozen parameters stay frozen, and what other layers share with this one keeps its numbers. The layer's mode and
    its other hooks stay.

    Raises:
        ValueError: code of its own computes one.
    """
    for name, kind in computed_parameters(layer).items():
        if kind == UNKNOWN:
            raise ValueError(f"layer {type(layer).__name__} computes its {name} by code of its own.")
        plain = parameter_like(current_value(layer, name), layer, name)
        _untie(layer, name)  # torch writes the masked numbers into the parameter that is behind them
        with evaluating(layer):  # a spectral norm takes a step of its power iteration in training mode
            if kind == _MASK:
                prune.remove(layer, name)
            elif kind == _WEIGHT_NORM:
                remove_weight_norm(layer, name)
            elif kind == _SPECTRAL_NORM:
                remove_spectral_norm(layer, name)
                _forget_spectral_norm_in_files(layer, name)
            else:
                remove_parametrizations(layer, name)
        delattr(layer, name)
        layer.register_parameter(name, plain)


def remove_parametrizations(layer: nn.Module, name: str = "weight") -> None:
    """As torch's function, keeping the computed value, but without harm to copies of the layer."""
    # torch changes the class that it made for the layer, and copies of the layer share it.
    layer.__class__ = type(type(layer).__name__, type(layer).__bases__, dict(vars(type(layer))))
    parametrize.remove_parametrizations(layer, name, leave_parametrized=True)


def hooked(layer: nn.Module) -> bool:
    """Whether forward hooks hang on the layer, those of masks and weight norms left out: they may change its output."""
    before = [hook for hook in layer._forward_pre_hooks.values() if not isinstance(hook, _COMPUTING_HOOKS)]
    return bool(before or layer._forward_hooks)


def overrides_forward(layer: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether the layer, an instance of torch's class `kind`, computes something else than that class does."""
    return "forward" in layer.__dict__ or any(
        getattr(type(layer), name, None) is not getattr(kind, name, None) for name in ("forward", "_conv_forward")
    )


def _computed_tensors(thing) -> Iterator[Tensor]:
    """Tensors that are results of autograd, in a thing's containers and attributes."""
    left, seen = [thing], set()
    while left:
        part = left.pop()
        if id(part) in seen or isinstance(part, type | types.ModuleType | types.FunctionType | str | bytes):
            continue
        seen.add(id(part))
        if isinstance(part, Tensor):
            if not part.is_leaf:
                yield part
        elif isinstance(part, dict):
            left += part.values()
        elif isinstance(part, list | tuple | set | frozenset):
            left += part
        elif isinstance(part, types.MethodType):
            left.append(part.__self__)
        else:
            left += [part.func, part.args, part.keywords] if isinstance(part, functools.partial) else []
            left.append(getattr(part, "__dict__", {}))


def _forget_spectral_norm_in_files(layer: nn.Module, name: str) -> None:
    # torch 2.13 leaves this hook behind, and then no ordinary state can be loaded.
    for key, wrapped in list(layer._load_state_dict_pre_hooks.items()):
        hook = getattr(wrapped, "hook", wrapped)
        if isinstance(hook, SpectralNormLoadStateDictPreHook) and hook.fn.name == name:
            del layer._load_state_dict_pre_hooks[key]


def _memory(parameter: Tensor) -> object:
    if nn.parameter.is_lazy(parameter) or parameter.numel() == 0 or parameter.is_meta:
        return id(parameter)
    return parameter.device, parameter.data_ptr()


def _holder_and_names(layer: nn.Module, name: str) -> tuple[nn.Module, list[str]]:
    """The module that holds the parameters behind `name`, and their names there."""
    if name in getattr(layer, "parametrizations", {}):
        return layer.parametrizations[name], list(layer.parametrizations[name]._parameters)
    names = [part for part in (name, f"{name}_orig", f"{name}_g", f"{name}_v") if part in layer._parameters]
    return layer, names


def _behind(layer: nn.Module, name: str) -> list[nn.Parameter]:
    holder, _ = _holder_and_names(layer, name)
    if holder is not layer:
        return list(holder.parameters())  # those of the parametrisation itself as well
    found = [layer._parameters[part] for part in _holder_and_names(layer, name)[1]]
    return [parameter for parameter in found if parameter is not None]


def _untie(layer: nn.Module, name: str) -> None:
    holder, names = _holder_and_names(layer, name)
    for part in names:
        original = holder._parameters[part]
        holder._parameters[part] = nn.Parameter(original.detach().clone(), requires_grad=original.requires_grad)


def _cure(layer: nn.Module, name: str, kind: str) -> str:
    if kind == _MASK and name == "weight" and isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
        return "call pruning.make_permanent(model) first."
    calls = {
        _MASK: f"torch.nn.utils.prune.remove(layer, {name!r})",
        _WEIGHT_NORM: f"torch.nn.utils.remove_weight_norm(layer, {name!r})",
        _SPECTRAL_NORM: f"torch.nn.utils.remove_spectral_norm(layer, {name!r})",
    }
    if kind == UNKNOWN:
        return "make it a parameter first."
    call = calls.get(kind, f"torch.nn.utils.parametrize.remove_parametrizations(layer, {name!r})")
    return f"call {call} first."
