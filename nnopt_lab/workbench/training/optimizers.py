"""Check optimizers, and switch them to the versions of their step that are fast on a device.

torch's optimizers have two flags for that. `fused` updates all parameters in one kernel. `capturable` keeps the step
count on the device, so that a graph can record the step. The learning rate of a recorded step must be a tensor, since a
number would be recorded as a constant.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def optimizer_of(
    model: nn.Module, optimizer: Optimizer | Callable[[Iterable[nn.Parameter]], Optimizer] | None
) -> Optimizer:
    """Return the optimizer that `fit` was given, call it if it is a function, or make the article's SGD if it is None.

    Raises:
        ValueError: the optimizer has other tensors than the model's parameters.
    """
    if optimizer is None:
        return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    if not isinstance(optimizer, Optimizer):
        optimizer = optimizer(model.parameters())
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    mine = {id(p) for p in model.parameters()}
    left_out = {id(p) for p in model.parameters() if p.requires_grad} - held
    # Training a part of the model, or more than the model, is allowed; other tensors instead of its own are a mistake.
    if not held & mine or (held - mine and left_out):
        raise ValueError(
            f"optimizer lacks {len(left_out)} of the model's parameters and updates other tensors instead: create it "
            "after the last change to the model."
        )
    return optimizer


def require_trainable(optimizer: Optimizer) -> None:
    """Raise a ValueError if all parameters of an optimizer are frozen, which leaves nothing to train."""
    if not any(p.requires_grad for group in optimizer.param_groups for p in group["params"]):
        raise ValueError("All of the optimizer's parameters are frozen: call model.requires_grad_(True) first.")


def use_fused(optimizer: Optimizer) -> None:
    """Make an optimizer update all parameters in one kernel, from its next step on.

    Raises:
        ValueError: the optimizer has no fused version.
    """
    if "fused" not in optimizer.defaults:
        raise ValueError(f"fused=True: {_name(optimizer)} has no fused version; use SGD, Adam or AdamW.")
    _set_flags(optimizer, fused=True)


def use_capturable(optimizer: Optimizer) -> None:
    """Make it possible to record an optimizer's step in a graph: set its flags `fused` and `capturable`.

    Raises:
        ValueError: the optimizer has neither flag, or a custom `step` in Python, which would run only once.
    """
    if not type(optimizer).step.__module__.startswith("torch.optim"):
        raise ValueError(
            f"cuda_graph=True: a graph can't record {_name(optimizer)}, which is not one of torch's own optimizers: "
            "its Python code would run only once."
        )
    flags = {name: True for name in ("fused", "capturable") if name in optimizer.defaults}
    if not flags or isinstance(optimizer, torch.optim.Adagrad):  # fused on the CPU only
        raise ValueError(
            f"cuda_graph=True: a graph can't record the steps of {_name(optimizer)}, which has no capturable or fused "
            "version; use SGD, Adam or AdamW."
        )
    _set_flags(optimizer, **flags)


@contextmanager
def rates_on(optimizer: Optimizer, device: torch.device) -> Iterator[None]:
    """Make each group's learning rate a tensor on a device, which schedulers write to; afterwards a number again."""
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(float(group["lr"]), device=device)
    try:
        yield
    finally:
        for group in optimizer.param_groups:
            group["lr"] = float(group["lr"])


def tensors_of(optimizer: Optimizer) -> list[Tensor]:
    """List the tensors that a step changes: parameters and state."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return parameters + [v for state in optimizer.state.values() for v in state.values() if isinstance(v, Tensor)]


def constants_of(optimizer: Optimizer) -> list[dict]:
    """List the settings of each group that are not tensors: a graph records them as constants."""
    return [{k: v for k, v in g.items() if k != "params" and not isinstance(v, Tensor)} for g in optimizer.param_groups]


def _set_flags(optimizer: Optimizer, **flags: bool) -> None:
    for group in optimizer.param_groups:
        group.update(flags, foreach=None)
    if optimizer.state:  # loading moves the step count to the device that the flags require
        optimizer.load_state_dict(optimizer.state_dict())


def _name(optimizer: Optimizer) -> str:
    return type(optimizer).__name__
