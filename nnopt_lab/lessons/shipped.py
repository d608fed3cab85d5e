"""Make the files in `data/` that the lessons load: the pictures, and the trained weights."""

import gzip
import json
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from nnopt_lab.lessons.capstone import entries
from nnopt_lab.lessons.distillation.experiments import distill_on_new_shapes
from nnopt_lab.workbench import data, models, provenance, recipes, training
from nnopt_lab.workbench.files import check_writable, replacing
from nnopt_lab.workbench.paths import data_dir


def make_fashion_file(source: Path = Path("/usr/share/datasets/fashion-mnist"), target: Path | None = None) -> Path:
    """Write `data/fashion.npz` from the four gzip files of Fashion-MNIST; the same files give the same bytes.

    Debian has them as the package dataset-fashion-mnist. The first 20,000 training pictures and all 10,000 test
    pictures are kept.

    Raises:
        FileNotFoundError: `source` does not hold the four files.
        ValueError: one of them is damaged.
    """
    source, target = Path(source), target or data_dir() / "fashion.npz"
    if not (source / "train-images-idx3-ubyte.gz").is_file():
        raise FileNotFoundError(
            f"source={source} has no train-images-idx3-ubyte.gz: install Debian's package dataset-fashion-mnist, "
            "or name the folder with Fashion-MNIST's four .gz files."
        )
    arrays = {}
    for part, prefix, count in (("train", "train", data.FASHION_TRAINING), ("test", "t10k", 10_000)):
        arrays[f"{part}_images"] = _read_idx(source / f"{prefix}-images-idx3-ubyte.gz")[:count]
        arrays[f"{part}_labels"] = _read_idx(source / f"{prefix}-labels-idx1-ubyte.gz")[:count]
    with replacing(target) as unfinished:
        np.savez_compressed(unfinished, **arrays)
    return target


def train_shipped(name: str, seed: int = 0, target: Path | None = None) -> dict:
    """Train a network as the shipped one was trained, write its weights with their record, and return the record.

    Args:
        name: one of `models.SHIPPED`, or of `entries.ENTRIES`, which become ONNX files.
        seed: 0 made the shipped weights; on the same machine it makes them again, bit for bit.
        target: the file to write; by default the shipped one, `data/NAME.safetensors`.

    Raises:
        ValueError: there is no such network.
        OSError: the file can't be written; found out before the training.
    """
    if name in entries.ENTRIES:
        return entries.make(name, seed, target)
    if name not in TRAINERS:
        known = ", ".join((*TRAINERS, *entries.ENTRIES))
        raise ValueError(f"name={name!r} is not a network of this course; choose one of {known}.")
    target = check_writable(target or data_dir() / f"{name}.safetensors")  # before training, which takes minutes
    model, pictures = TRAINERS[name](seed)
    result = {
        "command": f"nnopt train {name} --seed {seed}",
        "data": pictures.name,
        "seed": seed,
        "validation_accuracy": round(training.evaluate(model, pictures.validation, pictures).accuracy, 2),
        "test_accuracy": recipes.test_accuracy(model, pictures),
        **provenance.environment(),
    }
    with replacing(target) as unfinished:
        save_file(model.state_dict(), unfinished, {"record": json.dumps(result)})
    return result


def _train_mynet(seed: int) -> tuple[nn.Module, data.Pictures]:
    pictures = data.load("fashion")
    torch.manual_seed(seed)
    model = models.MyNet()
    training.fit(model, pictures, **models.ARTICLE_RECIPE, seed=seed)
    return model, pictures


def _train_teacher(seed: int) -> tuple[nn.Module, data.Pictures]:
    return _teacher_of("fashion", seed, epochs=16, batch_size=128, smoothing=0.05)


def _train_shapes_teacher(seed: int) -> tuple[nn.Module, data.Pictures]:
    return _teacher_of("shapes", seed, epochs=20, batch_size=100)


def _teacher_of(name: str, seed: int, **options) -> tuple[nn.Module, data.Pictures]:
    pictures = data.load(name)
    torch.manual_seed(seed)
    return recipes.train_teacher(models.Teacher(), pictures, seed=seed, **options), pictures


def _train_shapes_student(seed: int) -> tuple[nn.Module, data.Pictures]:
    pictures = data.load("shapes")
    student = distill_on_new_shapes(models.trained("shapes_teacher"), pictures, seed)
    return student.to(memory_format=torch.contiguous_format), pictures


def _read_idx(path: Path) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing.")
    try:
        with gzip.open(path) as file:
            raw = file.read()
        dimensions = raw[3]
        shape = np.frombuffer(raw, ">u4", dimensions, offset=4)
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (gzip.BadGzipFile, EOFError, zlib.error, ValueError, IndexError) as error:
        raise ValueError(f"{path} is no file of Fashion-MNIST, or damaged ({error}).") from error


TRAINERS = {
    "mynet": _train_mynet,
    "teacher": _train_teacher,
    "shapes_teacher": _train_shapes_teacher,
    "shapes_student": _train_shapes_student,
}
