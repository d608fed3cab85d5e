"""Rounded activations: each layer's output on its own grid, and the input as it is."""

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.quantization import fake_quantize, grid_of_range, observers
from nnopt_lab.techniques.quantization.activation_ranges import calibrate
from nnopt_lab.techniques.quantization.activation_rounding import round_activations

X = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))


def test_every_layer_with_a_grid_rounds_its_output_to_it_and_no_other_does():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5), nn.ReLU())
    grids = calibrate(model, [X], lambda: observers.MinMax(2), (nn.ReLU,))
    assert set(grids) == {"input", "1", "3"}
    hidden = fake_quantize(model[:2](X), grids["1"])
    wanted = fake_quantize(model[2:](hidden), grids["3"])
    assert round_activations(model, grids) is model
    assert torch.equal(model(X), wanted)
    assert len(model[:2](X).unique()) <= 4 < len(model[0](X).unique())


def test_a_grid_without_a_layer_is_an_error():
    with pytest.raises(AttributeError):
        round_activations(nn.Sequential(nn.ReLU()), {"5": grid_of_range(0, 1)})
