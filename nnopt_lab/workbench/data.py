"""The course's data sets: fixed splits as uint8 tensors, and the transform that turns them into the network's input.

Every data set reaches the network as float32 of shape [N, 3, 32, 32], as in the article, whatever its original size
and colours. Only `to_input` pads pictures, repeats grey ones to three channels, scales and normalises.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, Sampler, SequentialSampler

from nnopt_lab.workbench import class_names
from nnopt_lab.workbench.paths import data_dir, how_to_restore
from nnopt_lab.workbench.shapes import draw_shapes

SIZE = 32
FASHION_TRAINING = 20_000
VALIDATION = 2_000
FASHION_SHA256 = "fa5226dff9566827a5678cc7efc7a7842cbc69f838e884caac25746d0443a425"
NAMES = ("fashion", "shapes", "fashion-full", "cifar10")


@dataclass(frozen=True)
class Split:
    """Pictures uint8 [N, C, H, W] and their classes int64 [N]."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index) -> "Split":
        """A new split with the pictures at `index`: a slice, or a list or tensor of positions."""
        return Split(self.images[index], self.labels[index])


class ImageSet(Protocol):
    """The parts of a data set that training and evaluation use: two splits and the transform of their pictures."""

    @property
    def train(self) -> Split:
        """The pictures to train on."""

    @property
    def validation(self) -> Split:
        """The pictures to compare and choose networks with."""

    def to_input(self, images: Tensor) -> Tensor:
        """Turn pictures [N, ...] into the network's input, float32 [N, ...]."""


@dataclass(frozen=True)
class Pictures:
    """One data set: three disjoint splits, class names, and mean and standard deviation per channel in [0, 1]."""

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def to_input(self, images: Tensor) -> Tensor:
        """Pad, scale and normalise pictures: uint8 […, C, H, W] → float32 […, 3, 32, 32].

        C must be 1 or 3, and H = W even and at most 32. The result is bit for bit that of torchvision's `Pad`, `RGB`,
        `ToDtype` and `Normalize`, whose import takes a second.

        Raises:
            ValueError: the size is odd or above 32.
        """
        size, copies = images.shape[-1], 3 // images.shape[-3]
        if size > SIZE or (SIZE - size) % 2:
            raise ValueError(
                f"images has {size}×{size} pixels, which cannot be padded to {SIZE}×{SIZE}: it must be even and ≤ 32."
            )
        padded = torch.cat([torch.nn.functional.pad(images, ((SIZE - size) // 2,) * 4)] * copies, -3)
        mean, std = (
            _per_channel(tuple(values) * (3 // len(values)), images.device) for values in (self.mean, self.std)
        )
        return padded.float().mul_(1 / 255).sub_(mean).div_(std)


def load(name: str = "fashion", *, root: Path | None = None, seed: int = 0, difficulty: float = 1.0) -> Pictures:
    """Load the training, validation and test splits of a data set; the same arguments always give the same splits.

    The validation split is cut from the end of the training pictures. Make choices with it, never with the test split.

    Args:
        name: "fashion" (18,000 + 2,000 of Fashion-MNIST's training pictures and its whole test set, shipped with the
            course), "shapes" (12,000 pictures drawn from `seed`), "fashion-full" or "cifar10" (torchvision's files,
            found in `root` or downloaded to it).
        root: folder of torchvision's files; default `$NNOPT_DATA`, or else the user's cache folder.
        seed: used by "shapes" only.
        difficulty: used by "shapes" only, from 0 (plain shapes) to 1 (clutter, distractors, occluders, noise) and
            beyond.

    Raises:
        ValueError: `name` is none of these, or the shipped file is damaged.
        FileNotFoundError: the files are missing and can't be downloaded.
    """
    if name == "fashion":
        return _load_fashion(data_dir() / "fashion.npz")
    if name == "shapes":
        return _load_shapes(seed, difficulty)
    if name in ("fashion-full", "cifar10"):
        return _load_torchvision(name, root or _download_dir())
    raise ValueError(f"name={name!r} is not a data set of this course; choose one of {', '.join(NAMES)}.")


class Batches(torch.utils.data.Dataset):
    """A split that is read batch by batch: a list of positions selects (inputs, labels)."""

    def __init__(self, split: Split, pictures: ImageSet, augment=None):
        self.split, self.pictures, self.augment = split, pictures, augment

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, positions: list[int]) -> tuple[Tensor, Tensor]:
        positions = torch.as_tensor(positions)
        images = self.split.images[positions]
        if self.augment is not None:
            images = self.augment(images)
        return self.pictures.to_input(images), self.split.labels[positions]


class _WholeBatches(BatchSampler):
    """Batches of positions, all of one size; a last batch of a single position joins the previous batch."""

    def __init__(self, order: Sampler, batch_size: int):
        super().__init__(order, batch_size, drop_last=False)
        self.joins = batch_size > 1 and len(order) > batch_size and len(order) % batch_size == 1

    def __len__(self) -> int:
        return super().__len__() - self.joins

    def __iter__(self) -> Iterator[list[int]]:
        batches = super().__iter__()
        for _ in range(len(self) - self.joins):
            yield next(batches)
        if self.joins:
            yield [*next(batches), *next(batches)]


def loader(
    split: Split,
    pictures: ImageSet,
    batch_size: int = 64,
    *,
    shuffle: bool = False,
    seed: int = 0,
    batches: Iterable[list[int]] | None = None,
    augment=None,
) -> DataLoader:
    """Make a DataLoader that yields (float32 [B, 3, 32, 32], int64 [B]).

    It transforms whole batches in this process, which is faster than worker processes for pictures this small.

    Args:
        split: the pictures and labels to load.
        pictures: the data set whose `to_input` transforms them.
        batch_size: pictures per batch, at least 1. The last batch of a pass may be smaller, but a single picture joins
            the previous batch, because batch norm can't compute a variance from it.
        shuffle: whether every pass has a new order, determined by `seed`.
        seed: of the order, if `shuffle` is True.
        batches: a batch sampler that yields lists of positions and replaces `batch_size` and `shuffle`.
        augment: a function uint8 [B, C, H, W] → uint8 [B, C, H, W], applied before the transform.

    Raises:
        ValueError: `batch_size` is below 1.
    """
    if batches is None:
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1.")
        order = RandomSampler(split, generator=torch.Generator().manual_seed(seed)) if shuffle else None
        batches = _WholeBatches(order or SequentialSampler(split), batch_size)
    return DataLoader(Batches(split, pictures, augment), sampler=batches, batch_size=None)


@cache
def _per_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Put values on a device as [C, 1, 1], once: each such copy waits for the device."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float32, device=device).view(-1, 1, 1)


def random_flips_and_shifts(seed: int = 0, shift: int = 2):
    """Make an augmentation that mirrors each picture with probability ½ and shifts it by up to `shift` pixels.

    Returns:
        A function uint8 [N, C, H, W] → uint8 [N, C, H, W]; pixels that are shifted in are 0. Its random numbers are
        drawn on the device of the pictures, and an accelerator draws others than the CPU.
    """
    generators = {}

    def augment(images: Tensor) -> Tensor:
        n, device = len(images), images.device
        if device not in generators:
            generators[device] = torch.Generator(device).manual_seed(seed)
        generator = generators[device]
        mirrored = torch.rand(n, generator=generator, device=device) < 0.5
        images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images)
        padded = torch.nn.functional.pad(images, (shift,) * 4)
        top, left = torch.randint(0, 2 * shift + 1, (2, n), generator=generator, device=device)
        each, channels, down, across = (torch.arange(size, device=device) for size in images.shape)
        rows = (top[:, None] + down)[:, None, :, None]
        columns = (left[:, None] + across)[:, None, None, :]
        return padded[each[:, None, None, None], channels[:, None, None], rows, columns]

    return augment


def _load_fashion(path: Path) -> Pictures:
    cure = how_to_restore(f"data/{path.name}", "nnopt make-data")
    if not path.is_file():
        raise FileNotFoundError(f"data/{path.name} is missing: {cure}.")
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != FASHION_SHA256:
        raise ValueError(f"data/{path.name} is damaged (its checksum differs): {cure}.")
    with np.load(path) as file:
        train, test = (
            Split(
                torch.from_numpy(file[f"{part}_images"]).unsqueeze(1), torch.from_numpy(file[f"{part}_labels"]).long()
            )
            for part in ("train", "test")
        )
    return Pictures("fashion", *_cut(train), test, class_names.FASHION, (0.286,), (0.353,))


def _load_shapes(seed: int, difficulty: float) -> Pictures:
    images, labels = draw_shapes(12_000, seed=seed, difficulty=difficulty)
    every = Split(images, labels)
    return Pictures("shapes", *_cut(every[:10_000]), every[10_000:], class_names.SHAPES, (0.5,) * 3, (0.25,) * 3)


def _load_torchvision(name: str, root: Path) -> Pictures:
    from torchvision import datasets

    kind = {"fashion-full": datasets.FashionMNIST, "cifar10": datasets.CIFAR10}[name]
    try:
        train, test = (_as_split(kind(root, train=part, download=True)) for part in (True, False))
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"name={name!r}: its files are not in {root} and could not be downloaded. Put torchvision's files there, "
            "pass their folder as root=…, or use 'fashion', which needs no download."
        ) from error
    if name == "cifar10":
        return Pictures(name, *_cut(train), test, class_names.CIFAR, (0.491, 0.482, 0.447), (0.247, 0.243, 0.262))
    return Pictures(name, *_cut(train), test, class_names.FASHION, (0.286,), (0.353,))


def _as_split(dataset) -> Split:
    images = torch.as_tensor(dataset.data)
    images = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()
    return Split(images, torch.as_tensor(dataset.targets).long())


def _cut(train: Split) -> tuple[Split, Split]:
    cut = len(train) - min(VALIDATION, len(train) // 10)
    return train[:cut], train[cut:]


def _download_dir() -> Path:
    from platformdirs import user_cache_path

    return Path(os.environ.get("NNOPT_DATA") or user_cache_path("nnopt-lab"))
