"""Small pictures and a small network for the tests of learning rates."""

import pytest
import torch
from torch import nn

from nnopt_lab.workbench import data


@pytest.fixture(scope="module")
def tiny():
    """A hundred small pictures, and a function that makes a network with batch norm and dropout."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 10
    images = (20 * labels.view(-1, 1, 1, 1) + torch.randint(0, 40, (120, 1, 8, 8), generator=generator)).to(torch.uint8)
    whole = data.Split(images, labels)
    pictures = data.Pictures("tiny", whole[:100], whole[100:110], whole[110:], tuple("0123456789"), (0.4,), (0.3,))

    def model():
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=4),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Flatten(),
            nn.Linear(256, 10),
        )

    return pictures, model
