"""Lesson 04: a training step that can be timed."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def training_step(model: nn.Module, optimizer: torch.optim.Optimizer, labels: Tensor) -> Callable[[Tensor], None]:
    """A function of inputs [B, …] that trains the model on them once, also within `measure.latency`.

    Args:
        model: is put in training mode and changed by every call.
        optimizer: of the model's parameters.
        labels: int64 [N], of the first N inputs; repeated for larger batches.
    """

    def step(x: Tensor) -> None:
        # `measure.latency` calls this in inference mode, where there are no gradients.
        with torch.inference_mode(False), torch.enable_grad():
            model.train()
            optimizer.zero_grad()
            F.cross_entropy(model(x), labels[torch.arange(len(x)) % len(labels)]).backward()
            optimizer.step()

    return step
