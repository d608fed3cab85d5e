"""A task: a network, its data, and the settings for training candidates."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import EngineUnavailable, model_outputs, reason
from nnopt_lab.techniques.network_checks import copied
from nnopt_lab.workbench import data, training
from nnopt_lab.workbench.device import CPU


@dataclass(frozen=True)
class GivenPictures:
    """An `ImageSet` of any size and dtype; `to_input` turns its pictures into float32 [N, ...]."""

    train: data.Split
    validation: data.Split
    to_input: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Task:
    """The network, its data, and the settings for training candidates.

    Attributes:
        model: the trained original, in evaluation mode on the CPU.
        pictures: its data.
        epochs: of each of the two training runs.
        rate: highest learning rate (AdamW with a one-cycle schedule).
        batch_size, seed: of the training.
        device: on which candidates are timed.
        folder: caches the original's logits while the task is in use.
    """

    model: nn.Module
    pictures: data.ImageSet
    epochs: int = 2
    rate: float = 1e-3
    batch_size: int = 128
    seed: int = 0
    device: torch.device = CPU
    folder: tempfile.TemporaryDirectory = field(
        default_factory=partial(tempfile.TemporaryDirectory, ignore_cleanup_errors=True), repr=False
    )

    def inputs(self, count: int) -> Tensor:
        """The first `count` validation pictures as network input, repeated if there are fewer."""
        images = self.pictures.validation.images[:count]
        some = self.pictures.to_input(images)
        return some.repeat(-(-count // len(some)), *[1] * (some.dim() - 1))[:count]

    @property
    def calibration(self) -> list[Tensor]:
        """256 training pictures, on which int8 engines choose their grids."""
        return list(self.pictures.to_input(self.pictures.train.images[:256]).split(64))


def as_split(given: data.Split | tuple[Tensor, Tensor] | Sequence, name: str = "data") -> data.Split:
    """Convert data to a split: a split, (pictures [N, ...], labels int64 [N]), or a data set of (picture, label).

    Raises:
        ValueError: it is none of these, there is no picture, or not one label per picture; the message begins with
            `name`.
    """
    if isinstance(given, (data.Split, tuple)):
        images, labels = (given.images, given.labels) if isinstance(given, data.Split) else _pair(given, name)
    else:
        images, labels = _stacked(given, name)
    integers = isinstance(labels, Tensor) and not (labels.is_floating_point() or labels.is_complex())
    if not isinstance(images, Tensor) or images.dim() < 2 or not integers or labels.dim() != 1:
        raise ValueError(
            f"{name} contains {_what(images)} and {_what(labels)}; it must contain [N, ...] and int64 [N]."
        )
    if len(images) != len(labels) or len(images) == 0:
        raise ValueError(
            f"{name} contains {len(images)} pictures and {len(labels)} labels; it must have equally many, at least 1."
        )
    return given if isinstance(given, data.Split) and labels.dtype == torch.int64 else data.Split(images, labels.long())


def require_classifier(task: Task, batch: int = 1) -> None:
    """Check that a task's network classifies its pictures, also in batches of `batch`, and can be trained.

    Raises:
        ValueError: one sentence says what is wrong with the network, `to_input` or the labels.
    """
    try:
        inputs = task.inputs(2)
    except Exception as error:
        given = _what(task.pictures.validation.images[:2])
        raise ValueError(f"to_input cannot be called on {given} ({reason(error)}).") from error
    if inputs.dtype != torch.float32 or len(inputs) != 2:
        raise ValueError(f"to_input returns {_what(inputs)} for 2 pictures; it must return float32 [2, ...].")
    if not any(parameter.requires_grad for parameter in task.model.parameters()):
        cure = "call model.requires_grad_(True) first" if any(True for _ in task.model.parameters()) else "it has none"
        raise ValueError(f"model has no trainable parameter, but candidates are trained: {cure}.")
    for count in (2, batch):
        outputs = model_outputs(task.model, task.inputs(count), f"a batch of {count}")
        if outputs.dim() != 2 or len(outputs) != count:
            raise ValueError(f"model returns {_what(outputs)} for {count} pictures; it must return [{count}, classes].")
    for name in ("train", "validation"):
        lowest, highest = (int(x) for x in getattr(task.pictures, name).labels.aminmax())
        if lowest < 0 or highest >= outputs.shape[1]:
            raise ValueError(
                f"{name} has labels from {lowest} to {highest}, but the model has {outputs.shape[1]} classes, numbered "
                "from 0."
            )
    _require_training(task.model, inputs)


def sentence(error: Exception) -> str:
    """Describe a failure in a line: the message if it was written for users, else with the exception's type."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines and isinstance(error, (ValueError, EngineUnavailable)) else f"{reason(error)}."


def _require_training(model: nn.Module, inputs: Tensor) -> None:
    model = copied(model).train()
    try:
        outputs = training.logits_of(model, inputs.clone())
    except Exception as error:
        raise ValueError(f"model cannot be trained: {sentence(error)}") from error
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    grads = torch.autograd.grad(outputs.sum(), trained, allow_unused=True) if outputs.requires_grad else ()
    if all(grad is None for grad in grads):
        raise ValueError(
            "model cannot be trained: its outputs do not depend on its trainable parameters (because of a detached "
            "tensor, or a forward set from outside that runs another network)."
        )


def _pair(given: tuple, name: str) -> tuple:
    if len(given) != 2:
        raise ValueError(f"{name} is a tuple of {len(given)}; it must be (pictures, labels).")
    return given


def _stacked(given: Sequence, name: str) -> tuple[Tensor, Tensor]:
    try:
        pairs = [given[i] for i in range(len(given))]
        return torch.stack([torch.as_tensor(x) for x, _ in pairs]), torch.tensor([int(y) for _, y in pairs])
    except Exception as error:
        kind = type(given).__name__
        raise ValueError(
            f"{name} is {kind}, which cannot be read as a data set of (picture, label), with pictures of one size "
            f"({reason(error)})."
        ) from error


def _what(given) -> str:
    if not isinstance(given, Tensor):
        return type(given).__name__
    return f"{given.dtype} {list(given.shape)}".removeprefix("torch.")
