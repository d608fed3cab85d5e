"""A task: a network, its data, and the settings for training candidates."""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import EngineUnavailable, model_outputs, reason
from nnopt_lab.techniques.network_checks import copied
from nnopt_lab.techniques.search.datasets import describe
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
        class_names: the names of classes 0, 1, …, for reports; None if unknown.
        folder: caches the original's logits while the task is in use.
    """

    model: nn.Module
    pictures: data.ImageSet
    epochs: int = 2
    rate: float = 1e-3
    batch_size: int = 128
    seed: int = 0
    device: torch.device = CPU
    class_names: tuple[str, ...] | None = None
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


def require_network(model: nn.Module) -> None:
    """Check that a model's layers can be copied and changed.

    Raises:
        ValueError: it is no `nn.Module`, a ScriptModule, or has tensors without values (on the meta device).
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model is {type(model).__name__}; it must be a classifier, a torch.nn.Module.")
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError(
            "model is a ScriptModule, whose layers can't be changed; pass the torch.nn.Module that it was made from."
        )
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_meta:
            raise ValueError(f"model has {name} on the meta device, where it has no values; load its weights first.")


def require_classifier(task: Task, batch: int = 1) -> None:
    """Check that a task's network classifies its pictures, also in batches of `batch`, and can be trained.

    Raises:
        ValueError: one sentence says what is wrong with the network, `to_input` or the labels.
    """
    try:
        inputs = task.inputs(2)
    except Exception as error:
        given = describe(task.pictures.validation.images[:2])
        raise ValueError(f"to_input cannot be called on {given} ({reason(error)}).") from error
    if inputs.dtype != torch.float32 or len(inputs) != 2:
        raise ValueError(
            f"to_input returns {describe(inputs)} for 2 pictures; it must return float32 [2, ...]{_input_cure(inputs)}."
        )
    for name, parameter in task.model.named_parameters():
        if parameter.dtype != torch.float32:
            kind = str(parameter.dtype).removeprefix("torch.")
            raise ValueError(f"model has {name} in {kind}; it must be float32: call model.float() first.")
    if not any(parameter.requires_grad for parameter in task.model.parameters()):
        cure = "call model.requires_grad_(True) first" if any(True for _ in task.model.parameters()) else "it has none"
        raise ValueError(f"model has no trainable parameter, but candidates are trained: {cure}.")
    for count in (2, batch):
        try:
            outputs = model_outputs(task.model, task.inputs(count), f"a batch of {count}")
        except ValueError as error:
            raise ValueError(f"{error}{_layout_cure(inputs)}") from error
        if outputs.dim() != 2 or len(outputs) != count:
            raise ValueError(
                f"model returns {describe(outputs)} for {count} pictures; it must return [{count}, classes]."
            )
    if outputs.shape[1] == 1:
        raise ValueError(
            "model returns 1 logit per picture; it must return at least 2: for 2 classes, end it with "
            "torch.cat([torch.zeros_like(logit), logit], 1)."
        )
    for name in ("train", "validation"):
        lowest, highest = (int(x) for x in getattr(task.pictures, name).labels.aminmax())
        if lowest < 0 or highest >= outputs.shape[1]:
            cure = ": subtract 1 from the labels" if lowest >= 1 and highest == outputs.shape[1] else ""
            raise ValueError(
                f"{name} has labels from {lowest} to {highest}, but the model has {outputs.shape[1]} classes, numbered "
                f"from 0{cure}."
            )
    _require_training(task.model, inputs)


def _layout_cure(inputs: Tensor) -> str:
    if inputs.dim() == 4 and inputs.shape[3] in (1, 3, 4) and inputs.shape[1] > 4:
        return (
            f" The inputs {list(inputs.shape)} seem to have their channels last: pass pictures.permute(0, 3, 1, 2) "
            "instead."
        )
    return ""


def _input_cure(inputs: Tensor) -> str:
    if inputs.dtype == torch.uint8:
        return ": for pictures scaled to 0 … 1, pass to_input=lambda x: x.float() / 255"
    return ": pass to_input=lambda x: x.float()" if inputs.dtype != torch.float32 and not inputs.is_complex() else ""


def sentence(error: Exception) -> str:
    """Describe a failure in a line: the message if it was written for users, else with the exception's type."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines and isinstance(error, (ValueError, EngineUnavailable)) else f"{reason(error)}."


def guessing(task: Task, accuracy: float) -> list[str]:
    """Note that the original isn't clearly better than always answering the most frequent class.

    Clearly means by more than two standard errors, so that a network which guesses among many classes and has some luck
    is noted too. (The most frequent class has at least the share 1 / classes.)
    """
    labels = task.pictures.validation.labels
    share = int(labels.bincount().max()) / len(labels)
    if accuracy > 100 * (share + 2 * math.sqrt(share * (1 - share) / len(labels))):
        return []
    return [
        f"The original has {accuracy:.1f} % accuracy on validation, and always answering the most frequent class has "
        f"{100 * share:.1f} %: check the weights, to_input and the labels."
    ]


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
