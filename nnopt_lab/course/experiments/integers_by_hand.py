"""Lesson 05's experiments: bits after training and in training, and the smallest file."""

import base64
import copy
import tempfile
from pathlib import Path

import torch
from torch import nn

from nnopt_lab.techniques import deep_compression as compression
from nnopt_lab.techniques import pruning
from nnopt_lab.workbench import data, measure, models, training
from nnopt_lab.workbench.bars import bar as progress_bar

COMPRESSION_SEEDS = (0, 1, 2)
COMPRESSION_SPARSITIES = (0.9, 0.95, 0.98, 0.99)
COMPRESSION_BITS = (4, 3)
COMPRESSION_EPOCHS = 3
COMPRESSION_LIMIT = 0.5  # points that may be lost on the validation pictures, upper end of the interval


def deep_compression() -> dict:
    """Bytes against accuracy of `MyNet`, pruned, shared, fine-tuned and coded, over three seeds.

    From the shipped network each run goes through the sparsities one after the other, 3 epochs of training (AdamW,
    one cycle up to 0.002) after each cut. From each of them its weights are shared, in 4 and in 3 bits, the centroids
    and biases are trained for an epoch (one cycle up to 0.001), and the network is coded in a file. The dense network
    is trained on in the same way as the control.

    Returns:
        {"seeds": [K], "sparsities": [S], "bits": [B], "before": accuracy of the network as it ships, "dense": [K][S],
        "cut", "pruned": [K][S], before and after the training, "shared", "trained", "bytes": [K][S][B], "smallest":
        of all files whose loss on the *validation* pictures is at most half a point, interval included, the smallest:
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
        "before": _accuracy(start, pictures),
    }
    results |= {stage: [] for stage in ("dense", "cut", "pruned", "shared", "trained", "bytes")}
    files = []
    with progress_bar(total=len(COMPRESSION_SEEDS) * len(COMPRESSION_SPARSITIES), desc="deep compression") as bar:
        for seed in COMPRESSION_SEEDS:
            dense, pruned, rows = copy.deepcopy(start), copy.deepcopy(start), []
            for step, sparsity in enumerate(COMPRESSION_SPARSITIES):
                row = {"dense": _accuracy(_one_cycle(dense, pictures, 100 * step + seed), pictures)}
                row["cut"] = _accuracy(pruning.magnitude_prune(pruned, round(total * (1 - sparsity))), pictures)
                row["pruned"] = _accuracy(_one_cycle(pruned, pictures, 100 * step + seed), pictures)
                coded = [_share_and_code(copy.deepcopy(pruned), pictures, bits, seed) for bits in COMPRESSION_BITS]
                rows.append(row | {stage: [c[stage] for c in coded] for stage in ("shared", "trained", "bytes")})
                files += [{"seed": seed, "sparsity": sparsity} | c for c in coded]
                bar.update()
            for stage in rows[0]:
                results[stage].append([row[stage] for row in rows])
    return results | {"smallest": min((f for f in files if f["lost"] <= COMPRESSION_LIMIT), key=lambda f: f["bytes"])}


def _share_and_code(model: nn.Module, pictures: data.Pictures, bits: int, seed: int) -> dict:
    compression.share_weights(model, bits)
    shared = _accuracy(model, pictures)
    compression.make_permanent(_one_cycle(model, pictures, seed, epochs=1, peak=1e-3))
    before = training.evaluate(models.trained("mynet"), pictures.validation, pictures).correct
    lost = measure.proportion_difference(training.evaluate(model, pictures.validation, pictures).correct, before)
    with tempfile.TemporaryDirectory() as folder:
        parts = compression.save(model, Path(folder, "network.bin"))
        raw = Path(folder, "network.bin").read_bytes()
    return {
        "bits": bits,
        "shared": shared,
        "trained": _accuracy(model, pictures),
        "bytes": len(raw),
        "lost": round(lost.high, 2),
        "parts": parts,
        "file": base64.b64encode(raw).decode(),
    }


def _accuracy(model: nn.Module, pictures: data.Pictures) -> float:
    return round(training.evaluate(model, pictures.test, pictures).accuracy, 2)


def _one_cycle(
    model: nn.Module, pictures: data.Pictures, seed: int, epochs: int = COMPRESSION_EPOCHS, peak: float = 2e-3
) -> nn.Module:
    steps = epochs * -(-len(pictures.train) // 128)
    training.fit(
        model,
        pictures,
        epochs=epochs,
        batch_size=128,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=peak),
        scheduler=lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=steps),
        seed=seed,
        description="fine-tuning",
    )
    return model
