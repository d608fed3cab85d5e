"""Lesson 11's experiments: training in each format, with gradients that underflow, and with weights stored in bf16.

Formats are emulated (`precision.emulate`), so a processor needs no instructions for them.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from nnopt_lab.course.recordings import experiment, over_seeds
from nnopt_lab.techniques.quantization import integer_training, precision, qat
from nnopt_lab.techniques.quantization.precision import FORMATS, emulate
from nnopt_lab.workbench import data, models
from nnopt_lab.workbench.recipes import test_accuracy

BATCH_SIZE, PEAK = 64, 0.05
TRAINING_SEEDS, TRAINING_STEPS = (0, 1, 2, 3, 4), 200
SHRUNK_SEEDS, SHRUNK_STEPS = (0, 1, 2), 100
SHRUNK_BY = (0, 4, 8, 12, 14, 16, 20)
WEIGHTS_SEEDS, WEIGHTS_STEPS = (0, 1, 2), 120
WEIGHTS_RATES = (0.0003, 0.001, 0.003, 0.01)
BF16, FP16, E4M3, E5M2 = (FORMATS[name] for name in ("bf16", "fp16", "fp8 e4m3", "fp8 e5m2"))


@experiment
def precision_training() -> dict:
    """Test accuracy of `MyNet` on Fashion-MNIST after 200 steps in each mixture of formats.

    SGD with momentum 0.9 under one cycle up to 0.05, batches of 64. A name gives the format of the layers' inputs,
    weights, outputs and gradients. Sums are float32 throughout, and so are the stored parameters, except in the last
    mixture.

    Returns:
        {"seeds": [S], "accuracy": {mixture: [S]}}, percent.
    """
    pictures = data.load("fashion")
    batch = pictures.to_input(pictures.train.images[:500])

    def integers(model: nn.Module) -> nn.Module:
        return emulate(qat.prepare(model, batch, 8, 8, method="min-max"), None, BF16)

    mixtures = {
        "float32": {},
        "bf16": {"make": lambda model: emulate(model, BF16, BF16)},
        "fp16": {"make": lambda model: emulate(model, FP16, FP16)},
        "fp16 and scaler": {"make": lambda model: emulate(model, FP16, FP16), "scaled": True},
        "fp8 and scales": {"make": lambda model: emulate(model, E4M3, E5M2, scaled=True)},
        "int8 forward, bf16 backward": {"make": integers},
        "bf16, stored too": {"make": lambda model: emulate(model, BF16, BF16), "stored": _rounded},
    }

    def accuracy(options: dict, seed: int) -> float:
        return test_accuracy(_trained(pictures, seed, TRAINING_STEPS, PEAK, **options)[0], pictures)

    runs = {name: partial(accuracy, options) for name, options in mixtures.items()}
    return {"seeds": list(TRAINING_SEEDS), "accuracy": over_seeds(runs, TRAINING_SEEDS, "mixed precision")}


@experiment
def precision_shrunk() -> dict:
    """Test accuracy of `MyNet` after 100 steps with a loss 2^k times smaller and a rate 2^k times larger.

    Without rounding, all k train alike. float32 and bf16 are run only for the first and the last k.

    Returns:
        {"seeds": [S], "shrunk_by": [K], "fp16", "fp16 and scaler": [K][S], "bf16", "float32": [2][S]}, percent.
    """
    pictures = data.load("fashion")
    ends = (SHRUNK_BY[0], SHRUNK_BY[-1])
    formats = {
        "fp16": (SHRUNK_BY, {"make": lambda model: emulate(model, FP16, FP16)}),
        "fp16 and scaler": (SHRUNK_BY, {"make": lambda model: emulate(model, FP16, FP16), "scaled": True}),
        "bf16": (ends, {"make": lambda model: emulate(model, BF16, BF16)}),
        "float32": (ends, {}),
    }

    def accuracy(k: int, options: dict, seed: int) -> float:
        return test_accuracy(_trained(pictures, seed, SHRUNK_STEPS, PEAK, shrunk_by=k, **options)[0], pictures)

    runs = {(name, k): partial(accuracy, k, options) for name, (ks, options) in formats.items() for k in ks}
    accuracies = over_seeds(runs, SHRUNK_SEEDS, "shrunk losses")
    results = {"seeds": list(SHRUNK_SEEDS), "shrunk_by": list(SHRUNK_BY)}
    return results | {name: [accuracies[name, k] for k in ks] for name, (ks, _) in formats.items()}


@experiment
def precision_weights() -> dict:
    """Test accuracy of `MyNet` after 120 steps at a constant rate, for each way of storing its weights.

    Only the stored weights are bf16, everything else is float32 (SGD, momentum 0.9, batches of 64): rounded to nearest
    after each step, rounded up or down at random, or as copies of float32 weights, which the optimizer updates.

    Returns:
        {"seeds": [S], "rates": [R], "accuracy": {way: [R][S]}, "unmoved": {way: [R]}}: accuracies in percent, and the
        share of the parameters that the last step left as they were, seed 0.
    """
    pictures = data.load("fashion")
    ways = {
        "float32": {},
        "bf16": {"stored": _rounded},
        "bf16, rounded at random": {"stored": _rounded_at_random},
        "bf16 copy of float32": {"make": _copied},
    }

    def run(options: dict, rate: float, seed: int) -> tuple[float, float]:
        model, unmoved = _trained(pictures, seed, WEIGHTS_STEPS, rate, one_cycle=False, **options)
        return test_accuracy(model, pictures), unmoved

    runs = {(way, rate): partial(run, options, rate) for way, options in ways.items() for rate in WEIGHTS_RATES}
    found = over_seeds(runs, WEIGHTS_SEEDS, "stored weights")
    return {
        "seeds": list(WEIGHTS_SEEDS),
        "rates": list(WEIGHTS_RATES),
        "accuracy": {way: [[a for a, _ in found[way, rate]] for rate in WEIGHTS_RATES] for way in ways},
        "unmoved": {way: [round(found[way, rate][0][1], 4) for rate in WEIGHTS_RATES] for way in ways},
    }


def _copied(model: nn.Module) -> nn.Module:
    """Let the layers compute with bf16 copies of the parameters, while the optimizer updates the parameters."""
    for layer in list(model.modules()):
        for name, _ in list(layer.named_parameters(recurse=False)):
            parametrize.register_parametrization(layer, name, precision.Rounding(BF16, None))
    return model


def _rounded(weights: Tensor) -> Tensor:
    return weights.bfloat16().float()


def _rounded_at_random(weights: Tensor) -> Tensor:
    step = precision.spacing(weights, BF16)
    return (integer_training.stochastic_round(weights / step, torch.rand(weights.shape)) * step).float()


def _trained(
    pictures: data.Pictures,
    seed: int,
    steps: int,
    rate: float,
    *,
    make: Callable[[nn.Module], nn.Module] = lambda model: model,
    stored: Callable[[Tensor], Tensor] = lambda weights: weights,
    one_cycle: bool = True,
    shrunk_by: int = 0,
    scaled: bool = False,
) -> tuple[nn.Module, float]:
    """A `MyNet` after some steps of SGD, and the share of its parameters that the last step left as they were.

    `make` is applied to the network before it learns, `stored` to each parameter before the first step and after each.
    """
    torch.manual_seed(seed)
    model, rate = make(models.MyNet()).train(), rate * 2.0**shrunk_by
    parameters = list(model.parameters())
    optimizer = torch.optim.SGD(parameters, rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps) if one_cycle else None
    scaler = torch.amp.GradScaler("cpu", enabled=scaled)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels) * 2.0**-shrunk_by

    _keep(parameters, stored)
    order = torch.randperm(len(pictures.train), generator=torch.Generator().manual_seed(seed))
    for at in order.split(BATCH_SIZE)[:steps]:
        before = [weights.detach().clone() for weights in parameters]
        batch = pictures.to_input(pictures.train.images[at]), pictures.train.labels[at]
        precision.step(model, *batch, optimizer, scaler=scaler, loss=loss)
        _keep(parameters, stored)
        if schedule:
            schedule.step()
    same = sum(int((a == b).sum()) for a, b in zip(before, parameters, strict=True))
    return model.eval(), same / sum(weights.numel() for weights in parameters)


@torch.no_grad()
def _keep(parameters: list[Tensor], stored: Callable[[Tensor], Tensor]) -> None:
    for weights in parameters:
        weights.copy_(stored(weights))
