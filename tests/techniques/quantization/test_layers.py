"""A whole model's weights on grids."""

import copy
import math

import pytest
import torch

from nnopt_lab.techniques import quantization
from nnopt_lab.workbench import models


class TestModel:
    def test_weights_of_every_layer_are_on_their_grid_and_biases_stay(self):
        net = models.trained()
        four = quantization.quantize_weights(copy.deepcopy(net), 4)
        for name, layer in net.named_modules():
            if isinstance(layer, quantization.QUANTIZABLE):
                mine = dict(four.named_modules())[name]
                assert torch.equal(mine.bias, layer.bias)
                assert all(len(row.unique()) <= 15 for row in mine.weight.flatten(1))
                assert mine.weight.requires_grad
                assert quantization.signal_to_noise(layer.weight, mine.weight) > 10

    def test_signal_to_noise(self):
        x = torch.ones(10)
        assert quantization.signal_to_noise(x, x * 0.9) == pytest.approx(20, abs=1e-4)
        assert quantization.signal_to_noise(x, x) == math.inf
