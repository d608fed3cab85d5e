"""A task: a network, its data, and how candidates are trained."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from nnopt_lab.workbench import data


@dataclass(frozen=True)
class GivenPictures:
    """Pictures of any size and dtype, an `ImageSet`; `to_input` makes float32 [N, ...] of them."""

    train: data.Split
    validation: data.Split
    to_input: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Task:
    """What candidates are made of, and how they are trained.

    Attributes:
        model: the original, trained, in evaluation mode on the CPU.
        pictures: its data.
        epochs: of each of the two trainings.
        rate: highest learning rate (AdamW under one cycle).
        batch_size, seed: of the training.
        folder: where the original's answers are kept, while the task is in use.
    """

    model: nn.Module
    pictures: data.ImageSet
    epochs: int = 2
    rate: float = 1e-3
    batch_size: int = 128
    seed: int = 0
    folder: tempfile.TemporaryDirectory = field(
        default_factory=partial(tempfile.TemporaryDirectory, ignore_cleanup_errors=True), repr=False
    )

    def inputs(self, count: int) -> Tensor:
        """The first `count` validation pictures as the network gets them, repeated where there are fewer."""
        images = self.pictures.validation.images[:count]
        some = self.pictures.to_input(images)
        return some.repeat(-(-count // len(some)), *[1] * (some.dim() - 1))[:count]

    @property
    def calibration(self) -> list[Tensor]:
        """256 training pictures, on which int8 engines choose their grids."""
        return list(self.pictures.to_input(self.pictures.train.images[:256]).split(64))


def as_split(given: data.Split | tuple[Tensor, Tensor] | Sequence) -> data.Split:
    """A split of a split, of (pictures [N, ...], labels int64 [N]), or of a data set of (picture, label).

    Raises:
        ValueError: there is no picture, or not a label for each.
    """
    if not isinstance(given, (data.Split, tuple)):
        pairs = [given[i] for i in range(len(given))]
        given = torch.stack([x for x, _ in pairs]), torch.tensor([int(y) for _, y in pairs])
    split = given if isinstance(given, data.Split) else data.Split(*given)
    if len(split.images) != len(split.labels) or len(split) == 0:
        raise ValueError(
            f"{len(split.images)} pictures and {len(split.labels)} labels: equally many are needed, and at least one."
        )
    return split
