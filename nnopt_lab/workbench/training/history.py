"""Record a training run, and sum up the losses of an epoch."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class History:
    """Record of a training run; lists have one entry per epoch, accuracies are in percent.

    `interrupted` is True if Ctrl-C (in a notebook, the stop button) ended the run early.
    """

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    images_per_second: list[float] = field(default_factory=list)
    interrupted: bool = False

    def __repr__(self) -> str:
        if not self.train_loss:
            return "History(no epoch finished)"
        epochs = "1 epoch" if len(self.train_loss) == 1 else f"{len(self.train_loss)} epochs"
        return (
            f"History({epochs} in {sum(self.seconds):.1f} s, training loss "
            f"{self.train_loss[-1]:.3f}, validation accuracy {self.validation_accuracy[-1]:.1f} %)"
        )

    def drop_unfinished_epoch(self) -> None:
        """Shorten every list to the epochs that were validated."""
        whole = len(self.validation_accuracy)
        for values in vars(self).values():
            if isinstance(values, list):
                del values[whole:]


class Tally:
    """Sum of the losses and right answers of an epoch, which can stay on the device until the epoch ends.

    Args:
        rate: the learning rate, which the message about a NaN or infinite loss contains.
        gather: whether values stay on the device until `read` is called. Otherwise each is read at once, and the host
            waits until an accelerator's queue is empty.
    """

    def __init__(self, rate: float, gather: bool):
        self.rate, self.gather = rate, gather
        self.loss_sum, self.right, self.count, self._waiting = 0.0, 0, 0, []

    def add(self, losses: Tensor, right: Tensor, sizes: list[int]) -> None:
        """Add K batches: mean losses [K], numbers of right answers int64 [K], and sizes."""
        self._waiting.append((losses, right, sizes))
        if not self.gather:
            self.read()

    def read(self) -> None:
        """Wait for the values that were added, and sum them up.

        Raises:
            ValueError: a loss is NaN or infinite.
        """
        if not self._waiting:
            return
        losses, right, sizes = zip(*self._waiting, strict=True)
        self._waiting = []
        for loss, size in zip(torch.cat(losses).tolist(), (size for group in sizes for size in group), strict=True):
            if not math.isfinite(loss):
                raise ValueError(f"The loss became {loss} at learning rate {self.rate:g}: lower the rate.")
            self.loss_sum += loss * size
            self.count += size
        self.right += sum(torch.cat(right).tolist())

    @property
    def loss(self) -> float:
        """Mean loss of the samples read so far."""
        return self.loss_sum / self.count

    @property
    def accuracy(self) -> float:
        """Accuracy in percent on the samples read so far."""
        return 100 * self.right / self.count
