"""Data by name: a data set of torchvision, a folder of pictures, or a file of arrays, with the usual preprocessing."""

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset

from nnopt_lab.techniques.deployment.engine import reason

SHARE = 0.1  # of the pictures that validate where the data have no part for it
PREFIX = "torchvision:"
_TRAIN, _VALIDATION = ("train", "trainval", "train-standard"), ("val", "valid", "validation")
_IMAGES = ("images", "image", "x", "pictures", "data", "inputs")
_LABELS = ("labels", "label", "y", "targets", "target")


@dataclass(frozen=True)
class NamedData:
    """Data to train and validate on, see `datasets.as_split`, and the transform of uint8 pictures."""

    train: object
    validation: object
    to_input: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Preprocessing:
    """How pictures become a network's input.

    Attributes:
        size: pictures of a data set are resized and cropped to size × size; None if all have one size.
        mean, std: per channel, after scaling to 0 … 1; empty for none.
        channels: grey pictures are repeated to as many channels; None to keep them.
    """

    size: int | None = None
    mean: Sequence[float] = ()
    std: Sequence[float] = ()
    channels: int | None = None

    def __post_init__(self):
        if self.size is not None and self.size < 1:
            raise ValueError(f"size={self.size} must be at least 1.")
        if len(self.mean) != len(self.std) or any(not value > 0 for value in self.std):
            raise ValueError(f"mean={self.mean} and std={self.std} must be equally many numbers, std above 0.")

    def to_input(self, images: Tensor) -> Tensor:
        """Scale uint8 pictures [N, C, H, W] to 0 … 1 and normalise them; other numbers are only normalised."""
        inputs = images.float() / 255 if images.dtype == torch.uint8 else images.float()
        if self.channels and inputs.dim() == 4 and inputs.shape[1] == 1:
            inputs = inputs.expand(-1, self.channels, -1, -1)
        if not len(self.mean):
            return inputs.contiguous()
        if inputs.dim() < 2 or len(self.mean) not in (1, inputs.shape[1]):
            raise ValueError(f"mean has {len(self.mean)} numbers for pictures of shape {list(inputs.shape[1:])}.")
        shape = -1, *[1] * (inputs.dim() - 2)
        mean, std = (torch.tensor(values, dtype=torch.float32).view(shape) for values in (self.mean, self.std))
        return (inputs - mean.to(inputs.device)) / std.to(inputs.device)


def is_named_data(text: str) -> bool:
    """Whether a text is torchvision:NAME:FOLDER, or an existing folder, .npz or .pt file."""
    return text.startswith(PREFIX) or (text != "" and Path(text).is_dir()) or Path(text).suffix in (".npz", ".pt")


def load(text: str, how: Preprocessing, download: bool = False, usual: int | None = None) -> NamedData:
    """Open data by name. Pictures are read later, by `datasets.as_split`.

    Args:
        text: "torchvision:NAME:FOLDER"; a folder with train and val (or one folder that is split), whose subfolders are
            the classes; or a file .npz or .pt with arrays such as train_images and train_labels.
        how: the preprocessing.
        download: whether a data set of torchvision may be downloaded to its folder.
        usual: the network's usual size, to which pictures of different sizes are resized if `how` has none.

    Returns:
        The data. Where there is no part for validation, a tenth of each class is cut from the training part; a part
        "test" is never used.

    Raises:
        ValueError: it is none of these, or its files are missing or damaged.
    """
    if text.startswith(PREFIX):
        train, validation = _of_torchvision(text, how, download)
    elif Path(text).is_dir():
        train, validation = _of_folder(Path(text), how)
    else:
        train, validation = _of_file(Path(text))
    if validation is None:
        train, validation = _cut(train)
    if how.size is None and isinstance(train, Dataset) and len(sizes := _sizes(train)) > 1:
        if usual:
            return load(text, replace(how, size=usual), download)
        one, other = sorted(sizes)[:2]
        raise ValueError(
            f"data={text!r} has pictures of different sizes, such as {one[0]}×{one[1]} and {other[0]}×{other[1]}: give "
            "the network's with --size, for example --size 224."
        )
    return NamedData(train, validation, how.to_input)


def _of_torchvision(text: str, how: Preprocessing, download: bool) -> tuple:
    name, _, folder = text.removeprefix(PREFIX).partition(":")
    sets = importlib.import_module("torchvision.datasets")
    if not folder:
        raise ValueError(f"data={text!r} must be torchvision:NAME:FOLDER, such as torchvision:CIFAR10:data.")
    kind = getattr(sets, name, None) if name in sets.__all__ else None
    options = inspect.signature(kind).parameters if kind else {}
    if "root" not in options or "transform" not in options:
        close = difflib.get_close_matches(name, sets.__all__, 3, 0.4)
        raise ValueError(
            f"data={text!r}: torchvision has no classification data set {name!r} that is read from a folder"
            f"{'; similar names are ' + ', '.join(close) if close and name not in close else ''}."
        )
    make = partial(kind, folder, transform=_transform(how))
    if "download" in options:
        make = partial(make, download=download)
    if download:
        Path(folder).mkdir(parents=True, exist_ok=True)
    try:
        if "train" in options:
            return make(train=True), None
        if "split" not in options:
            return make(), None
        return _first_part(make, _TRAIN), _first_part(make, _VALIDATION, missing=None)
    except Exception as error:
        cure = "" if download or "download" not in options else "; --download fetches them"
        raise ValueError(
            f"data={text!r}: its files are not in {folder!r} or damaged ({reason(error)}){cure}."
        ) from error


def _first_part(make: Callable, names: Sequence[str], **otherwise):
    """The first of the parts that a data set has."""
    for name in names:
        try:
            return make(split=name)
        except ValueError as error:  # torchvision's way to say which parts there are
            if "split" not in str(error):
                raise
            last = error
    if otherwise:
        return otherwise["missing"]
    raise last


def _of_folder(folder: Path, how: Preprocessing) -> tuple:
    parts = {part.name: part for part in folder.iterdir() if part.is_dir()}
    train = _image_folder(parts.get("train", folder), how)
    validation = next((parts[name] for name in _VALIDATION if name in parts and "train" in parts), None)
    if validation is None:
        return train, None
    validation = _image_folder(validation, how)
    if validation.classes != train.classes:
        other = sorted({*train.classes} ^ {*validation.classes})
        raise ValueError(f"data={str(folder)!r}: train and validation have other classes, such as {other[0]!r}.")
    return train, validation


def _image_folder(folder: Path, how: Preprocessing):
    sets = importlib.import_module("torchvision.datasets")
    try:
        return sets.ImageFolder(str(folder), transform=_transform(how))
    except Exception as error:
        raise ValueError(
            f"data={str(folder)!r} must have a subfolder of pictures for each class ({reason(error)})."
        ) from error


def _transform(how: Preprocessing) -> Callable:
    transforms = importlib.import_module("torchvision.transforms")
    resize = [transforms.Resize(how.size), transforms.CenterCrop(how.size)] if how.size else []
    return transforms.Compose([partial(_in_usual_colours, only="RGB" if how.channels == 3 else ""), *resize])


def _in_usual_colours(image, only: str = ""):
    """A PIL image in grey or RGB, or only the latter; anything else as it is."""
    if not hasattr(image, "getbands") or image.mode in (only or "L", "RGB"):
        return image
    return image.convert("RGB")


def _sizes(given: Dataset) -> set[tuple[int, int]]:
    """The sizes among 16 pictures of a data set, if they are PIL images."""
    some = [given[position][0] for position in range(0, len(given), -(-len(given) // 16))]
    return {image.size for image in some if hasattr(image, "getbands")}


def _of_file(path: Path) -> tuple:
    if not path.is_file():
        raise ValueError(f"data={str(path)!r} must be an existing file.")
    try:
        if path.suffix == ".npz":
            with np.load(path) as file:  # without pickles, which could run code
                found = {name: torch.from_numpy(np.array(file[name])) for name in file.files}
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"data={str(path)!r} cannot be read as arrays ({reason(error)}).") from error
    parts = _parts(found)
    if "train" not in parts:
        held = ", ".join(sorted(map(str, found))) if isinstance(found, Mapping) else type(found).__name__
        raise ValueError(
            f"data={str(path)!r} contains {held}; it must contain train_images and train_labels, and may contain "
            "val_images and val_labels, or images and labels."
        )
    return parts["train"], parts.get("validation")


def _parts(found) -> dict[str, tuple]:
    """The parts of a file by role, each (pictures, labels)."""
    if isinstance(found, (tuple, list)) and len(found) == 2:
        if all(isinstance(part, Tensor) for part in found):
            return {"train": _usual(*found)}
        inner = [_parts(part).get("train") for part in found]
        return dict(zip(("train", "validation"), inner, strict=True)) if all(inner) else {}
    if not isinstance(found, Mapping):
        return {}
    if all(isinstance(value, (Mapping, tuple, list)) for value in found.values()):
        inner = {_role(str(key)): _parts(value).get("train") for key, value in found.items()}
        return {role: part for role, part in inner.items() if role and part}
    held: dict[str, dict[str, Tensor]] = {}
    for key, value in found.items():
        words = str(key).lower().split("_")
        kind = "images" if {*words} & {*_IMAGES} else "labels" if {*words} & {*_LABELS} else None
        if kind and isinstance(value, Tensor):
            held.setdefault(_role(str(key)) or "train", {})[kind] = value
    return {role: _usual(**part) for role, part in held.items() if len(part) == 2}


def _role(key: str) -> str:
    words = {*key.lower().split("_")}
    if words & {*_VALIDATION}:
        return "validation"
    return next((role for role in ("train", "test") if role in words), "")


def _usual(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures uint8 with their channels first, and labels [N], where a file has them in the other usual order."""
    if images.dtype == torch.uint8 and images.dim() == 3:
        images = images[:, None]
    elif images.dtype == torch.uint8 and images.dim() == 4 and images.shape[3] in (1, 3, 4) and images.shape[1] > 4:
        images = images.permute(0, 3, 1, 2).contiguous()
    return images, labels.squeeze(1) if labels.dim() == 2 and labels.shape[1] == 1 else labels


def _cut(train) -> tuple:
    """Cut a tenth of each class, at least one of two pictures, for validation; the same each time."""
    labels = _labels(train)
    generator, chosen = torch.Generator().manual_seed(0), []
    for label in labels.unique():
        places = (labels == label).nonzero().flatten()
        places = places[torch.randperm(len(places), generator=generator)]
        chosen += places[: max(min(1, len(places) - 1), round(SHARE * len(places)))].tolist()
    out = {*chosen}
    kept, chosen = [place for place in range(len(labels)) if place not in out], sorted(chosen)
    if isinstance(train, tuple):
        return tuple(part[kept] for part in train), tuple(part[chosen] for part in train)
    return Subset(train, kept), Subset(train, chosen)


def _labels(train) -> Tensor:
    if isinstance(train, tuple):
        return train[1] if train[1].dim() == 1 else torch.zeros(len(train[1]))
    for name in ("targets", "labels", "_labels"):
        if len(getattr(train, name, ())) == len(train):
            return torch.as_tensor(getattr(train, name))
    return torch.zeros(len(train))
