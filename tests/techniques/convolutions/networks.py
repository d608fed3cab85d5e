"""Small networks for the tests of convolutions."""

import torch
from torch import nn

from nnopt_lab.workbench import models

X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def mynet(**options):
    torch.manual_seed(0)
    return models.MyNet(**options).eval()


def normed(model: nn.Module) -> nn.Module:
    """With statistics and affine parameters as after training: none of them 0 or 1."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            if module.running_var is not None:
                nn.init.normal_(module.running_mean)
                nn.init.uniform_(module.running_var, 0.2, 3)
            if module.affine:
                nn.init.uniform_(module.weight, -2, 2)
                nn.init.normal_(module.bias)
    return model.eval()
