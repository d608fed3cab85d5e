"""A network as people have it becomes one that a search can copy, change and train; what was changed is noted."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.network_checks import copied, is_uninitialised
from nnopt_lab.techniques.search.tasks import sentence
from nnopt_lab.workbench.measure import inference

# Wrappers for training and compilation, by the attribute that contains the network itself.
_WRAPPERS = {
    "nn.DataParallel": (nn.DataParallel, "module"),
    "DistributedDataParallel": (nn.parallel.DistributedDataParallel, "module"),
    "torch.compile": (torch._dynamo.eval_frame.OptimizedModule, "_orig_mod"),
    "AveragedModel": (torch.optim.swa_utils.AveragedModel, "module"),
}


def searchable(model: nn.Module) -> tuple[nn.Module, list[str]]:
    """Copy a network for a search: float32, on the CPU, in evaluation mode, without wrappers.

    Args:
        model: as its owner has it; left unchanged.

    Returns:
        The copy, and a sentence for each change other than its device and mode.

    Raises:
        ValueError: it is no `nn.Module`, or its layers can't be copied or changed: a ScriptModule, a quantised or an
            exported network, a lazy layer that was never called, tensors without values (on the meta device), complex
            parameters, or an attribute such as a lock.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"model is {type(model).__name__}; it must be a classifier, a torch.nn.Module{_module_cure(model)}."
        )
    _require_changeable(model)
    model, notes = _unwrapped(model)
    copy = copied(model)
    for method in ("cpu", "eval", "train", "eval"):
        try:
            getattr(copy, method)()
        except Exception as error:
            raise ValueError(f"model.{method}() fails: {sentence(error)}") from error
    notes += _to_float32(copy)
    return copy, notes


def logits_in(outputs):
    """The logits of a named tuple such as those of torchvision's GoogLeNet and Inception; else the outputs."""
    return outputs.logits if isinstance(outputs, tuple) and hasattr(outputs, "logits") else outputs


def without_auxiliary_heads(model: nn.Module, example: Tensor, outputs) -> list[str]:
    """Let a network with auxiliary heads return only its logits in training, as it does in evaluation.

    Heads that evaluation doesn't call are removed, because they could not follow when channels are removed.

    Args:
        model: changed in place.
        example: an input [N, ...].
        outputs: of the network in training mode.

    Returns:
        A note if the network was changed.
    """
    if logits_in(outputs) is outputs:
        return []
    if hasattr(model, "aux_logits"):  # torchvision's switch
        model.aux_logits = False
        for name in _uncalled(model, example):
            setattr(model, name, None)
    model.register_forward_hook(_keep_logits)
    kind = type(outputs).__name__
    return [f"In training, the network returns {kind}; only its logits were trained, not its auxiliary heads."]


def _uncalled(model: nn.Module, example: Tensor) -> list[str]:
    """Names of the children that the network doesn't call in evaluation mode."""
    called, children = set(), dict(model.named_children())
    hooks = [
        child.register_forward_pre_hook(lambda *_, name=name: called.add(name)) for name, child in children.items()
    ]
    with inference(model):
        model(example.clone())
    for hook in hooks:
        hook.remove()
    return [name for name in children if name not in called]


def _keep_logits(model: nn.Module, inputs: tuple, outputs):
    return logits_in(outputs)


def _module_cure(given) -> str:
    if isinstance(given, type) and issubclass(given, nn.Module):
        return f": make one with {given.__name__}(...)"
    if isinstance(given, torch.export.ExportedProgram):
        return ": pass the one that was exported"
    if isinstance(given, Mapping) and given and all(isinstance(value, Tensor) for value in given.values()):
        return ": load these weights into one with load_state_dict"
    return ""


def _require_changeable(model: nn.Module) -> None:
    for name, layer in model.named_modules():
        which = f"model's layer {name!r}" if name else "model"
        if isinstance(layer, torch.jit.ScriptModule):
            raise ValueError(
                f"{which} is a ScriptModule, whose layers can't be changed; pass the torch.nn.Module that it was made "
                "from."
            )
        if "quantized" in type(layer).__module__.split("."):
            raise ValueError(f"{which} is quantised already ({type(layer).__name__}); pass the float network.")
        if is_uninitialised(layer):
            raise ValueError(f"{which} has no weights yet: call the model on an input first.")
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_meta:
            raise ValueError(f"model has {name} on the meta device, where it has no values; load its weights first.")
        if isinstance(tensor, nn.Parameter) and tensor.is_complex():
            raise ValueError(f"model has {name} in {_kind(tensor)}; optimize needs real parameters.")


def _unwrapped(model: nn.Module) -> tuple[nn.Module, list[str]]:
    """The network without wrappers, also inside; the model that was given stays as it is."""
    found = [wrapper for module in model.modules() for wrapper in [_wrapper(module)] if wrapper]
    if not found:
        return model, []
    while wrapper := _wrapper(model):
        model = getattr(model, _WRAPPERS[wrapper][1])
    if any(_wrapper(module) for module in model.modules()):
        model = copied(model)
        while inner := next((name for name, module in model.named_modules() if _wrapper(module)), ""):
            wrapped = model.get_submodule(inner)
            model.set_submodule(inner, getattr(wrapped, _WRAPPERS[_wrapper(wrapped)][1]))
    return model, [f"The network inside {name} was searched, without it." for name in dict.fromkeys(found)]


def _wrapper(module: nn.Module) -> str | None:
    return next((name for name, (kind, _) in _WRAPPERS.items() if isinstance(module, kind)), None)


def _to_float32(model: nn.Module) -> list[str]:
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    others = [t for t in tensors.values() if t.is_floating_point() and t.dtype != torch.float32]
    if not others:
        return []
    kinds = " and ".join(sorted({_kind(tensor) for tensor in others}))
    model.float()
    return [
        f"{len(others)} of the network's {len(tensors)} tensors are {kinds}; it was searched, measured and exported in "
        "float32."
    ]


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
