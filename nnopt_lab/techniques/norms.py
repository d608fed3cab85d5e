"""Recognise batch norms, among them classes that apply an activation after the normalisation.

Libraries join a batch norm and its activation in one class, such as timm's `BatchNormAct2d`. A class is recognised by
its name, so that its library need not be installed, and a layer counts only if it computes what the class's entry says.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnopt_lab.techniques.network_checks import copied, current_value, evaluating, overrides_forward

_TORCH = {nn.BatchNorm1d: 1, nn.BatchNorm2d: 2, nn.BatchNorm3d: 3, nn.SyncBatchNorm: 0}  # axes after the channels
_JOINED: dict[str, tuple[str | nn.Module, ...]] = {
    "BatchNormAct2d": ("drop", "act"),  # timm
    "SyncBatchNormAct": ("drop", "act"),
    "FrozenBatchNormAct2d": ("drop", "act"),
    "FrozenBatchNorm2d": (),  # torchvision
}


def register_batch_norm(kind: type[nn.Module], after: Sequence[str | nn.Module] = ()) -> None:
    """Make a class known as a batch norm over the channels of [N, C, H, W] with further steps in the same module.

    Args:
        kind: has `running_mean`, `running_var`, `eps`, `weight` and `bias` like `nn.BatchNorm2d`. A later registration
            of the same class name replaces the earlier one.
        after: the steps of its forward after the normalisation, in this order: names of its child modules, or modules
            without parameters, such as `nn.ReLU()` for a forward that calls `F.relu`.

    Raises:
        ValueError: `kind` is not a class of modules, or a step is neither a name nor such a module.
    """
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise ValueError(f"kind={kind!r} must be a subclass of nn.Module.")
    for step in after:
        if not isinstance(step, str | nn.Module) or (isinstance(step, nn.Module) and step.state_dict()):
            raise ValueError(
                f"after contains {step!r}; it must contain names of child modules, or modules without state."
            )
    _JOINED[kind.__name__] = tuple(after)


def is_batch_norm(module: nn.Module) -> bool:
    """Whether a module is one of torch's batch norms, a subclass of one, or of a registered class."""
    return isinstance(module, nn.modules.batchnorm._BatchNorm) or _entry(module) is not None


def axes_after_channels(norm: nn.Module) -> int:
    """How many axes a batch norm's input has after its channels; 0 if any number is allowed."""
    return next((axes for kind, axes in _TORCH.items() if isinstance(norm, kind)), 2)


def steps_after(norm: nn.Module) -> dict[str, nn.Module] | None:
    """The modules that a batch norm applies after the normalisation, by name; empty for torch's own classes.

    None if the module computes something else in evaluation mode, as a subclass with a forward of its own may.
    """
    kind = next((kind for kind in _TORCH if isinstance(norm, kind)), None)
    if kind is not None and not overrides_forward(norm, kind):
        return {}
    entry = _entry(norm)
    if entry is None:
        return None
    steps = {step if isinstance(step, str) else f"step_{n}": _step(norm, step) for n, step in enumerate(entry)}
    if not all(isinstance(step, nn.Module) for step in steps.values()):
        return None
    return steps if _computes(norm, steps) else None


def scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """The numbers a and b per channel for which the normalisation in evaluation mode is a·x + b."""
    scale = (norm.running_var + norm.eps).rsqrt()
    shift = -norm.running_mean * scale
    if norm.weight is not None:
        weight = current_value(norm, "weight")
        scale, shift = scale * weight, shift * weight
    return scale, shift if norm.bias is None else shift + current_value(norm, "bias")


def _entry(module: nn.Module) -> tuple[str | nn.Module, ...] | None:
    return next((_JOINED[kind.__name__] for kind in type(module).__mro__ if kind.__name__ in _JOINED), None)


def _step(norm: nn.Module, step: str | nn.Module) -> nn.Module | None:
    return getattr(norm, step, None) if isinstance(step, str) else copied(step)


def _computes(norm: nn.Module, steps: dict[str, nn.Module]) -> bool:
    """Whether a module gives for random inputs what a batch norm and these steps give."""
    mean, variance = getattr(norm, "running_mean", None), getattr(norm, "running_var", None)
    if mean is None or variance is None:
        return False
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, len(mean), 3, 3, generator=generator).to(mean)
    try:
        with evaluating(norm), torch.no_grad():
            wanted = F.batch_norm(x, mean, variance, norm.weight, norm.bias, eps=norm.eps)
            for step in steps.values():
                wanted = step(wanted)
            got = norm(x)
    except Exception:  # whatever another class's forward raises, it is no batch norm of images
        return False
    tolerance = 1e-3 if x.dtype in (torch.float32, torch.float64) else 3e-2
    return got.shape == wanted.shape and torch.allclose(got, wanted, rtol=tolerance, atol=tolerance)
