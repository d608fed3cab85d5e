"""Small networks and random tensors for the tests of pruning."""

import torch
from torch import nn

from nnopt_lab.techniques import pruning


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4, 6), nn.Linear(6, 4))


TOTAL = 8 * 27 + 32 * 6 + 24


def tensor(shape, seed, ties=False):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return (values * 2).round() / 2 if ties else values


def weights(model):
    return {name: layer.weight.detach().clone() for name, layer in pruning.prunable(model).items()}


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(weights(a).values(), weights(b).values(), strict=True))


def layers_of(model):
    return [(layer, "weight") for layer in pruning.prunable(model).values()]
