"""Calibration: every layer is watched, and no hook is left."""

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.quantization import activation_ranges, grid_of_range, observers


class TestCalibrate:
    def test_watches_the_input_and_every_layer_in_evaluation_mode_and_leaves_no_trace(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Dropout(0.9), nn.ReLU()))
        model.train()
        tensors = [torch.randn(9, 3, generator=torch.Generator().manual_seed(i)) for i in range(3)]
        grids = activation_ranges.calibrate(model, tensors)
        assert list(grids) == ["input", "0", "1.0", "1.1"]
        hidden = model[0](torch.cat(tensors)).detach()
        for name, values in {"input": torch.cat(tensors), "0": hidden, "1.0": hidden, "1.1": hidden.relu()}.items():
            wanted = grid_of_range(*values.aminmax())
            torch.testing.assert_close(grids[name].scale, wanted.scale)
            assert abs(grids[name].zero_point - wanted.zero_point) <= 1
        assert list(activation_ranges.calibrate(model, tensors, layers=(nn.ReLU,))) == ["input", "1.1"]
        assert model.training and not any(m._forward_hooks for m in model.modules())

    def test_every_observer_can_be_given(self):
        kinds = observers.MovingAverage, observers.Entropy, lambda: observers.Percentile(99, bits=4)
        for kind in kinds:
            grid = activation_ranges.calibrate(nn.Linear(3, 4), [torch.randn(50, 3)], kind)["input"]
            assert grid.high == 2 ** kind().bits - 1

    def test_refuses(self):
        with pytest.raises(ValueError, match="batches is empty"):
            activation_ranges.calibrate(nn.Linear(3, 4), [])
        layer = nn.Linear(1, 1)
        with pytest.raises(ValueError, match="NaN or infinite"):
            activation_ranges.calibrate(layer, [torch.tensor([[float("nan")]])])
        assert not layer._forward_hooks
