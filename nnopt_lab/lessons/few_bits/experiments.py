"""Lesson 06's experiments: few bits after training, in training, and training in integers."""

import copy
from functools import partial
from statistics import mean

import torch
from torch import nn

from nnopt_lab.course.recordings import experiment, over_seeds
from nnopt_lab.techniques import quantization
from nnopt_lab.techniques.quantization import post_training, qat
from nnopt_lab.techniques.quantization.integer_training import ROUNDINGS, IntegerMLP, accuracy, train
from nnopt_lab.workbench import data, models, training
from nnopt_lab.workbench.progress_bar import progress_bar
from nnopt_lab.workbench.recipes import test_accuracy

SEEDS = (0, 1, 2)
TRAINING_BITS = (8, 4, 3, 2)
TRAINING_CODES = ("ternary", "binary")
STORED_BITS = (8, 9, 10, 11, 12, 13, 14, 16)
STORED_EPOCHS = 4
POST_BITS = (8, 4, 3, 2)
POST_WAYS = ("nearest", "per channel", "biases corrected", "equalised", "both", "AdaRound", "equalised, AdaRound")


@experiment
def integer_training() -> dict:
    """Test accuracy of `MyNet` at few bits, with and without training, and of a perceptron trained in integers.

    Each network starts from the shipped weights and is trained for one epoch (SGD with momentum 0.9, learning rate 0.01
    with a cosine decay to 0), and so is the float control. Bits are those of weights and layer inputs; the first and
    the last layer keep 8. Binary and ternary weights have 8-bit inputs. "after training" is the min-max grid without
    that epoch.

    The perceptron, 784-64-10, is trained for 4 epochs with weights stored in 8 to 16 bits.

    Returns:
        {"seeds": [K], "bits": [B], "before": the network as it ships, "float": [K], "after training": [B], "min-max",
        "lsq": [B][K], "ternary", "binary": [K], "stored": {"bits": [S], "nearest", "stochastic": [S][K], "moved":
        {rounding: [S] share of weights that a step of the last epoch changes, seed 0}}}, accuracies in percent.
    """
    pictures = data.load("fashion")
    start = models.trained("mynet").to(memory_format=torch.channels_last)
    batch = pictures.to_input(pictures.train.images[:500])

    def prepared(weights, activations, method):
        return qat.prepare(copy.deepcopy(start), batch, weights, activations, method=method)

    def trained(weights, activations, method: str, seed: int) -> float:
        return round(_trained_on(prepared(weights, activations, method), pictures, seed), 2)

    runs = {"float": lambda seed: round(_trained_on(copy.deepcopy(start), pictures, seed), 2)}
    runs |= {(m, bits): partial(trained, bits, bits, m) for m in qat.METHODS for bits in TRAINING_BITS}
    runs |= {code: partial(trained, code, 8, "lsq") for code in TRAINING_CODES}
    runs |= {(r, bits): partial(_in_integers, pictures, bits, r) for r in ROUNDINGS for bits in STORED_BITS}
    found = over_seeds(runs, SEEDS, "integer training")
    stored = {rounding: [found[rounding, bits] for bits in STORED_BITS] for rounding in ROUNDINGS}
    return {
        "seeds": list(SEEDS),
        "bits": list(TRAINING_BITS),
        "before": test_accuracy(start, pictures),
        "float": found["float"],
        "after training": [test_accuracy(prepared(bits, bits, "min-max"), pictures) for bits in TRAINING_BITS],
        "stored": {
            "bits": list(STORED_BITS),
            **{rounding: [[accuracy for accuracy, _ in row] for row in rows] for rounding, rows in stored.items()},
            "moved": {rounding: [row[0][1] for row in rows] for rounding, rows in stored.items()},
        },
        **{method: [found[method, bits] for bits in TRAINING_BITS] for method in qat.METHODS},
        **{code: found[code] for code in TRAINING_CODES},
    }


def _trained_on(model: nn.Module, pictures: data.Pictures, seed: int) -> float:
    steps = -(-len(pictures.train) // 64)
    training.fit(
        model,
        pictures,
        epochs=1,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9),
        scheduler=lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
        seed=seed,
    )
    return test_accuracy(model, pictures)


def _in_integers(pictures: data.Pictures, bits: int, rounding: str, seed: int) -> tuple[float, float]:
    """Test accuracy in percent, and the mean share of the weights that a step of the last epoch changes."""
    net = IntegerMLP(bits=bits, rounding=rounding, seed=seed)
    shares = train(net, pictures.train.images, pictures.train.labels, STORED_EPOCHS)
    last = shares[-len(shares) // STORED_EPOCHS :]
    return round(accuracy(net, pictures.test.images, pictures.test.labels), 2), float(f"{mean(last):.3g}")


@experiment
def post_training_bits() -> dict:
    """Test accuracy of `MyNet` with weights of few bits, one grid per tensor, quantised after training in seven ways.

    A seed chooses the 1,000 training pictures to which biases and roundings are fitted, and the order in which AdaRound
    sees them.

    Returns:
        {"seeds": [K], "bits": [B], "before": accuracy in float, way: [B][K]}, percent.
    """
    pictures = data.load("fashion")
    start = models.trained("mynet").to(memory_format=torch.channels_last)
    equal = post_training.equalize(copy.deepcopy(start))
    results = {"seeds": list(SEEDS), "bits": list(POST_BITS), "before": test_accuracy(start, pictures)}
    results |= {way: [] for way in POST_WAYS}

    def rounded(model, bits, per="tensor"):
        return quantization.quantize_weights(copy.deepcopy(model), bits, per=per)

    with progress_bar(total=len(POST_BITS) * len(SEEDS), desc="post-training", unit="seed") as bar:
        for bits in POST_BITS:
            rows = []
            for seed in SEEDS:
                at = torch.randperm(len(pictures.train), generator=torch.Generator().manual_seed(seed))[:1000]
                batch = pictures.to_input(pictures.train.images[at]).contiguous(memory_format=torch.channels_last)
                networks = (
                    rounded(start, bits),
                    rounded(start, bits, "channel"),
                    post_training.correct_biases(rounded(start, bits), start, batch),
                    rounded(equal, bits),
                    post_training.correct_biases(rounded(equal, bits), equal, batch),
                    post_training.ada_round(copy.deepcopy(start), batch, bits, seed=seed),
                    post_training.ada_round(copy.deepcopy(equal), batch, bits, seed=seed),
                )
                rows.append([test_accuracy(model, pictures) for model in networks])
                bar.update()
            for way, accuracies in zip(POST_WAYS, zip(*rows, strict=True), strict=True):
                results[way].append(list(accuracies))
    return results
