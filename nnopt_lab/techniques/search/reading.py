"""Read data as people have it: whole into memory, or batch by batch if it is too large for that."""

import contextlib
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, Subset

from nnopt_lab.techniques.deployment.engine import reason
from nnopt_lab.workbench import data
from nnopt_lab.workbench.progress_bar import progress_bar

CHUNK = 2**24  # bytes of pictures that are read at once
_LABEL_NAMES = ("label", "labels", "target", "targets", "y", "class")
_PICTURE_NAMES = ("image", "images", "picture", "pictures", "img", "pixel_values", "x", "input", "inputs", "data")


class LazyPictures:
    """The pictures of a data set that is larger than memory; indexing with positions or a slice reads them.

    A data set with random transforms gives each picture one fixed view.

    Args:
        fetch: positions → (pictures, labels).
        count: number of pictures.
        name: begins the messages.
    """

    def __init__(self, fetch: Callable[[list[int]], tuple[Tensor, Tensor]], count: int, name: str):
        self._fetch, self._count, self._name = fetch, count, name
        self._sample = self[torch.linspace(0, count - 1, min(count, 16)).long()]
        self.shape, self.dtype = torch.Size([count, *self._sample.shape[1:]]), self._sample.dtype

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index) -> Tensor:
        positions = range(self._count)[index] if isinstance(index, slice) else torch.as_tensor(index).tolist()
        if not len(positions):
            return self._sample[:0]
        pictures = self._fetch(list(positions))[0]
        if pictures.is_floating_point() and not torch.isfinite(pictures).all():
            at = next(p for p, picture in zip(positions, pictures, strict=True) if not torch.isfinite(picture).all())
            raise ValueError(
                f"{self._name} contains NaN or infinite values at position {at}; pictures must be finite: remove or "
                "replace these."
            )
        return pictures

    def fingerprint_parts(self) -> tuple:
        """What a fingerprint of these pictures depends on: their number and 16 of them."""
        return self._count, self._sample


def read(given, name: str, most_bytes: int | None = None) -> tuple:
    """Read pictures and labels.

    Args:
        given: see `datasets.as_split`.
        name: begins the messages.
        most_bytes: pictures that take more than this are read lazily; default a quarter of the memory.

    Returns:
        Pictures, a tensor or `LazyPictures`, and labels, a tensor.

    Raises:
        ValueError: it can't be read; the message says which item failed, if one did.
    """
    most_bytes = memory() // 4 if most_bytes is None else most_bytes
    try:
        return _Reader(name, most_bytes).read(given)
    except _Worded as error:
        raise ValueError(f"{name} {error}") from error.__cause__
    except Exception as error:
        why = reason(error)
        if isinstance(error, _ItemFails):
            why = f"item {error.position} gives {reason(error.__cause__)}"
        raise ValueError(
            f"{name} is {type(given).__name__}, which cannot be read as a data set of (picture, label), with pictures "
            f"of one size ({why})."
        ) from error


def memory() -> int:
    """Bytes of memory that this process may use: the machine's, or its container's if that is less."""
    sizes = [2**34]
    with contextlib.suppress(AttributeError, ValueError, OSError):
        sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with contextlib.suppress(ValueError, OSError):
        sizes.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(sizes)


class _Worded(Exception):
    """Data that can't be used; the message continues a sentence that begins with the argument's name."""


class _ItemFails(Exception):
    def __init__(self, position: int):
        super().__init__()
        self.position = position


@dataclass(frozen=True)
class _Reader:
    name: str
    most_bytes: int

    def read(self, given) -> tuple:
        if isinstance(given, data.Split):
            return given.images, given.labels
        if isinstance(given, Mapping):
            given = _two(given)
        if isinstance(given, tuple):
            if len(given) != 2:
                raise _Worded(f"is a tuple of {len(given)}; it must be (pictures, labels).")
            return self._array(given[0]), _label(given[1])
        if isinstance(given, DataLoader):
            return self._loader(given)
        if isinstance(given, IterableDataset):
            return self._joined(([p[None], y[None]] for p, y in map(_pair, given)), None)
        if len(given) == 0:
            raise _Worded("contains 0 pictures; it must contain at least 1.")

        def fetch(positions: Sequence[int]) -> tuple[Tensor, Tensor]:
            return tuple(map(torch.stack, zip(*(_item(given, i) for i in positions), strict=True)))

        return self._source(_in_one_view(fetch), len(given), lambda: _known_labels(given))

    def _array(self, given):
        if not isinstance(given, np.memmap) or given.nbytes <= self.most_bytes:
            return as_tensor(given)
        return LazyPictures(lambda at: (torch.from_numpy(np.array(given[at])), None), len(given), self.name)

    def _loader(self, loader: DataLoader) -> tuple:
        if isinstance(loader.dataset, IterableDataset) or loader.batch_sampler is None:
            return self._joined(map(_pair, loader), None)
        batches = iter(loader)
        first = [_pair(batch) for batch in islice(batches, 1)]
        if not first or not self._too_large(first[0][0], len(loader) * len(first[0][0])):
            return self._joined(chain(first, map(_pair, batches)), None)
        order = [position for batch in loader.batch_sampler for position in batch]

        def fetch(positions: Sequence[int]) -> tuple[Tensor, Tensor]:
            return _pair(loader.collate_fn([loader.dataset[order[i]] for i in positions]))

        return self._source(_in_one_view(fetch), len(order), lambda: None)

    def _source(self, fetch: Callable, count: int, known_labels: Callable) -> tuple:
        first = fetch([0])[0]
        step = max(1, min(CHUNK // max(first.nbytes, 1), count))
        chunks = [range(start, min(start + step, count)) for start in range(0, count, step)]
        if not self._too_large(first, count):
            return self._joined(map(fetch, chunks), count)
        pictures, labels = LazyPictures(fetch, count, self.name), known_labels()
        if labels is None or not self._agree(labels, fetch, count):
            labels = torch.cat([fetch(chunk)[1] for chunk in self._shown(chunks, "chunk")])
        return pictures, labels

    def _agree(self, labels: Tensor, fetch: Callable, count: int) -> bool:
        """Whether labels that a data set has as an attribute are those of its items, which a transform may change."""
        places = torch.linspace(0, count - 1, min(count, 64)).long()
        return len(labels) == count and torch.equal(labels[places], fetch(places.tolist())[1])

    def _too_large(self, batch: Tensor, count: int) -> bool:
        return batch.nbytes / max(len(batch), 1) * count > self.most_bytes

    def _joined(self, parts: Iterable[tuple[Tensor, Tensor]], count: int | None) -> tuple[Tensor, Tensor]:
        """All parts in memory, in one tensor that is filled part by part if their number is known."""
        images, labels, taken, filled = [], [], 0, 0
        for picture, label in self._shown(parts, "part") if count and count > 2_000 else parts:
            taken += picture.nbytes
            if count is None and taken > self.most_bytes:
                raise _Worded(
                    f"has more than {self.most_bytes / 2**30:.1f} GiB of pictures and no fixed order, so it can't be "
                    "read batch by batch: give a data set with a length and items by position."
                )
            if images and picture.shape[1:] != images[0].shape[1:]:
                raise ValueError(f"{list(picture.shape[1:])} after {list(images[0].shape[1:])}")
            if count and (not images or images[0].dtype != torch.promote_types(images[0].dtype, picture.dtype)):
                kind = torch.promote_types(images[0].dtype, picture.dtype) if images else picture.dtype
                whole = torch.empty((count, *picture.shape[1:]), dtype=kind)
                if images:
                    whole[:filled] = images[0][:filled]
                images = [whole]
            if count:
                images[0][filled : filled + len(picture)] = picture
            else:
                images.append(picture)
            labels.append(label)
            filled += len(picture)
        if not images:
            raise _Worded("contains 0 pictures; it must contain at least 1.")
        return images[0] if count else torch.cat(images), torch.cat(labels)

    def _shown(self, parts: Iterable, unit: str) -> Iterable:
        return progress_bar(parts, desc=f"reading {self.name}", unit=unit)


def _item(given, position: int) -> tuple[Tensor, Tensor]:
    try:
        return _pair(given[position])
    except _Worded:
        raise
    except Exception as error:
        raise _ItemFails(position) from error


def _in_one_view(fetch: Callable) -> Callable:
    """A fetch of single items whose random numbers depend on their position only, so that they are always the same."""

    def fetch_seeded(positions: Sequence[int]) -> tuple[Tensor, Tensor]:
        states = random.getstate(), np.random.get_state()
        with torch.random.fork_rng(devices=[]):
            try:
                parts = []
                for position in positions:
                    random.seed(position)
                    np.random.seed(position % 2**32)
                    torch.default_generator.manual_seed(position)
                    parts.append(fetch([position]))
            finally:
                random.setstate(states[0])
                np.random.set_state(states[1])
        return tuple(map(torch.cat, zip(*parts, strict=True)))

    return fetch_seeded


def _known_labels(given) -> Tensor | None:
    """All labels of a data set that has them as an attribute, as torchvision's have, also inside a `Subset`."""
    if isinstance(given, Subset):
        labels = _known_labels(given.dataset)
        return None if labels is None else labels[list(given.indices)]
    for name in ("targets", "labels"):
        with contextlib.suppress(Exception):
            labels = torch.as_tensor(getattr(given, name))
            if labels.dim() == 1:
                return labels
    return None


def _pair(item) -> tuple[Tensor, Tensor]:
    picture, label = _two(item)
    return as_tensor(picture), _label(label)


def _two(item) -> tuple:
    """The picture and the label of an item or a batch; a dict has them by a usual name, or in this order."""
    if isinstance(item, Mapping):
        labels = [key for key in item if str(key).lower() in _LABEL_NAMES]
        pictures = [key for key in item if str(key).lower() in _PICTURE_NAMES]
        if len(labels) == 1 and (len(item) == 2 or len(pictures) == 1):
            others = pictures or [key for key in item if key not in labels]
            return item[others[0]], item[labels[0]]
        item = item.values()
    picture, label = item
    return picture, label


def as_tensor(given) -> Tensor:
    """A tensor, an array, a number, a PIL image, or a list of these as a tensor; PIL images become uint8 [C, H, W]."""
    if isinstance(given, Tensor):
        return given.detach()
    if hasattr(given, "getbands"):  # a PIL image, without an import of PIL
        pixels = torch.from_numpy(np.array(given))
        return pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1)
    if isinstance(given, (list, tuple)) and given and (isinstance(given[0], Tensor) or hasattr(given[0], "getbands")):
        return torch.stack([as_tensor(one) for one in given])
    return torch.from_numpy(np.array(given))


def _label(given) -> Tensor:
    if not isinstance(given, Tensor):
        labels = np.array(given)
        text = labels.ravel()[0] if labels.dtype.kind in "OUS" and labels.size else None
        if isinstance(text, str | bytes):
            raise _Worded(
                f"has labels that are text, such as {str(text)!r}; they must be integers from 0 to classes − 1, of "
                "shape [N]: number the classes."
            )
    return as_tensor(given)
