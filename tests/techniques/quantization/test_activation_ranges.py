"""Calibration: every layer is watched, and no hook is left."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm

from nnopt_lab.techniques.quantization import activation_ranges, grid_of_range, observers, qat


def prepared(layer):
    return qat.prepare(layer, torch.randn(9, 3))


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

    def test_sees_a_layers_output_before_it_is_changed_in_place_and_leaves_the_batches_alone(self):
        model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 4), nn.ReLU(inplace=True))
        batch = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
        kept = batch.clone()
        grids = activation_ranges.calibrate(model, [batch, batch])
        assert torch.equal(batch, kept)
        wanted = {"input": kept, "0": kept.relu(), "1": model[1](kept.relu()), "2": model(kept.clone())}
        assert {name: grid.scale for name, grid in grids.items()} == {
            name: grid_of_range(*values.aminmax()).scale for name, values in wanted.items()
        }

    @pytest.mark.parametrize("computed", [parametrizations.weight_norm, spectral_norm, prepared])
    def test_watches_layers_whose_weights_are_computed(self, computed):
        model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
        names = list(activation_ranges.calibrate(model, [torch.randn(9, 3)]))
        computed(model[0])
        assert list(activation_ranges.calibrate(model, [torch.randn(9, 3)])) == names
        assert list(activation_ranges.calibrate(model[0], [torch.randn(9, 3)])) == ["input", ""]

    def test_refuses_outputs_that_are_no_tensors_of_floats_by_name(self):
        recurrent = nn.Sequential(nn.Linear(3, 4), nn.LSTM(4, 2))
        with pytest.raises(ValueError, match=r"output of '1' \(LSTM\) is a tuple; an observer needs tensors\."):
            activation_ranges.calibrate(recurrent, [torch.randn(5, 3)])
        assert list(activation_ranges.calibrate(recurrent, [torch.randn(5, 3)], layers=(nn.Linear,))) == ["input", "0"]
        with pytest.raises(ValueError, match=r"output of 'the model' \(GRU\) is a tuple"):
            activation_ranges.calibrate(nn.GRU(3, 2), [torch.randn(5, 3)])
        with pytest.raises(ValueError, match=r"The input has no range: x is torch.int64"):
            activation_ranges.calibrate(nn.Embedding(3, 2), [torch.tensor([1, 2])])
        with pytest.raises(ValueError, match="The input is a list"):
            activation_ranges.calibrate(nn.Linear(3, 2), [[torch.randn(5, 3), torch.zeros(5)]])
        with pytest.raises(ValueError, match=r"output of '0' \(Linear\) has no range: .*infinite"):
            wide = nn.Linear(2, 1)
            nn.init.constant_(wide.weight, 2.0)
            activation_ranges.calibrate(nn.Sequential(wide, nn.ReLU()), [torch.full((1, 2), 3e38)])

    def test_refuses(self):
        with pytest.raises(ValueError, match="batches is empty"):
            activation_ranges.calibrate(nn.Linear(3, 4), [])
        layer = nn.Linear(1, 1)
        with pytest.raises(ValueError, match="NaN or infinite"):
            activation_ranges.calibrate(layer, [torch.tensor([[float("nan")]])])
        assert not layer._forward_hooks
