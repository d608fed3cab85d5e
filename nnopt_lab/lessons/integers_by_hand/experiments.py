"""Lesson 05's experiments: bits after training and in training, and the smallest file."""

import base64
import copy
import tempfile
from functools import partial
from pathlib import Path
from statistics import mean

import torch
from torch import nn

from nnopt_lab.course.recordings import experiment, over_seeds
from nnopt_lab.techniques import pruning, quantization
from nnopt_lab.techniques.quantization import post_training, qat
from nnopt_lab.techniques.quantization.deep_compression import make_permanent, save, share_weights
from nnopt_lab.techniques.quantization.integer_training import ROUNDINGS, IntegerMLP, accuracy, train
from nnopt_lab.workbench import data, measure, models, recipes, training
from nnopt_lab.workbench.progress_bar import progress_bar
from nnopt_lab.workbench.recipes import test_accuracy

COMPRESSION_SEEDS = (0, 1, 2)
COMPRESSION_SPARSITIES = (0.9, 0.95, 0.98, 0.99)
COMPRESSION_BITS = (4, 3)
COMPRESSION_EPOCHS = 3
COMPRESSION_LIMIT = 0.5  # points that may be lost on the validation pictures, upper end of the interval
TRAINING_SEEDS = (0, 1, 2)
TRAINING_BITS = (8, 4, 3, 2)
TRAINING_CODES = ("ternary", "binary")
STORED_BITS = (8, 9, 10, 11, 12, 13, 14, 16)
STORED_EPOCHS = 4
POST_BITS = (8, 4, 3, 2)
POST_WAYS = ("nearest", "per channel", "biases corrected", "equalised", "both", "AdaRound", "equalised, AdaRound")


@experiment
def deep_compression() -> dict:
    """Bytes against accuracy of `MyNet`, pruned, shared, fine-tuned and coded, over three seeds.

    Each run starts from the shipped network and goes through the sparsities in order, with 3 epochs of training (AdamW,
    one cycle up to 0.002) after each cut. At each sparsity the weights are then shared at 4 and at 3 bits, the
    centroids and biases are trained for an epoch (one cycle up to 0.001), and the network is coded into a file. The
    dense network is trained in the same way, as the control.

    Returns:
        {"seeds": [K], "sparsities": [S], "bits": [B], "before": accuracy of the network as it ships, "dense": [K][S],
        "cut", "pruned": [K][S], before and after the training, "shared", "trained", "bytes": [K][S][B], "smallest":
        the smallest of the files that lose at most half a point on the *validation* pictures, interval included:
        its "seed", "sparsity", "bits", "lost" (upper end, points), bytes by "parts", and the "file" itself, in
        base64}. Accuracies are on the test pictures, in percent.
    """
    pictures = data.load("fashion")
    start = models.trained("mynet").to(memory_format=torch.channels_last)  # the same numbers, and a faster pooling
    total = pruning.count_weights(start)[1]
    results = {
        "seeds": list(COMPRESSION_SEEDS),
        "sparsities": list(COMPRESSION_SPARSITIES),
        "bits": list(COMPRESSION_BITS),
        "before": test_accuracy(start, pictures),
    }
    results |= {stage: [] for stage in ("dense", "cut", "pruned", "shared", "trained", "bytes")}
    files = []
    with progress_bar(total=len(COMPRESSION_SEEDS) * len(COMPRESSION_SPARSITIES), desc="deep compression") as bar:
        for seed in COMPRESSION_SEEDS:
            dense, pruned, rows = copy.deepcopy(start), copy.deepcopy(start), []
            for step, sparsity in enumerate(COMPRESSION_SPARSITIES):
                row = {"dense": test_accuracy(_one_cycle(dense, pictures, 100 * step + seed), pictures)}
                row["cut"] = test_accuracy(pruning.magnitude_prune(pruned, round(total * (1 - sparsity))), pictures)
                row["pruned"] = test_accuracy(_one_cycle(pruned, pictures, 100 * step + seed), pictures)
                coded = [_share_and_code(copy.deepcopy(pruned), pictures, bits, seed) for bits in COMPRESSION_BITS]
                rows.append(row | {stage: [c[stage] for c in coded] for stage in ("shared", "trained", "bytes")})
                files += [{"seed": seed, "sparsity": sparsity} | c for c in coded]
                bar.update()
            for stage in rows[0]:
                results[stage].append([row[stage] for row in rows])
    return results | {"smallest": min((f for f in files if f["lost"] <= COMPRESSION_LIMIT), key=lambda f: f["bytes"])}


def _share_and_code(model: nn.Module, pictures: data.Pictures, bits: int, seed: int) -> dict:
    share_weights(model, bits)
    shared = test_accuracy(model, pictures)
    make_permanent(_one_cycle(model, pictures, seed, epochs=1, peak=1e-3))
    before = training.evaluate(models.trained("mynet"), pictures.validation, pictures).correct
    lost = measure.proportion_difference(training.evaluate(model, pictures.validation, pictures).correct, before)
    with tempfile.TemporaryDirectory() as folder:
        parts = save(model, Path(folder, "network.bin"))
        raw = Path(folder, "network.bin").read_bytes()
    return {
        "bits": bits,
        "shared": shared,
        "trained": test_accuracy(model, pictures),
        "bytes": len(raw),
        "lost": round(lost.high, 2),
        "parts": parts,
        "file": base64.b64encode(raw).decode(),
    }


def _one_cycle(
    model: nn.Module, pictures: data.Pictures, seed: int, epochs: int = COMPRESSION_EPOCHS, peak: float = 2e-3
) -> nn.Module:
    return recipes.one_cycle(model, pictures, epochs=epochs, peak=peak, seed=seed, description="fine-tuning")


@experiment
def integer_training() -> dict:
    """Test accuracy of `MyNet` at few bits, after training and in training, and of a perceptron trained in integers.

    Each network starts from the shipped weights and is trained for one epoch (SGD, momentum 0.9, rate 0.01 falling to 0
    as a cosine), and so is the float control. Bits are those of weights and layer inputs; the first and the last layer
    keep 8. Binary and ternary weights are paired with 8-bit inputs. "after training" is the min-max grid without the
    epoch.

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
    found = over_seeds(runs, TRAINING_SEEDS, "integer training")
    stored = {rounding: [found[rounding, bits] for bits in STORED_BITS] for rounding in ROUNDINGS}
    return {
        "seeds": list(TRAINING_SEEDS),
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
    """Test accuracy of `MyNet` with weights of few bits, one grid per tensor, quantized after training in seven ways.

    A seed chooses the 1,000 training pictures that biases and roundings are fitted to, and the order in which AdaRound
    sees them.

    Returns:
        {"seeds": [K], "bits": [B], "before": accuracy in float, way: [B][K]}, percent.
    """
    pictures = data.load("fashion")
    start = models.trained("mynet").to(memory_format=torch.channels_last)
    equal = post_training.equalize(copy.deepcopy(start))
    results = {"seeds": list(TRAINING_SEEDS), "bits": list(POST_BITS), "before": test_accuracy(start, pictures)}
    results |= {way: [] for way in POST_WAYS}

    def rounded(model, bits, per="tensor"):
        return quantization.quantize_weights(copy.deepcopy(model), bits, per=per)

    with progress_bar(total=len(POST_BITS) * len(TRAINING_SEEDS), desc="post-training", unit="seed") as bar:
        for bits in POST_BITS:
            rows = []
            for seed in TRAINING_SEEDS:
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
