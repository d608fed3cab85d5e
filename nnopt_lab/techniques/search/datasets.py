"""Data as people have it: tensors, arrays, data sets and loaders become a split."""

import torch
from torch import Tensor

from nnopt_lab.techniques.search.reading import read
from nnopt_lab.workbench import data
from nnopt_lab.workbench.device import CPU


def as_split(given, name: str = "data", most_bytes: int | None = None) -> data.Split:
    """Convert data to a split.

    Args:
        given: a split; a tuple (pictures [N, ...], labels [N]) of tensors, arrays or lists; a dict or a numpy file of
            these two; a data set whose items are (picture, label) or a dict of these two, with pictures as tensors,
            arrays or PIL images; or a `DataLoader` of such batches, which is read once, in its order. PIL images become
            uint8 [C, H, W]. A data set with random transforms gives each picture one fixed view.
        name: begins the messages.
        most_bytes: pictures of a data set that take more than this are read when they are needed, see
            `reading.LazyPictures`; default a quarter of the memory.

    Raises:
        ValueError: it is none of these, there is no picture, not one label per picture, or labels are no integers from
            0; the message names the cure.
    """
    images, labels = map(_at_rest, read(given, name, most_bytes))
    what = noun(images)
    shape = getattr(images, "shape", ())
    if len(shape) < 2 or not isinstance(labels, Tensor):
        raise ValueError(
            f"{name} contains {describe(images)} and {describe(labels)}; it must contain [N, ...] and int64 [N]."
        )
    if len(images) == 0 or labels.dim() == 0 or len(images) != len(labels):
        count = len(labels) if labels.dim() else "single"
        raise ValueError(
            f"{name} contains {len(images)} {what} and {count} labels; it must have equally many, at least 1."
        )
    if isinstance(images, Tensor):
        _require_numbers(images, name, what)
    _require_labels(labels, name, what)
    if isinstance(given, data.Split) and images is given.images and labels.dtype == torch.int64:
        return given
    return data.Split(images, labels.long())


def _require_numbers(images: Tensor, name: str, what: str) -> None:
    if kind := next((kind for kind, found in _UNUSABLE.items() if found(images)), None):
        raise ValueError(f"{name} contains {kind} {what}; they must be dense tensors of plain numbers with values.")
    if not images.is_floating_point():
        return
    wrong = sum(int((~torch.isfinite(part)).sum()) for part in images.split(4096))
    if wrong:
        raise ValueError(
            f"{name} contains NaN or infinite values ({100 * wrong / images.numel():.2g} % of all); {what} must be "
            "finite: remove or replace these."
        )


_UNUSABLE = {
    "meta": lambda images: images.is_meta,
    "quantised": lambda images: images.is_quantized,
    "sparse": lambda images: images.layout != torch.strided,
    "complex": lambda images: images.is_complex(),
    "empty": lambda images: images.numel() == 0,
}


def _at_rest(given):
    """A tensor on the CPU without gradients; anything else as it is."""
    if not isinstance(given, Tensor) or given.is_meta or not (given.requires_grad or given.device != CPU):
        return given
    return given.detach().cpu()


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


def noun(images) -> str:
    """The word for inputs in messages: "samples" for a tensor that is not [N, C, H, W], else "pictures"."""
    return "pictures" if len(getattr(images, "shape", "NCHW")) == 4 else "samples"


def describe(given) -> str:
    """The dtype and shape of a tensor, or the type of anything else."""
    if not isinstance(given, Tensor):
        return type(given).__name__
    return f"{given.dtype} {list(given.shape)}".removeprefix("torch.")


def _require_labels(labels: Tensor, name: str, what: str) -> None:
    numbers = "integers from 0 to classes − 1, of shape [N]"
    if labels.dim() == 2 and labels.shape[1] == 1:
        cure = "call labels.squeeze(1).long()"
    elif labels.dim() == 2 and torch.allclose(labels.abs().double().sum(1), torch.ones(len(labels)).double()):
        cure = "for one-hot labels, call labels.argmax(1)"
    elif labels.dim() == 1 and labels.is_floating_point():
        cure = "if these are whole numbers, call labels.long()"
    elif labels.dim() != 1 or labels.is_complex():
        cure = f"optimize takes one class per {what[:-1]}"
    elif labels.long().min() < 0:
        raise ValueError(
            f"{name} has labels from {int(labels.min())}; they must be {numbers}: leave out the {what} without a "
            "class, or number the classes from 0."
        )
    else:
        return
    raise ValueError(f"{name} contains labels {describe(labels)}; they must be {numbers}: {cure}.")
