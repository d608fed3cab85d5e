"""Take one training step in mixed precision.

Source: Micikevicius et al. 2018, "Mixed Precision Training", https://arxiv.org/abs/1710.03740 (loss scaling, master
weights).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def step(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    optimizer: Optimizer,
    *,
    dtype: torch.dtype | None = None,
    scaler: torch.amp.GradScaler | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy,
) -> float:
    """Take one training step in mixed precision; returns the loss.

    This needs its own step, because `training.fit` has no scaler between the loss and autograd.

    Args:
        model: maps the inputs to logits; trained in place.
        inputs, targets: one batch.
        optimizer: over the model's parameters.
        dtype: of the layers under `torch.autocast`; default no autocast.
        scaler: multiplies the loss before the backward pass, divides the gradients afterwards, and skips steps with
            an infinite or NaN gradient. Needed for `torch.float16`.
        loss: a function (logits, targets) → scalar.
    """
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(inputs.device.type, dtype or torch.bfloat16, enabled=dtype is not None):
        value = loss(model(inputs), targets)
    scaler = scaler or torch.amp.GradScaler(inputs.device.type, enabled=False)
    scaler.scale(value).backward()
    scaler.step(optimizer)
    scaler.update()
    return value.item()
