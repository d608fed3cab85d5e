"""AdaRound: roundings that serve the output."""

import copy

import pytest
import torch

from nnopt_lab.techniques import quantization
from nnopt_lab.techniques.quantization import post_training
from tests.techniques.quantization.post_training.networks import LAYERS, X, net


class TestAdaRound:
    def test_the_rectified_sigmoid_reaches_both_ends(self):
        v = torch.tensor([-20.0, -3.0, 0.0, 3.0, 20.0])
        assert post_training.rectified_sigmoid(v).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]

    @pytest.mark.parametrize("per", ["tensor", "channel"])
    def test_every_weight_goes_up_or_down_and_the_output_is_nearer(self, per):
        model = net()
        rounded = post_training.ada_round(copy.deepcopy(model), X, 3, per=per, steps=150)
        nearest = quantization.quantize_weights(copy.deepcopy(model), 3, per=per)
        elsewhere = 0
        for i in LAYERS:
            grid = quantization.grid_of(model[i].weight, 3, per=per)
            q, scaled = rounded[i].weight / grid.scale, model[i].weight / grid.scale
            torch.testing.assert_close(q, q.round(), rtol=0, atol=1e-4)
            assert ((q - scaled).abs() < 1 + 1e-4).all()
            elsewhere += int((q.round() != nearest[i].weight.div(grid.scale).round()).sum())
        assert elsewhere > 0
        with torch.no_grad():
            error, of_nearest = ((m(X) - model(X)).square().mean() for m in (rounded, nearest))
        assert error < 0.6 * of_nearest

    def test_is_the_same_with_the_same_seed(self):
        a, b = (post_training.ada_round(net(), X, 4, steps=20, seed=1) for _ in range(2))
        assert all(torch.equal(a[i].weight, b[i].weight) for i in LAYERS)

    @pytest.mark.parametrize(("options", "sentence"), [({"steps": 0}, "steps=0 must be"), ({"bits": 1}, "bits=1")])
    def test_refuses(self, options, sentence):
        with pytest.raises(ValueError, match=sentence):
            post_training.ada_round(net(), X, **options)
