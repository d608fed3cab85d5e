"""Lesson 02's experiments: fewer and smaller kernels, fewer layers, and the usual replacements, over three seeds."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from nnopt_lab.course.recordings import experiment, over_seeds
from nnopt_lab.techniques.convolutions import blocks
from nnopt_lab.workbench import data, models, recipes, training

SEEDS = (0, 1, 2)
EPOCHS, BATCH_SIZE, PEAK_RATE = 4, 128, 3e-3

# One knob is turned at a time; the third setting of kernels, the second of the others, is MyNet itself.
KNOBS = {
    "fewer kernels": {f"{a}, {b}": {"channels": (a, b)} for a, b in ((4, 8), (8, 16), (16, 32), (32, 64))},
    "smaller kernels": {f"{k}×{k}": {"kernel_size": k} for k in (1, 3, 5, 7)},
    "fewer layers": {str(n): {"channels": (16, 32, 64, 64)[:n]} for n in (1, 2, 3, 4)},
}
# Wide enough that convolutions take most of the time. The first layer, with three channels, stays as it is.
WIDE, REPLACED = (32, 64, 128), ("features.3", "features.6")
BLOCKS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "3×3": lambda model: model,
    "depthwise-separable": lambda model: blocks.separable(model, REPLACED),
    "4 groups": lambda model: blocks.grouped(model, 4, REPLACED),
    "bottleneck": lambda model: blocks.bottleneck(model, 4, REPLACED),
    "3×1 + 1×3": lambda model: blocks.asymmetric(model, REPLACED),
    "stride for pooling": blocks.strided,
}


def wide_net(block: str = "3×3") -> nn.Module:
    """Build `MyNet` with three wider convolutions and one of `BLOCKS` instead of the second and third; new weights."""
    return BLOCKS[block](models.MyNet(WIDE))


def train_fast(model: nn.Module, pictures: data.Pictures, seed: int, epochs: int = EPOCHS) -> float:
    """Train in place with AdamW and a one-cycle rate, the same for every network; return the test accuracy in %."""
    recipes.one_cycle(model, pictures, epochs=epochs, batch_size=BATCH_SIZE, peak=PEAK_RATE, seed=seed)
    return training.evaluate(model, pictures.test, pictures).accuracy


@experiment
def convolution_knobs() -> dict:
    """Test accuracy of `MyNet` with one knob turned at a time, each network trained from new weights.

    Returns:
        {"seeds": [K], "accuracy": {knob: {setting: [K]}}}, percent; `MyNet` itself is a setting of every knob.
    """
    different = {str(options): options for settings in KNOBS.values() for options in _with_defaults(settings).values()}
    accuracies = _train_all({key: lambda o=options: models.MyNet(**o) for key, options in different.items()})
    return {
        "seeds": list(SEEDS),
        "accuracy": {
            knob: {setting: accuracies[str(options)] for setting, options in _with_defaults(settings).items()}
            for knob, settings in KNOBS.items()
        },
    }


@experiment
def convolution_blocks() -> dict:
    """Test accuracy of the wide network with each of `BLOCKS`, trained from new weights.

    Returns:
        {"seeds": [K], "accuracy": {block: [K]}}, percent.
    """
    return {
        "seeds": list(SEEDS),
        "accuracy": _train_all({block: lambda b=block: wide_net(b) for block in BLOCKS}),
    }


def _with_defaults(settings: dict[str, dict]) -> dict[str, dict]:
    return {name: {"channels": (16, 32), "kernel_size": 3} | options for name, options in settings.items()}


def _train_all(builders: dict[str, Callable[[], nn.Module]]) -> dict[str, list[float]]:
    pictures = data.load("fashion")

    def accuracy(build: Callable[[], nn.Module], seed: int) -> float:
        torch.manual_seed(seed)
        return round(train_fast(build(), pictures, seed), 2)

    return over_seeds({name: partial(accuracy, build) for name, build in builders.items()}, SEEDS, "convolutions")
