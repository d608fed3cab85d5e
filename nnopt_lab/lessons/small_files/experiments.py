"""Lesson 07's experiment: the smallest file."""

import base64
import copy
import tempfile
from pathlib import Path

import torch
from torch import nn

from nnopt_lab.course.recordings import experiment
from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.quantization.deep_compression import make_permanent, save, share_weights
from nnopt_lab.workbench import data, measure, models, recipes, training
from nnopt_lab.workbench.progress_bar import progress_bar
from nnopt_lab.workbench.recipes import test_accuracy

SEEDS = (0, 1, 2)
SPARSITIES = (0.9, 0.95, 0.98, 0.99)
BITS = (4, 3)
EPOCHS = 3
LIMIT = 0.5  # points that may be lost on the validation pictures, upper end of the interval


@experiment
def deep_compression() -> dict:
    """File size and accuracy of `MyNet`, pruned, shared, fine-tuned and coded, over three seeds.

    Each run starts from the shipped network and goes through the sparsities in order, with 3 epochs of training after
    each cut (AdamW, one cycle with a peak of 0.002). At each sparsity the weights are then shared at 4 and at 3 bits,
    the centroids and biases are trained for one epoch (one cycle with a peak of 0.001), and the network is coded into a
    file. The dense network is trained in the same way, as the control.

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
        "seeds": list(SEEDS),
        "sparsities": list(SPARSITIES),
        "bits": list(BITS),
        "before": test_accuracy(start, pictures),
    }
    results |= {stage: [] for stage in ("dense", "cut", "pruned", "shared", "trained", "bytes")}
    files = []
    with progress_bar(total=len(SEEDS) * len(SPARSITIES), desc="deep compression") as bar:
        for seed in SEEDS:
            dense, pruned, rows = copy.deepcopy(start), copy.deepcopy(start), []
            for step, sparsity in enumerate(SPARSITIES):
                row = {"dense": test_accuracy(_one_cycle(dense, pictures, 100 * step + seed), pictures)}
                row["cut"] = test_accuracy(pruning.magnitude_prune(pruned, round(total * (1 - sparsity))), pictures)
                row["pruned"] = test_accuracy(_one_cycle(pruned, pictures, 100 * step + seed), pictures)
                coded = [_share_and_code(copy.deepcopy(pruned), pictures, bits, seed) for bits in BITS]
                rows.append(row | {stage: [c[stage] for c in coded] for stage in ("shared", "trained", "bytes")})
                files += [{"seed": seed, "sparsity": sparsity} | c for c in coded]
                bar.update()
            for stage in rows[0]:
                results[stage].append([row[stage] for row in rows])
    return results | {"smallest": min((f for f in files if f["lost"] <= LIMIT), key=lambda f: f["bytes"])}


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
    model: nn.Module, pictures: data.Pictures, seed: int, epochs: int = EPOCHS, peak: float = 2e-3
) -> nn.Module:
    return recipes.one_cycle(model, pictures, epochs=epochs, peak=peak, seed=seed, description="fine-tuning")
