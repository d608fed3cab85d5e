"""Small networks for the tests of post-training quantisation."""

from itertools import pairwise

import torch
from torch import nn


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 6, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(24, 10), nn.ReLU(), nn.Linear(10, 4),
    ).eval()  # fmt: skip


X = torch.randn(60, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LAYERS = (0, 3, 6, 8)


def ill_scaled(model, seed=0):
    """The same function, bit for bit, with the channels of each layer on very different scales."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for i, j in pairwise(LAYERS):
            s = 2.0 ** torch.randint(-4, 5, (len(model[i].weight),), generator=generator)
            model[i].weight.mul_(s.view(-1, *[1] * (model[i].weight.dim() - 1)))
            model[i].bias.mul_(s)
            behind = s.repeat_interleave(model[j].weight.shape[1] // len(s))
            model[j].weight.div_(behind.view(1, -1, *[1] * (model[j].weight.dim() - 2)))
    return model
