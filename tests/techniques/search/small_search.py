"""A small network and easy pictures, on which a search takes seconds."""

from contextlib import contextmanager

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.convolutions import cost_model
from nnopt_lab.techniques.search import evaluation
from nnopt_lab.techniques.search.autotune import optimize
from nnopt_lab.techniques.search.searcher import Searcher

CONFIG = {
    "channels": {"0": 0.5, "7": 0.5},
    "energy": {"linear": 0.9},
    "sparsity": 0.5,
    "bits": {"0": 4, "4": 3, "7": 2, "9": 5},
    "teacher": 0.5,
    "engine": "eager float32",
}


def build(seed=0):
    """A network with batch norm, pooling and two linear layers."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(), nn.Flatten(), nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 3),
    ).eval()  # fmt: skip


def pictures(count, seed):
    """Three classes that differ in their colour, nearly."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    images = torch.randn(count, 3, 8, 8, generator=generator)
    images[torch.arange(count), labels] += 0.7
    return images, labels


TRAIN, VALIDATION = pictures(256, 1), pictures(200, 2)


@contextmanager
def known_machine():
    """A machine of known speed, on which nothing has to be timed: each model is twice as fast as the one before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost_model, "calibrate", lambda: cost_model.CostModel(50.0, 10.0, 1e-5))
        patch.setattr(evaluation, "fastest_seconds", lambda models, *_: {n: 0.5**i for i, n in enumerate(models)})
        yield


def search(model, goal="latency", **options):
    """Three trials of one epoch in eager torch, where the options say nothing else."""
    few = {"goal": goal, "engine_names": (), "trials": 3, "epochs": 1}
    with known_machine():
        return optimize(model, TRAIN, VALIDATION, **few | options)


def same_weights(one, other):
    """Whether two networks have the same weights, bit for bit."""
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in mine.items())


def searcher(task, goal, storage=None):
    with known_machine():
        return Searcher(task, goal, (), storage, "tpe")


def run(searcher, trials):
    with known_machine():
        return searcher.run(trials, None)
