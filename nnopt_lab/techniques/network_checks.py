"""Find everything in a network beside plain weights: ties, masks, parametrisations, hooks, frozen parameters.

Every technique that replaces, reads or writes a network's parameters uses these checks. It either preserves what they
find (`parameter_like`, `replace_module`, `current_value`, `make_plain`) or raises one `ValueError` that names the
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
UNKNOWN = "custom code"
_MASK, _WEIGHT_NORM, _SPECTRAL_NORM = "a pruning mask", "weight_norm", "spectral_norm"


# Copies and modes


def copied(thing):
    """A deep copy of a model, or of a tuple such as (model, optimizer) whose parts share parameters.

    torch can't deep-copy tensors that were computed with gradients, such as a masked weight after a forward pass; their
    copies have the same numbers without the graph. Masks and weight norms recompute them in the next forward pass.

    Raises:
        ValueError: it contains something that can't be copied, such as a lock or an open file; the message names it.
    """
    memo = {id(tensor): tensor.detach().clone() for tensor in _computed_tensors(thing)}
    try:
        return copy.deepcopy(thing, dict(memo))
    except Exception as error:
        _require_initialised(thing)
        reason = f"{type(error).__name__}: {first_sentence(error)}"
        raise ValueError(f"model cannot be copied{_uncopyable(thing, memo)} ({reason}).") from error


def is_uninitialised(layer: nn.Module) -> bool:
    """Whether a lazy layer was not called yet, so that its parameters or buffers have no shape."""
    return any(nn.parameter.is_lazy(t) for t in (*layer._parameters.values(), *layer._buffers.values()))


def _require_initialised(thing) -> None:
    for name, layer in thing.named_modules() if isinstance(thing, nn.Module) else ():
        if is_uninitialised(layer):
            raise ValueError(f"model's layer {name!r} has no weights yet: call the model on an input first.")


def _uncopyable(thing, memo: dict) -> str:
    """Name the first attribute of a model's modules that can't be copied, as " because of …"; "" if none is found."""
    for name, module in thing.named_modules() if isinstance(thing, nn.Module) else ():
        for attribute, value in vars(module).items():
            if attribute not in ("_modules", "_parameters", "_buffers"):
                try:
                    copy.deepcopy(value, dict(memo))
                except Exception:
                    owner = f" of its layer {name!r}" if name else ""
                    return f" because of the attribute {attribute!r}{owner}: remove that first"
    return ""


def first_sentence(error: BaseException) -> str:
    """The first sentence of an exception's message, without its full stop and without torch.fx's additions."""
    lines = str(error).strip().splitlines()
    return lines[0].split(". ")[0].rstrip(". ") if lines else "no message"


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode; afterwards, each submodule returns to its previous mode."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def parameter_like(tensor: Tensor, layer: nn.Module, name: str = "weight") -> nn.Parameter:
    """A parameter with a copy of a tensor's numbers, frozen if and only if the layer's `name` is."""
    return nn.Parameter(tensor.detach().clone(), requires_grad=not frozen(layer, name))


def frozen(layer: nn.Module, name: str = "weight") -> bool:
    """Whether a layer's parameter is frozen, or, if it is computed, whether all parameters behind it are."""
    behind = _behind(layer, name)
    return bool(behind) and not any(parameter.requires_grad for parameter in behind)


# Modules in several places


def module_names(model: nn.Module) -> dict[nn.Module, list[str]]:
    """All names of each module, in the model's order; several if the same module is used in several places."""
    names: dict[nn.Module, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
    return names


def replace_module(model: nn.Module, name: str, new: nn.Module) -> nn.Module:
    """Replace the module `name` by `new` wherever the same module is used; returns the model.

    The name "" means the model itself: then `new` is returned. `new` gets the old module's sizes as attributes, such as
    `out_channels`, unless it has them already, because some networks read them.
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
    """For each parameter that shares memory with another module's parameter, the names of the others.

    A module with two names does not count: see `module_names`.
    """
    shared: dict[object, list[str]] = {}
    for module_name, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                shared.setdefault(_memory(parameter), []).append(f"{module_name}.{name}".lstrip("."))
    return {name: [n for n in names if n != name] for names in shared.values() if len(names) > 1 for name in names}


def ties_of(model: nn.Module, name: str) -> list[str]:
    """Names of other modules' parameters that share memory with a parameter of the module `name`."""
    tied = tied_parameters(model)
    module = model.get_submodule(name)
    own = [f"{name}.{parameter}".lstrip(".") for parameter, _ in module.named_parameters()]
    return [other for parameter in own for other in tied.get(parameter, ()) if other not in own]


def require_untied(model: nn.Module, names: Iterable[str]) -> None:
    """Check that no layer shares a parameter with another layer.

    Raises:
        ValueError: one of the modules `names` does; the message names both.
    """
    for name in names:
        for other in ties_of(model, name):
            raise ValueError(f"model's layer {name!r} is tied with {other!r}: untie them first.")


# Computed parameters: masks, parametrisations, weight norms


def computed_parameters(layer: nn.Module) -> dict[str, str]:
    """The layer's tensors that are computed from others before use, by name, each with the mechanism.

    Recognised are masks of `torch.nn.utils.prune`, parametrisations, and the hooks of the older `weight_norm` and
    `spectral_norm`. Any other weight or bias that is a tensor but not a parameter counts as "custom code".
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
    """The weight or bias that the layer's forward would use now in evaluation mode, detached; None if it has none.

    Under a mask or a weight norm, the attribute `layer.weight` is only a result of the last forward pass.
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
    """Check that no layer's weight or bias is computed from other tensors or still uninitialised.

    Args:
        model: the model to check.
        names: of the modules to check; default all.
        parameters: names such as "weight"; default all.
        masks: whether pruning masks are allowed.

    Raises:
        ValueError: there is one; the message names the layer and the call that makes it plain.
    """
    for module_name, layer in model.named_modules():
        if names is not None and module_name not in names:
            continue
        for name, kind in computed_parameters(layer).items():
            if (parameters is None or name in parameters) and not (masks and kind == _MASK):
                raise ValueError(f"model's layer {module_name!r} has {kind} on its {name}: {_cure(layer, name, kind)}")
        if is_uninitialised(layer):
            raise ValueError(f"model's layer {module_name!r} has no weights yet: call the model on an input first.")


def make_plain(layer: nn.Module) -> None:
    """Replace masks, weight norms and parametrisations by ordinary parameters with their current values, in place.

    Frozen parameters stay frozen, and parameters shared with other layers keep their numbers. The layer keeps its mode
    and its other hooks.

    Raises:
        ValueError: custom code computes a weight or bias.
    """
    for name, kind in computed_parameters(layer).items():
        if kind == UNKNOWN:
            raise ValueError(f"layer {type(layer).__name__} computes its {name} by custom code.")
        plain = parameter_like(current_value(layer, name), layer, name)
        _untie(layer, name)  # torch writes the masked numbers into the original parameter
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
    """Like torch's function, keeping the computed value, but without breaking copies of the layer."""
    # torch changes the class that it made for the layer, and copies of the layer share that class.
    layer.__class__ = type(type(layer).__name__, type(layer).__bases__, dict(vars(type(layer))))
    parametrize.remove_parametrizations(layer, name, leave_parametrized=True)


def hooked(layer: nn.Module) -> bool:
    """Whether the layer has forward hooks that may change its output, other than those of masks and weight norms."""
    before = [hook for hook in layer._forward_pre_hooks.values() if not isinstance(hook, _COMPUTING_HOOKS)]
    return bool(before or layer._forward_hooks)


def overrides_forward(layer: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether the layer, an instance of torch's class `kind`, overrides that class's computation."""
    return "forward" in layer.__dict__ or any(
        getattr(type(layer), name, None) is not getattr(kind, name, None) for name in ("forward", "_conv_forward")
    )


def _computed_tensors(thing) -> Iterator[Tensor]:
    """Yield tensors that autograd computed, in a thing's containers and attributes."""
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
    # torch 2.13 leaves this hook behind, and then the layer can't load a plain state dict.
    for key, wrapped in list(layer._load_state_dict_pre_hooks.items()):
        hook = getattr(wrapped, "hook", wrapped)
        if isinstance(hook, SpectralNormLoadStateDictPreHook) and hook.fn.name == name:
            del layer._load_state_dict_pre_hooks[key]


def _memory(parameter: Tensor) -> object:
    if nn.parameter.is_lazy(parameter) or parameter.numel() == 0 or parameter.is_meta:
        return id(parameter)
    return parameter.device, parameter.data_ptr()


def _holder_and_names(layer: nn.Module, name: str) -> tuple[nn.Module, list[str]]:
    """The module that has the parameters behind `name`, and their names there."""
    if name in getattr(layer, "parametrizations", {}):
        return layer.parametrizations[name], list(layer.parametrizations[name]._parameters)
    names = [part for part in (name, f"{name}_orig", f"{name}_g", f"{name}_v") if part in layer._parameters]
    return layer, names


def _behind(layer: nn.Module, name: str) -> list[nn.Parameter]:
    holder, _ = _holder_and_names(layer, name)
    if holder is not layer:
        return list(holder.parameters())  # including those of the parametrisation itself
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
