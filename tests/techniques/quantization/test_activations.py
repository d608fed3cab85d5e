"""Recorded activations: those of the layers named, and of each layer's first run."""

import torch
from torch import nn

from nnopt_lab.techniques.quantization.activations import record_activations

X = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))


def test_what_layers_read_and_write_in_running_order():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).train()
    seen = record_activations(model, X)
    hidden = model[0](X)
    assert list(seen) == ["0", "2"] and list(record_activations(model, X, ["2"])) == ["2"]
    for name, (read, written) in {"0": (X, hidden), "2": (hidden.relu(), model[2](hidden.relu()))}.items():
        assert torch.equal(seen[name][0], read) and torch.equal(seen[name][1], written)
    assert model.training and not any(layer._forward_hooks for layer in model)
    (seen["2"][0] * torch.ones(4, requires_grad=True)).sum().backward()  # autograd may use what was recorded


def test_a_layer_that_runs_twice_keeps_its_first_run():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x):
            return self.layer(self.layer(x))

    assert torch.equal(record_activations(Net(), X)["layer"][0], X)
