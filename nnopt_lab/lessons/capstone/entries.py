"""The course's own entries for the capstone: small networks, distilled from the shipped teacher, as ONNX files.

Each is made by one command, `nnopt train capstone_NAME`, from the shipped pictures and teacher alone; see `ENTRIES`.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import parametrize

from nnopt_lab.lessons.capstone.onnx_files import Grey, write_onnx
from nnopt_lab.techniques import distillation
from nnopt_lab.techniques.convolutions import folding
from nnopt_lab.techniques.quantization import qat, quantizers
from nnopt_lab.workbench import data, models, provenance, recipes, training
from nnopt_lab.workbench.files import check_writable, replacing
from nnopt_lab.workbench.paths import data_dir

VIEWS, BATCH_SIZE, TEMPERATURE, SHARE = 10, 128, 4.0, 0.9


def separable_network(widths: tuple[int, ...], strides: tuple[int, ...], classes: int = 10) -> nn.Sequential:
    """A stem with stride 2, then blocks of a depthwise 3×3 and a 1×1 convolution, the mean, and one linear layer.

    Nothing stands between the two convolutions of a block: no batch norm, no bias, no ReLU, so that a file holds one
    bias per block (Chollet 2017, "Xception", figure 10, found that the ReLU there does harm, too).

    Args:
        widths: channels of the stem and of each block.
        strides: of each block's depthwise convolution.
    """
    layers = [Grey(), nn.Conv2d(1, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    for before, width, stride in zip(widths, widths[1:], strides, strict=False):
        layers += [
            nn.Conv2d(before, before, 3, stride, 1, groups=before, bias=False),
            nn.Conv2d(before, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes))


def strided_network(filters: tuple[int, int, int], classes: int = 10) -> nn.Sequential:
    """Three convolutions that halve the sides, the first of 4×4, and one linear layer over all 4×4 places."""
    layers, before = [Grey()], 1
    for kernel_size, width in zip((4, 3, 3), filters, strict=True):
        layers += [nn.Conv2d(before, width, kernel_size, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        before = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * before, classes))


def two_convolutions(filters: tuple[int, int], classes: int = 10) -> nn.Sequential:
    """A 5×5 convolution with stride 3, a 3×3 convolution with stride 2, and one linear layer over all 5×5 places."""
    first, second = filters
    return nn.Sequential(
        Grey(),
        *(nn.Conv2d(1, first, 5, 3, bias=False), nn.BatchNorm2d(first), nn.ReLU()),
        *(nn.Conv2d(first, second, 3, 2, 1, bias=False), nn.BatchNorm2d(second), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(25 * second, classes)),
    )


def make(name: str, seed: int = 0, target: Path | None = None) -> dict:
    """Make one of `ENTRIES`, write its ONNX file and its record beside it, and return the record.

    Args:
        seed: 0 made the shipped files; on the same machine it makes them again, bit for bit.
        target: the file to write; by default the shipped one, `data/capstone/NAME.onnx`.
    """
    pictures = data.load("fashion")
    target = target or data_dir() / "capstone" / f"{name.removeprefix('capstone_')}.onnx"
    check_writable(target)  # before training, which takes minutes
    torch.manual_seed(seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # with another number of threads sums are rounded in another order
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            model = ENTRIES[name](pictures, seed, Path(folder))
    finally:
        torch.set_num_threads(threads)
    with replacing(target) as unfinished:
        write_onnx(model, unfinished)
    record = {
        "command": f"nnopt train {name} --seed {seed}",
        "bytes": target.stat().st_size,
        "validation_accuracy": round(training.evaluate(model, pictures.validation, pictures).accuracy, 2),
        "test_accuracy": recipes.test_accuracy(model, pictures),
        **provenance.environment(),
    }
    with replacing(target.with_suffix(".json")) as unfinished:
        unfinished.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return record


def distill(model: nn.Module, pictures: data.Pictures, epochs: int, peak: float, seed: int, folder: Path) -> nn.Module:
    """Train a student in place by the shipped teacher, on `VIEWS` views of each picture per pass; return it.

    Args:
        epochs: passes over all views, so each picture is seen `VIEWS` times as often.
        folder: where the teacher's logits are kept.
    """
    seen = distillation.views(pictures.train, data.random_flips_and_shifts(0), VIEWS)
    loader = distillation.cached_teacher_loader(
        models.trained("teacher"), seen, pictures, folder, batch_size=BATCH_SIZE, seed=seed
    )
    return recipes.one_cycle(
        model,
        pictures,
        epochs=epochs,
        peak=peak,
        steps_per_epoch=-(-len(seen) // BATCH_SIZE),
        loss=distillation.distillation_loss(TEMPERATURE, SHARE),
        loader=loader,
        seed=seed,
    )


def quantize_and_finetune(
    model: nn.Module, pictures: data.Pictures, epochs: int, peak: float, seed: int, folder: Path
) -> nn.Module:
    """Fold the student's batch norms, quantise its weights to 4 bits and distill again; ready for `write_onnx`.

    The first and the last layer, depthwise convolutions and biases, which are few, get 8 bits. Activations stay
    float32: what counts here is the file.
    """
    model = folding.fold_batch_norm(model)
    layers = [layer for layer in model if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer in layers:
        pointwise = isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)
        _on_a_grid(layer, "weight", 4 if pointwise else 8)
        if layer.bias is not None:
            _on_a_grid(layer, "bias", 8)
    qat.make_permanent(distill(model, pictures, epochs, peak, seed, folder))
    for layer in layers:
        if layer.bias is not None:
            layer.bias_grid = layer.parametrizations.bias[0].grid()
            parametrize.remove_parametrizations(layer, "bias")
    return model


def _on_a_grid(layer: nn.Module, name: str, bits: int) -> None:
    values = getattr(layer, name)
    step = quantizers.LearnedStep(bits, values, values.numel())
    parametrize.register_parametrization(layer, name, step)


def _separable(widths: tuple[int, ...], strides: tuple[int, ...], epochs: int, finetuning: int = 2):
    def entry(pictures: data.Pictures, seed: int, folder: Path) -> nn.Module:
        student = separable_network(widths, strides).to(memory_format=torch.channels_last)
        distill(student, pictures, epochs, 4e-3, seed, folder)
        return quantize_and_finetune(student, pictures, finetuning, 1e-3, seed, folder)

    return entry


def _strided(make: Callable[..., nn.Sequential], filters: tuple[int, ...], epochs: int):
    def entry(pictures: data.Pictures, seed: int, folder: Path) -> nn.Module:
        return folding.fold_batch_norm(distill(make(filters), pictures, epochs, 4e-3, seed, folder))

    return entry


ENTRIES = {
    "capstone_small": _separable((14, 28, 36, 56, 64), (2, 1, 2, 1), epochs=6),
    "capstone_accurate": _separable((16, 32, 44, 76, 80), (2, 1, 1, 1), epochs=20, finetuning=6),
    "capstone_fast": _strided(strided_network, (8, 32, 64), epochs=2),
    "capstone_fastest": _strided(two_convolutions, (16, 48), epochs=18),
}
