"""Bring batches to the device."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader, Dataset

from nnopt_lab.workbench import data, smoke
from nnopt_lab.workbench import device as devices
from nnopt_lab.workbench.training.steps import Batch


class Uploaded:
    """Batches that are copied to the device one by one."""

    def __init__(self, batches: Iterable[Batch], device: torch.device):
        self.batches, self.device = batches, device

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.batches:
            yield tree_map(lambda x: devices.upload(x, self.device), tuple(batch))


class Resident:
    """A split that is copied to the device once; after that, each pass only copies the order of the pictures.

    The order is the one of `data.loader` for the same seed, and indexing on the device shuffles the pictures. They are
    transformed once on the device, or batch by batch if `augment` is given.

    Args:
        order: a batch sampler, iterated once per pass.
        augment: a function uint8 [B, C, H, W] → uint8 [B, C, H, W], called with pictures on the device.
    """

    def __init__(
        self,
        split: data.Split,
        pictures: data.ImageSet,
        order: Iterable[list[int]],
        device: torch.device,
        augment: Callable[[Tensor], Tensor] | None = None,
    ):
        self.split, self.pictures = split, pictures
        # A DataLoader draws a random number per pass: without one, dropout would draw others than with `data.loader`.
        self.order = DataLoader(_Positions(), sampler=order, batch_size=None, collate_fn=list)
        self.device, self.augment, self._images = device, augment, None

    def _move(self) -> None:
        images = devices.upload(self.split.images, self.device)
        self._images = images if self.augment else self.pictures.to_input(images)
        self._labels = devices.upload(self.split.labels, self.device)

    def __iter__(self) -> Iterator[Batch]:
        if self._images is None:  # in the first pass, whose time includes it
            self._move()
        batches = list(self.order)
        places = torch.tensor(list(chain.from_iterable(batches)), dtype=torch.int64)
        places = devices.upload(devices.pin(places, self.device), self.device)
        for part in places.split([len(batch) for batch in batches]):
            images = self._images[part]
            yield self.pictures.to_input(self.augment(images)) if self.augment else images, self._labels[part]


class _Positions(Dataset):
    """Returns the positions that it is indexed with."""

    def __getitem__(self, positions: list[int]) -> list[int]:
        return positions


def groups(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Yield lists of `size` batches; the last may be shorter."""
    batches = iter(batches)
    while group := list(islice(batches, size)):
        yield group


def without_single_sample(loader: Iterable[Batch], model: nn.Module) -> Iterator[Batch]:
    """Yield the loader's batches; if the model has batch norm, a batch of one sample joins its larger neighbour."""
    batches = smoke.few_batches(loader)
    before = None
    if any(isinstance(layer, _BatchNorm) and layer.training for layer in model.modules()):
        before = next(batches, None)
    for batch in batches:
        if before is None:
            yield batch
        elif (len(before[0]) == 1) != (len(batch[0]) == 1) and before[0].shape[1:] == batch[0].shape[1:]:
            before = tree_map(lambda *parts: torch.cat(parts), tuple(before), tuple(batch))
        else:
            yield before
            before = batch
    if before is not None:
        yield before
