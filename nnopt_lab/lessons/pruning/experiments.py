"""Lesson 01's experiment: how well pruned networks recover, over three seeds."""

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from nnopt_lab.course.recordings import experiment, over_seeds
from nnopt_lab.techniques import pruning
from nnopt_lab.workbench import data, models, recipes, training

SPARSITIES = (0.8, 0.9, 0.95, 0.98)
SEEDS = (0, 1, 2)
EPOCHS = 6


@experiment
def pruning_sweep() -> dict:
    """Test accuracy of `MyNet` after pruning by four methods, and of the dense network, all with the same fine-tuning.

    Each method but the first gets 6 epochs in all: all of them after the cut, or one after each dropped level and the
    rest at the end. Seeds change the order of the pictures and the choices of random pruning. All runs start from the
    same trained weights.

    Returns:
        {"sparsities": [S], "seeds": [K], "before": accuracy of the shipped dense network, "dense": [K],
        method: [K][S]} with methods "one shot, no fine-tuning", "one shot", "in levels", "random"; percent.
    """
    pictures = data.load("fashion")
    start = models.trained("mynet")
    total = pruning.count_weights(start)[1]
    methods = {
        "one shot, no fine-tuning": _one_shot_only,
        "one shot": _one_shot,
        "in levels": _in_levels,
        "random": _random,
    }

    def dense(seed: int) -> float:
        return recipes.test_accuracy(_finetune(copy.deepcopy(start), pictures, seed, EPOCHS), pictures)

    def pruned(method: Callable, sparsity: float, seed: int) -> float:
        model = method(copy.deepcopy(start), round(total * (1 - sparsity)), pictures, seed)
        return recipes.test_accuracy(model, pictures)

    runs = {(name, sparsity): partial(pruned, methods[name], sparsity) for name in methods for sparsity in SPARSITIES}
    found = over_seeds({"dense": dense} | runs, SEEDS, "pruning sweep")
    return {
        "sparsities": list(SPARSITIES),
        "seeds": list(SEEDS),
        "before": recipes.test_accuracy(start, pictures),
        "dense": found["dense"],
        **{name: [[found[name, s][k] for s in SPARSITIES] for k in range(len(SEEDS))] for name in methods},
    }


def _finetune(model: nn.Module, pictures: data.Pictures, seed: int, epochs: int) -> nn.Module:
    training.fit(
        model,
        pictures,
        epochs=epochs,
        batch_size=128,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-3),
        seed=seed,
        description="fine-tuning",
    )
    return model


def _one_shot_only(model, keep, pictures, seed):
    return pruning.magnitude_prune(model, keep)


def _one_shot(model, keep, pictures, seed):
    return _finetune(pruning.magnitude_prune(model, keep), pictures, seed, EPOCHS)


def _random(model, keep, pictures, seed):
    return _finetune(pruning.random_prune(model, keep, seed=seed), pictures, seed, EPOCHS)


def _in_levels(model, keep, pictures, seed):
    steps = 0
    for steps, _ in enumerate(pruning.prune_in_levels(model, keep, count=2), 1):
        _finetune(model, pictures, seed + 100 * steps, 1)
    return _finetune(model, pictures, seed, EPOCHS - steps)
