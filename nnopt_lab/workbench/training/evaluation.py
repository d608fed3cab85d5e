"""Compute the loss and accuracy of a network on a split."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nnopt_lab.workbench import data, smoke
from nnopt_lab.workbench import device as devices
from nnopt_lab.workbench.measure.modes import inference
from nnopt_lab.workbench.training.feeding import Uploaded
from nnopt_lab.workbench.training.places import device_of
from nnopt_lab.workbench.training.steps import logits_of

BATCH_SIZE, BATCH_BYTES = 500, 2**25  # most pictures, and bytes of their inputs, per forward pass


@dataclass(frozen=True)
class Evaluation:
    """Result on one split: mean loss, accuracy in percent, and which pictures were classified correctly (bool [N])."""

    loss: float
    accuracy: float
    correct: Tensor


def evaluate(
    model: nn.Module, split: data.Split, pictures: data.ImageSet, *, batch_size: int | None = None, device=None
) -> Evaluation:
    """Compute the loss and accuracy of `model` on a split, in evaluation mode without gradients.

    The model's mode is restored afterwards.

    Args:
        model: maps float32 [B, 3, 32, 32] to logits float [B, classes].
        split: the pictures and labels to evaluate on.
        pictures: the data set whose `to_input` transforms them.
        batch_size: pictures per forward pass; default 500, or fewer if they are large, see `fitting_batch`.
        device: default the model's device.

    Raises:
        ValueError: the device is missing, or the model doesn't return a tensor.
    """
    device = devices.find(device) if device is not None else device_of(model)
    batch_size = fitting_batch(split, pictures) if batch_size is None else batch_size
    return judge(model, Uploaded(data.loader(smoke.few(split), pictures, batch_size), device), len(split))


def fitting_batch(split: data.Split, pictures: data.ImageSet) -> int:
    """The number of pictures per forward pass that bounds the memory: 500, or as many as give 32 MiB of input."""
    largest = pictures.to_input(split.images[:1]).nbytes
    return max(1, min(BATCH_SIZE, BATCH_BYTES // max(largest, 1)))


def judge(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], count: int) -> Evaluation:
    """Evaluate on a split of `count` pictures, in batches on the model's device; wait for the device only once."""
    losses, correct = [], []
    with inference(model):
        for inputs, labels in batches:
            logits = logits_of(model, inputs)
            losses.append(nn.functional.cross_entropy(logits, labels, reduction="sum"))
            correct.append(logits.argmax(1) == labels)
        total = 0.0
        for loss in torch.stack(losses).tolist():
            total += loss  # not `sum`, which rounds differently from Python 3.12 on
    correct = torch.cat(correct).cpu().clone()  # outside inference mode, so that autograd can use it
    accuracy = 100 * correct.float().mean().item()
    return Evaluation(total / len(correct), accuracy, smoke.repeat_rows(correct, count))
