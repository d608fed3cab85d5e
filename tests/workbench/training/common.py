"""Small pictures and a small network for the tests of training."""

import torch
from torch import nn

from nnopt_lab.workbench import data, training


def some_pictures(n=60):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % 10
    images = torch.randint(0, 60, (n, 1, 28, 28), dtype=torch.uint8, generator=generator)
    images[torch.arange(n), 0, labels * 2, labels] = 255  # so that there is something to learn
    split = data.Split(images, labels)
    return data.Pictures("some", split, split[:20], split[20:], tuple("abcdefghij"), (0.2,), (0.3,))


PICTURES = some_pictures()


def net(seed=0, dropout=0.0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 10))


def fit(model, **options):
    return training.fit(model, PICTURES, **({"device": "cpu", "epochs": 2, "batch_size": 16} | options))


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])
