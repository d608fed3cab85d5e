"""A small network, pruned and with shared weights."""

import torch
from torch import nn

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.quantization.deep_compression import (
    make_permanent,
    share_weights,
)


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 4, 16), nn.Linear(16, 4))


TOTAL = 8 * 27 + 32 * 16 + 64
X = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def compressed(keep=TOTAL // 4, bits=3, seed=0):
    model = pruning.magnitude_prune(net(seed), keep)
    return make_permanent(share_weights(model, bits))


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)
