"""Take one training step in mixed precision.

Source: Micikevicius et al. 2018, "Mixed Precision Training" (loss scaling, master weights).
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
    """One training step in mixed precision; returns the loss. For `torch.float16` give a scaler.

    `training.fit` hands the loss straight to autograd; here a scaler stands between them, hence a step of its own.

    Args:
        dtype: of the layers under `torch.autocast`, None for none.
        scaler: multiplies the loss before the gradients are made, divides them again, and leaves out steps in which
            one of them is infinite or NaN.
        loss: function (logits, targets) → scalar.
    """
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(inputs.device.type, dtype or torch.bfloat16, enabled=dtype is not None):
        value = loss(model(inputs), targets)
    scaler = scaler or torch.amp.GradScaler(inputs.device.type, enabled=False)
    scaler.scale(value).backward()
    scaler.step(optimizer)
    scaler.update()
    return value.item()
