"""Take a training step: forward, loss, backward, optimizer."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Batch = tuple[Tensor, object]  # inputs, targets


class Step:
    """One optimizer step on one batch, or on several whose gradients add up to that of one large batch.

    A call never waits for the device.

    Args:
        forward: computes the model's logits: the model itself, or the model compiled.
        loss: a function (logits, targets) → scalar, a mean over the samples.
        device: the device of the model and the batches.
        cast_to: the format in which layers compute under `torch.autocast`; None for no autocast. Logits are converted
            back to float32, and parameters and gradients keep their format.
    """

    def __init__(
        self,
        model: nn.Module,
        forward: Callable[[Tensor], Tensor],
        loss: Callable[[Tensor, object], Tensor],
        optimizer: Optimizer,
        device: torch.device,
        cast_to: torch.dtype | None = None,
    ):
        self.model, self.forward, self.loss, self.optimizer = model, forward, loss, optimizer
        self.device, self.cast_to = device, cast_to

    def __call__(self, batches: list[Batch]) -> tuple[Tensor, Tensor]:
        """Train on K batches; return losses [K] and numbers of right answers int64 [K], both on the device."""
        self.optimizer.zero_grad(set_to_none=True)
        samples, seen = sum(len(inputs) for inputs, _ in batches), []
        for inputs, targets in batches:
            logits = self._logits(inputs)
            value = self.loss(logits, targets)
            # The loss is a mean, so each batch is weighted by its share of the samples.
            (value if len(batches) == 1 else value * (len(inputs) / samples)).backward()
            seen.append((value.detach().reshape(()), _count_right(logits, targets)))
        self.optimizer.step()
        losses, right = zip(*seen, strict=True)
        return torch.stack(losses), torch.stack(right)

    def _logits(self, inputs: Tensor) -> Tensor:
        if self.cast_to is None:
            return logits_of(self.model, inputs, self.forward)
        with torch.autocast(self.device.type, self.cast_to):
            return logits_of(self.model, inputs, self.forward).float()


def logits_of(
    model: Callable[[Tensor], Tensor], inputs: Tensor, forward: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Run the model and check that its output is one tensor.

    Args:
        forward: computes the output; default the model itself.

    Raises:
        ValueError: the output is a tuple, a dict or anything else, or a batch norm in training mode got one value per
            channel.
    """
    try:
        logits = (forward or model)(inputs)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            f"A batch of {len(inputs)} leaves batch norm a single value per channel, which has no variance: "
            "each batch must contain at least 2 samples."
        ) from error
    if not isinstance(logits, Tensor):
        raise ValueError(
            f"{type(model).__name__} returns a {type(logits).__name__}; it must return one tensor, the logits."
        )
    return logits


def _count_right(logits: Tensor, targets) -> Tensor:
    labels = targets[0] if isinstance(targets, (tuple, list)) else targets
    return (logits.detach().argmax(1) == labels).sum()
