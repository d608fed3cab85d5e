"""A task: a network, its data, and the settings for training candidates."""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import EngineUnavailable, reason
from nnopt_lab.techniques.pruning.dependency_graph import Group, channel_groups
from nnopt_lab.workbench import data
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
        notes: sentences on what was changed in the network and what is unusual, for reports.
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
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None
    folder: tempfile.TemporaryDirectory = field(
        default_factory=partial(tempfile.TemporaryDirectory, ignore_cleanup_errors=True), repr=False
    )

    def inputs(self, count: int) -> Tensor:
        """The first `count` validation pictures as network input, repeated if there are fewer."""
        images = self.pictures.validation.images[:count]
        some = self.pictures.to_input(images)
        return some.repeat(-(-count // len(some)), *[1] * (some.dim() - 1))[:count]

    @cached_property
    def groups(self) -> list[Group]:
        """The groups of channels of the model; raises as `channel_groups`."""
        return channel_groups(self.model, self.inputs(1))

    @property
    def calibration(self) -> list[Tensor]:
        """256 training pictures, on which int8 engines choose their grids."""
        # A copy, because a network that writes into its input would change the data.
        return list(self.pictures.to_input(self.pictures.train.images[:256]).clone().split(64))


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
