"""A small network and small pictures for the tests of batches."""

import torch
from torch import nn

from nnopt_lab.workbench import data


def linear():
    torch.manual_seed(0)
    return nn.Linear(6, 3)


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 4))


def tiny():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (90, 1, 28, 28), dtype=torch.uint8, generator=generator)
    every = data.Split(images, torch.randint(0, 4, (90,), generator=generator))
    return data.Pictures("tiny", every[:60], every[60:75], every[75:], ("a", "b", "c", "d"), (0.5,), (0.25,))


def same(first, second, atol=0.0):
    return all(
        torch.allclose(a, b, atol=atol, rtol=0) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
