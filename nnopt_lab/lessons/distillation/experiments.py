"""Lesson 09's experiments: what a student gains from a teacher, by which loss, on which pictures, over three seeds."""

import copy
import tempfile
from collections.abc import Callable, Hashable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from nnopt_lab.course.recordings import experiment, over_seeds
from nnopt_lab.techniques import distillation, pruning
from nnopt_lab.techniques.pruning import channel_pruning
from nnopt_lab.techniques.quantization import qat
from nnopt_lab.workbench import data, measure, models, recipes
from nnopt_lab.workbench.shapes import draw_shapes

SEEDS = (0, 1, 2)
# Every run sees 270,000 pictures: 3 passes over 90,000, 15 over 18,000 or 30 over 9,000.
SEEN, VIEWS, BATCH_SIZE, PEAK = 270_000, 10, 128, 4e-3
TEMPERATURE, SHARE = 4.0, 0.9
STUDENT_LAYER, TEACHER_LAYER = "features.5", "stages.1"  # both 8×8 places: 32 and 64 channels
TEMPERATURES = (1.0, 2.0, 4.0, 8.0, 16.0)
STUDENTS = {"tiny": {"channels": (4, 8), "hidden": 32}, "MyNet": {}}
TEACHERS = {"small": (8, 16, 32), "middle": (16, 32, 64), "shipped": None}
FASHION_EPOCHS = 8
COMPRESSED_SPARSITY, COMPRESSED_BITS = 0.95, 2
DECOUPLED = "decoupled"
COMPRESSIONS = ("uncompressed", "pruned", "quantised", "half the channels, 4 bits")
COMPRESSED_WAYS = ("labels", "itself", "teacher", "teacher, new pictures")


def distill_on_new_shapes(teacher: nn.Module, pictures: data.Pictures, seed: int) -> nn.Module:
    """`MyNet`, distilled on 90,000 new pictures without labels; seed 0 gives the shipped "shapes_student"."""
    with tempfile.TemporaryDirectory() as folder:
        return _train_student(
            _student(seed),
            pictures,
            unlabelled_shapes(seed),
            seed,
            teacher,
            folder,
            distillation.distillation_loss(TEMPERATURE, 1),
        )


def unlabelled_shapes(seed: int) -> data.Split:
    """90,000 new pictures of shapes, in no split of the course; a student may not use their labels."""
    return data.Split(*draw_shapes(SEEN // 3, seed=1_000 + seed))


@experiment
def distillation_methods() -> dict:
    """Test accuracy of `MyNet` on the shapes, trained from labels or from a teacher with each loss.

    All see the same 90,000 views of the 9,000 training pictures, three times (AdamW, one cycle up to 0.004). The
    teacher is the shipped one; only for "born again" it is a `MyNet`, trained with labels and seed 0.

    Returns:
        {"seeds": [K], "teacher": accuracy, "accuracy": {method: [K]}}, percent.
    """
    pictures, teacher = data.load("shapes"), models.trained("shapes_teacher")
    seen = distillation.views(pictures.train, data.random_flips_and_shifts(0), VIEWS)
    on_logits = distillation.distillation_loss(TEMPERATURE, SHARE)
    with tempfile.TemporaryDirectory() as folder:
        equal = _train_student(_student(0), pictures, seen, 0)

        def with_features(kind: str, seed: int) -> nn.Module:
            student, adapter = _student(seed), nn.Conv2d(32, 64, 1)
            watch = distillation.Watch(student, [STUDENT_LAYER])
            if kind == "hint":
                loss, extra = distillation.hint(watch, STUDENT_LAYER, adapter, on_logits), adapter
            else:
                loss, extra = distillation.attention_transfer(watch, STUDENT_LAYER, on_logits), None
            batches = data.loader(seen, pictures, BATCH_SIZE, shuffle=True, seed=seed)
            loader = distillation.WithTeacher(batches, teacher, [TEACHER_LAYER])
            return _one_cycle(student, pictures, seen, seed, loss=loss, loader=loader, extra=extra)

        def student(seed: int, by: nn.Module | None = None, loss=None) -> nn.Module:
            return _train_student(_student(seed), pictures, seen, seed, by, folder, loss)

        runs = {
            "labels": student,
            "label smoothing": lambda seed: student(seed, loss=nn.CrossEntropyLoss(label_smoothing=0.1)),
            "Hinton": lambda seed: student(seed, teacher, on_logits),
            DECOUPLED: lambda seed: student(seed, teacher, distillation.decoupled(TEMPERATURE)),
            "Hinton + hint": lambda seed: with_features("hint", seed),
            "Hinton + attention": lambda seed: with_features("attention", seed),
            "born again": lambda seed: student(seed, equal, on_logits),
        }
        return _accuracies(runs, pictures) | {"teacher": recipes.test_accuracy(teacher, pictures)}


@experiment
def distillation_pictures() -> dict:
    """Test accuracy of `MyNet` on the shapes, trained on different pictures, with labels and with the teacher.

    Each run sees 270,000 pictures: 30 times the 9,000 training pictures, three times 90,000 new shapes, or 15 times
    18,000 pictures of clothes without labels, about which the teacher knows nothing.

    Returns:
        {"seeds": [K], "teacher": accuracy, "accuracy": {pictures and way: [K]}}, percent.
    """
    pictures, teacher = data.load("shapes"), models.trained("shapes_teacher")
    mixed = distillation.distillation_loss(TEMPERATURE, SHARE)
    teacher_only = distillation.distillation_loss(TEMPERATURE, 1)
    clothes = data.load("fashion").train
    clothes = data.Split(F.pad(clothes.images, (2, 2, 2, 2)).repeat(1, 3, 1, 1), clothes.labels)
    with tempfile.TemporaryDirectory() as folder:

        def student(split, by=None, loss=None):
            return lambda seed: _train_student(_student(seed), pictures, split(seed), seed, by, folder, loss)

        runs = {
            "own, labels": student(lambda seed: pictures.train),
            "own, teacher": student(lambda seed: pictures.train, teacher, mixed),
            "drawn, labels": student(unlabelled_shapes),
            "drawn, teacher": lambda seed: distill_on_new_shapes(teacher, pictures, seed),
            "clothes, teacher": student(lambda seed: clothes, teacher, teacher_only),
        }
        return _accuracies(runs, pictures) | {"teacher": recipes.test_accuracy(teacher, pictures)}


@experiment
def distillation_sizes() -> dict:
    """Test accuracy of two students with labels and with three teachers of growing size, one pass over 90,000 views.

    Returns:
        {"seeds": [K], "teachers": {size: {"accuracy", "parameters"}}, "accuracy": {student: {"labels" or size: [K]}}}.
    """
    pictures = data.load("shapes")
    seen = distillation.views(pictures.train, data.random_flips_and_shifts(0), VIEWS)
    on_logits = distillation.distillation_loss(TEMPERATURE, SHARE)
    teachers = {size: _teacher(widths, pictures) for size, widths in TEACHERS.items()}
    results = {
        "teachers": {
            size: {"accuracy": recipes.test_accuracy(t, pictures), "parameters": measure.parameters(t).total}
            for size, t in teachers.items()
        },
        "accuracy": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, options in STUDENTS.items():
            runs = {
                size: lambda seed, t=t, o=options: _train_student(
                    _student(seed, **o), pictures, seen, seed, t, folder, on_logits if t else None, epochs=1
                )
                for size, t in {"labels": None, **teachers}.items()
            }
            results["accuracy"][name] = _accuracies(runs, pictures)["accuracy"]
    return {"seeds": list(SEEDS)} | results


@experiment
def distillation_temperatures() -> dict:
    """Test accuracy of `MyNet` distilled at each temperature, in one pass over 90,000 views.

    Returns:
        {"seeds": [K], "temperatures": [T], "accuracy": [T][K]}, percent.
    """
    pictures, teacher = data.load("shapes"), models.trained("shapes_teacher")
    seen = distillation.views(pictures.train, data.random_flips_and_shifts(0), VIEWS)
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            t: lambda seed, t=t: _train_student(
                _student(seed),
                pictures,
                seen,
                seed,
                teacher,
                folder,
                distillation.distillation_loss(t, SHARE),
                epochs=1,
            )
            for t in TEMPERATURES
        }
        accuracies = _accuracies(runs, pictures)["accuracy"]
    return {"seeds": list(SEEDS), "temperatures": list(TEMPERATURES), "accuracy": list(accuracies.values())}


@experiment
def distillation_fashion() -> dict:
    """Test accuracy of `MyNet` on Fashion-MNIST, 8 epochs with labels or with the shipped teacher.

    Returns:
        {"seeds": [K], "teacher": accuracy, "accuracy": {method: [K]}}, percent.
    """
    pictures, teacher = data.load("fashion"), models.trained("teacher")
    with tempfile.TemporaryDirectory() as folder:

        def student(by=None, loss=None):
            return lambda seed: _train_student(
                _student(seed), pictures, pictures.train, seed, by, folder, loss, epochs=FASHION_EPOCHS
            )

        runs = {
            "labels": student(),
            "label smoothing": student(loss=nn.CrossEntropyLoss(label_smoothing=0.1)),
            "Hinton": student(teacher, distillation.distillation_loss(TEMPERATURE, SHARE)),
            DECOUPLED: student(teacher, distillation.decoupled(TEMPERATURE)),
        }
        return _accuracies(runs, pictures) | {"teacher": recipes.test_accuracy(teacher, pictures)}


@experiment
def distillation_compressed() -> dict:
    """Test accuracy of the shipped student, compressed, then fine-tuned with labels, itself or the teacher.

    Pruned: 95 % of the weights are zero. Quantised: 2 bits for the weights and inputs of all layers except the first
    and last, which keep 8. The last kind has half its channels and 4 bits. One pass over 90,000 views of the training
    pictures, or over 90,000 new ones without labels (AdamW, one cycle up to 0.002).

    Returns:
        {"seeds": [K], "before": accuracy, "compressed": {kind: accuracy without training},
        "accuracy": {kind: {way: [K]}}}, percent.
    """
    pictures, start = data.load("shapes"), models.trained("shapes_student")
    teacher, on_logits = models.trained("shapes_teacher"), distillation.distillation_loss(TEMPERATURE, SHARE)
    seen = distillation.views(pictures.train, data.random_flips_and_shifts(0), VIEWS)
    ways = {
        "labels": (seen, None, None),
        "itself": (seen, start, on_logits),
        "teacher": (seen, teacher, on_logits),
        "teacher, new pictures": (unlabelled_shapes(9), teacher, distillation.distillation_loss(TEMPERATURE, 1)),
    }
    batch = pictures.to_input(pictures.train.images[:500])
    compressions = (
        lambda model: model,
        _prune,
        lambda model: qat.prepare(model, batch, COMPRESSED_BITS, COMPRESSED_BITS),
        lambda model: qat.prepare(_halve(model, batch), batch, 4, 4),
    )
    results = {"seeds": list(SEEDS), "before": recipes.test_accuracy(start, pictures), "compressed": {}, "accuracy": {}}
    with tempfile.TemporaryDirectory() as folder:

        def finetuned(compress, split, by, loss):
            return lambda seed: _train_student(
                compress(_channels_last(start)), pictures, split, seed, by, folder, loss, epochs=1, peak=2e-3
            )

        for kind, compress in zip(COMPRESSIONS, compressions, strict=True):
            results["compressed"][kind] = recipes.test_accuracy(compress(_channels_last(start)), pictures)
            runs = {way: finetuned(compress, *ways[way]) for way in COMPRESSED_WAYS}
            results["accuracy"][kind] = _accuracies(runs, pictures)["accuracy"]
    return results


def _prune(model: nn.Module) -> nn.Module:
    pruning.magnitude_prune(model, round(pruning.count_weights(model)[1] * (1 - COMPRESSED_SPARSITY)))
    return model


def _halve(model: nn.Module, batch: torch.Tensor) -> nn.Module:
    keep = channel_pruning.keep_most_important(model, batch[:1], share=0.5)
    return channel_pruning.remove_channels(model, batch[:1], keep)


def _channels_last(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model).to(memory_format=torch.channels_last)  # same numbers, faster pooling


def _student(seed: int, **options) -> nn.Module:
    torch.manual_seed(seed)
    return _channels_last(models.MyNet(**options))


def _teacher(widths: tuple[int, int, int] | None, pictures: data.Pictures) -> nn.Module:
    if widths is None:
        return models.trained("shapes_teacher")
    torch.manual_seed(0)
    return recipes.train_teacher(_channels_last(models.Teacher(widths)), pictures, epochs=20, batch_size=100)


def _train_student(
    student: nn.Module,
    pictures: data.Pictures,
    split: data.Split,
    seed: int,
    teacher: nn.Module | None = None,
    folder: str | Path = "",
    loss: Callable | None = None,
    **options,
) -> nn.Module:
    """The student, trained on a split with its labels, or with labels and the teacher's logits."""
    loader = data.loader(split, pictures, BATCH_SIZE, shuffle=True, seed=seed)
    if teacher is not None:
        loader = distillation.cached_teacher_loader(teacher, split, pictures, folder, batch_size=BATCH_SIZE, seed=seed)
    return _one_cycle(student, pictures, split, seed, loss=loss, loader=loader, **options)


def _one_cycle(student, pictures, split, seed, *, epochs=None, peak=PEAK, **options) -> nn.Module:
    return recipes.one_cycle(
        student,
        pictures,
        epochs=epochs or SEEN // len(split),
        peak=peak,
        steps_per_epoch=-(-len(split) // BATCH_SIZE),
        seed=seed,
        **options,
    )


def _accuracies(runs: dict[Hashable, Callable[[int], nn.Module]], pictures: data.Pictures) -> dict:
    tested = {name: lambda seed, run=run: recipes.test_accuracy(run(seed), pictures) for name, run in runs.items()}
    return {"seeds": list(SEEDS), "accuracy": over_seeds(tested, SEEDS, "distillation")}
