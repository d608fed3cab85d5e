"""Networks of all shapes for the tests of channel pruning."""

import copy

import torch
from torch import nn

from nnopt_lab.techniques.pruning import channel_pruning

X = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def settled(model, seed=0):
    """Random weights everywhere, batch norms and their statistics included: what is untouched would hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            fan_in = tensor[0].numel() if tensor.ndim > 1 else 1
            tensor.copy_(torch.randn(tensor.shape, generator=generator) / fan_in**0.5)
            if name.endswith("running_var"):
                tensor.abs_().add_(0.5)
    return model.eval()


class Net(nn.Module):
    """A forward given as a function of the module and the input, for the shapes of network that follow."""

    def __init__(self, forward, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self._forward = forward

    def forward(self, x):
        return self._forward(self, x)


def conv(i=3, o=8, **options):
    return nn.Conv2d(i, o, 3, padding=1, **options)


def check_exact(model, share, x=X, **options):
    """Both networks' outputs agree to 1e-5 of their size; returns the smaller one."""
    before = copy.deepcopy(model.state_dict())
    keep = channel_pruning.keep_most_important(model, x[:1], share, **options)
    zeroed = channel_pruning.zero_channels(model, x[:1], keep)
    small = channel_pruning.remove_channels(model, x[:1], keep)
    with torch.no_grad():
        wanted, got = zeroed(x), small(x)
    assert (got - wanted).abs().max() <= 1e-5 * max(1, wanted.abs().max().item())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    return small
