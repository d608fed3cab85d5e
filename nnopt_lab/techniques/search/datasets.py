"""Data as people have it: tensors, arrays, data sets and loaders become a split."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from nnopt_lab.techniques.deployment.engine import reason
from nnopt_lab.workbench import data


def as_split(given, name: str = "data") -> data.Split:
    """Convert data to a split.

    Args:
        given: a split; a tuple (pictures [N, ...], labels [N]) of tensors, arrays or lists; a data set whose items are
            (picture, label) or a dict of these two, with pictures as tensors, arrays or PIL images; or a `DataLoader`
            of such batches, which is read once, in its order. PIL images become uint8 [C, H, W].
        name: begins the messages.

    Raises:
        ValueError: it is none of these, there is no picture, not one label per picture, or labels are no integers from
            0; the message names the cure.
    """
    images, labels = _read(given, name)
    if not isinstance(images, Tensor) or images.dim() < 2 or not isinstance(labels, Tensor):
        raise ValueError(
            f"{name} contains {describe(images)} and {describe(labels)}; it must contain [N, ...] and int64 [N]."
        )
    if len(images) == 0 or labels.dim() == 0 or len(images) != len(labels):
        count = len(labels) if labels.dim() else "single"
        raise ValueError(
            f"{name} contains {len(images)} pictures and {count} labels; it must have equally many, at least 1."
        )
    if images.is_meta or images.is_quantized or images.layout != torch.strided:
        kind = "meta" if images.is_meta else "quantised" if images.is_quantized else "sparse"
        raise ValueError(f"{name} contains {kind} pictures; they must be dense tensors of plain numbers with values.")
    _require_labels(labels, name)
    if not torch.isfinite(images).all():
        raise ValueError(f"{name} contains NaN or infinite values; pictures must be finite: remove or replace these.")
    return given if isinstance(given, data.Split) and labels.dtype == torch.int64 else data.Split(images, labels.long())


def class_names(given) -> tuple[str, ...] | None:
    """The names of classes 0, 1, … that a data set has as `classes`, also inside a `DataLoader` or `Subset`.

    Returns None if it has none.
    """
    inner, met = given, []
    while inner is not None and not any(inner is one for one in met):
        names = getattr(inner, "classes", None)
        if isinstance(names, (list, tuple)) and names and all(isinstance(name, (str, int)) for name in names):
            return tuple(map(str, names))
        met.append(inner)
        inner = getattr(inner, "dataset", None)
    return None


def describe(given) -> str:
    """The dtype and shape of a tensor, or the type of anything else."""
    if not isinstance(given, Tensor):
        return type(given).__name__
    return f"{given.dtype} {list(given.shape)}".removeprefix("torch.")


def _read(given, name: str) -> tuple:
    if isinstance(given, data.Split):
        return given.images, given.labels
    try:
        if isinstance(given, tuple):
            if len(given) != 2:
                raise ValueError(f"{name} is a tuple of {len(given)}; it must be (pictures, labels).")
            return _tensor(given[0]), _tensor(given[1])
        pairs = list(_batches(given) if isinstance(given, DataLoader) else _items(given))
        join = torch.cat if isinstance(given, DataLoader) else torch.stack
        if not pairs:
            raise ValueError(f"{name} contains 0 pictures; it must contain at least 1.")
        return join([image for image, _ in pairs]), join([label for _, label in pairs])
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(f"{name} "):
            raise
        raise ValueError(
            f"{name} is {type(given).__name__}, which cannot be read as a data set of (picture, label), with pictures "
            f"of one size ({reason(error)})."
        ) from error


def _items(given: Sequence) -> Iterator[tuple[Tensor, Tensor]]:
    return (tuple(map(_tensor, _two(given[i]))) for i in range(len(given)))


def _batches(given: DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
    return (tuple(map(_tensor, _two(batch))) for batch in given)


def _two(item) -> tuple:
    """The picture and the label of an item or a batch; a dict has them in this order."""
    picture, label = item.values() if isinstance(item, Mapping) else item
    return picture, label


def _tensor(given) -> Tensor:
    if isinstance(given, Tensor):
        return given.detach()
    if hasattr(given, "getbands"):  # a PIL image, without an import of PIL
        pixels = torch.from_numpy(np.array(given))
        return pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1)
    if isinstance(given, (list, tuple)) and given and (isinstance(given[0], Tensor) or hasattr(given[0], "getbands")):
        return torch.stack([_tensor(one) for one in given])
    return torch.from_numpy(np.array(given))


def _require_labels(labels: Tensor, name: str) -> None:
    numbers = "integers from 0 to classes − 1, of shape [N]"
    if labels.dim() == 2 and labels.shape[1] == 1:
        cure = "call labels.squeeze(1).long()"
    elif labels.dim() == 2:
        cure = "for one-hot labels, call labels.argmax(1)"
    elif labels.dim() == 1 and labels.is_floating_point():
        cure = "if these are whole numbers, call labels.long()"
    elif labels.dim() != 1 or labels.is_complex():
        cure = "optimize takes one class per picture"
    elif labels.min() < 0:
        raise ValueError(
            f"{name} has labels from {int(labels.min())}; they must be {numbers}: leave out the pictures without a "
            "class, or number the classes from 0."
        )
    else:
        return
    raise ValueError(f"{name} contains labels {describe(labels)}; they must be {numbers}: {cure}.")
