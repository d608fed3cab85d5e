"""Recorded activations: those of the layers named, and of each layer's first run."""

import torch
from torch import nn

from nnopt_lab.techniques.quantization.activations import record_activations, record_runs

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
    runs = record_runs(Net(), X)["layer"]
    assert len(runs) == 2 and torch.equal(runs[0][1], runs[1][0])


class InPlace(nn.Module):
    """Changes its input, a layer's input after the layer has read it, and a layer's output, as torchvision's do."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        x -= 1
        y = self.a(input=x).relu_()
        z = self.b(y)
        y += z
        z.neg_()
        x.zero_()
        return y + z


def test_what_happens_in_place_later_changes_nothing_that_was_recorded_and_not_the_batch():
    model, batch = InPlace(), X.clone()
    seen = record_activations(model, batch)
    hidden = model.a(X - 1).relu()
    assert torch.equal(batch, X)
    for name, (read, written) in {"a": (X - 1, model.a(X - 1)), "b": (hidden, model.b(hidden))}.items():
        assert torch.equal(seen[name][0], read) and torch.equal(seen[name][1], written)


def test_names_may_come_from_a_generator():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    assert list(record_activations(model, X, (name for name in ("0", "1")))) == ["0", "1"]
