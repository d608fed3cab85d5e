"""Lesson 13's experiments: engines, products and training on an accelerator; each is recorded on a named card."""

import time
from itertools import product
from statistics import median

import torch
from torch import Tensor, nn

from nnopt_lab.course.recordings import experiment
from nnopt_lab.techniques.deployment import deploy_all, tf32
from nnopt_lab.workbench import data, device, measure, models, recipes, training
from nnopt_lab.workbench.progress_bar import progress_bar

BATCH_SIZES = (1, 256, 4096)
ENGINES = (
    ("eager", "float32"),
    ("eager", "tf32"),
    ("channels-last", "float32"),
    ("channels-last", "bf16"),
    ("CUDA graph", "float32"),
    ("CUDA graph", "bf16"),
    ("compiled", "float32"),
    ("compiled", "bf16"),
    ("compiled reduce-overhead", "bf16"),
    ("compiled", "int8"),
    ("compiled", "fp8"),
    ("2:4 sparse", "bf16"),
    ("ONNX Runtime", "float32"),
)
FORMATS = {"float32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
WIDTHS = (8, 16, 32, 48, 64, 72, 96, 128, 136, 192, 256, 264)
SEEDS, EPOCHS = (0, 1, 2), 8
# The changes to `fit`, each on top of those before. Epochs are those of the article's loop until the schedule changes.
TRAINING = {
    "the article's loop": {"batch_size": 32},
    "pictures on the device": {"resident": True},
    "CUDA graph of the step": {"cuda_graph": True},
    "one-cycle AdamW, batch 256": {"batch_size": 256, "peak": 1e-2, "epochs": 5},
    "fused optimizer": {"fused": True},
    "bf16": {"bf16": True},
    "batch 1,024": {"batch_size": 1024, "peak": 2e-2, "epochs": 8},
}


@experiment
def accelerator_engines() -> dict:
    """Time per batch of `MyNet` and of ResNet-18 by every engine of `ENGINES`; pictures are already on the device.

    Returns:
        {"device", "sizes": [B], "networks": {network: {"ms": {engine: [B][median, both quartiles]}, "missing": {engine:
        sentence}}}}.

    Raises:
        DeviceMissing: this machine has no accelerator.
    """
    here = device.find("accelerator")
    pictures = data.load("fashion")
    largest = pictures.to_input(pictures.train.images[: BATCH_SIZES[-1]])
    networks = {"MyNet": models.trained("mynet"), "ResNet-18": _resnet()}
    found = {name: _engines_of(net, largest, here) for name, net in networks.items()}
    return {"device": str(device.describe(here)), "sizes": list(BATCH_SIZES), "networks": found}


def _resnet() -> nn.Module:
    from torchvision.models import resnet18  # takes a second to import

    torch.manual_seed(0)
    return resnet18(num_classes=10).eval()


def _engines_of(net: nn.Module, largest: Tensor, here: torch.device) -> dict:
    ready, missing = deploy_all(net, largest[:256], ENGINES, [largest[:256]], device=here)
    uploaded, times = largest.to(here), {name: [] for name in ready}
    for size in progress_bar(BATCH_SIZES, desc="batch sizes", unit="size"):
        timings = measure.latency(ready, uploaded[:size], rounds=10, budget_seconds=4)
        for name, timing in timings.items():
            times[name].append([1000 * seconds for seconds in (timing.median, *timing.quartiles)])
    return {"ms": times, "missing": missing}


@experiment
def accelerator_products() -> dict:
    """Rate of products [4096, 1024] × [1024, n] by width n and format.

    Returns:
        {"device", "widths": [W], "tflops": {format: [W]}}.

    Raises:
        DeviceMissing: this machine has no accelerator.
    """
    here = device.find("accelerator")
    rates = {name: [] for name in FORMATS}
    for (name, dtype), width in progress_bar(list(product(FORMATS.items(), WIDTHS)), desc="products", unit="product"):
        x, w = (torch.rand(shape, device=here, dtype=dtype) for shape in ((4096, 1024), (1024, width)))
        with tf32.float32_products(name == "tf32"):
            seconds = measure.latency({"": lambda x, w=w: x @ w}, x, rounds=10, budget_seconds=0.3)[""].median
        rates[name].append(2 * 4096 * 1024 * width / seconds / 1e12)
    return {"device": str(device.describe(here)), "widths": list(WIDTHS), "tflops": rates}


@experiment
def accelerator_training() -> dict:
    """Seconds of training `MyNet`, each change of `TRAINING` on top of those that were kept, and the test accuracy.

    Returns:
        {"device", "seeds": [K], "rungs": [{"name", "kept", "epochs", "seconds": [K], "validation": [K], "test": [K]}]}.

    Raises:
        DeviceMissing: this machine has no accelerator.
    """
    here = device.find("accelerator")
    return {
        "device": str(device.describe(here)),
        "seeds": list(SEEDS),
        "rungs": train_ladder(here, data.load("fashion")),
    }


def train_ladder(here: torch.device, pictures: data.Pictures, seeds=SEEDS) -> list[dict]:
    """Train on every rung of `TRAINING`, with every seed; a rung that is not faster is not kept for those after it."""
    rungs, options, fastest = [], {}, float("inf")
    for name, changes in progress_bar(TRAINING.items(), desc="training ladder", unit="rung"):
        tried = options | changes
        runs = [_train(dict(tried), here, pictures, seed) for seed in seeds]
        of_seeds = {key: [run[key] for run in runs] for key in runs[0]}
        kept = median(of_seeds["seconds"]) < fastest
        rungs.append({"name": name, "kept": kept, "epochs": tried.get("epochs", EPOCHS)} | of_seeds)
        if kept:
            options, fastest = tried, median(of_seeds["seconds"])
    return rungs


def _train(options: dict, here: torch.device, pictures: data.Pictures, seed: int) -> dict:
    peak, epochs = options.pop("peak", None), options.pop("epochs", EPOCHS)
    torch.manual_seed(seed)
    net = models.MyNet()
    device.synchronize(here)
    started = time.perf_counter()
    if peak is None:
        training.fit(net, pictures, epochs=epochs, seed=seed, device=here, **options)
    else:
        recipes.one_cycle(net, pictures, epochs=epochs, peak=peak, seed=seed, device=here, **options)
    device.synchronize(here)
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "validation": training.evaluate(net, pictures.validation, pictures).accuracy,
        "test": recipes.test_accuracy(net, pictures),
    }
