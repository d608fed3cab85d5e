"""AdaRound: roundings that serve the output."""

import copy

import pytest
import torch
from torch import nn

from nnopt_lab.techniques import network_checks, quantization
from nnopt_lab.techniques.network_checks import current_value
from nnopt_lab.techniques.quantization import post_training
from nnopt_lab.techniques.quantization.layers import quantizable
from tests.techniques.quantization import zoo
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


REFUSED = ("tied", "weight norm", "spectral norm", "parametrised", "prepared")


class TestNetworksAsUsersWriteThem:
    @pytest.mark.parametrize("name", [name for name in zoo.ALL if name not in REFUSED])
    def test_weights_come_to_lie_on_their_grids_and_all_else_stays(self, name):
        model = zoo.make(zoo.ALL[name])
        before = {name: current_value(layer).clone() for name, layer in quantizable(model).items()}
        flags, x = [p.requires_grad for p in model.parameters()], zoo.inputs_of(model).clone()
        post_training.ada_round(model, x, 3, steps=3)
        assert torch.equal(x, zoo.inputs_of(model)) and [p.requires_grad for p in model.parameters()] == flags
        zoo.answers(model)
        for name, layer in quantizable(model).items():
            grid, weight = quantization.grid_of(before[name], 3), current_value(layer)
            if not torch.equal(weight, before[name]):  # a layer that did not run
                torch.testing.assert_close(weight / grid.scale, (weight / grid.scale).round())
                assert ((weight - before[name]).abs() <= 1.01 * grid.scale).all()
                assert not weight[before[name] == 0].any()  # what is pruned stays so
        network_checks.copied(model)

    @pytest.mark.parametrize("name", REFUSED)
    def test_ties_and_computed_weights_are_refused_by_name(self, name):
        model = zoo.make(zoo.ALL[name])
        wanted = zoo.answers(model)
        with pytest.raises(ValueError, match=r"model's layer '[ab]' (is tied|has)"):
            post_training.ada_round(model, zoo.ROWS, 3, steps=3)
        assert torch.equal(zoo.answers(model), wanted)

    def test_learns_the_same_whether_the_network_works_in_place_or_not(self):
        weights = []
        for in_place in (True, False):
            model = net()
            for layer in model:
                if isinstance(layer, nn.ReLU):
                    layer.inplace = in_place
            post_training.ada_round(model, X, 3, steps=30)
            weights.append([model[i].weight for i in LAYERS])
        assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))

    def test_a_layer_that_runs_twice_serves_both_runs(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                torch.manual_seed(0)
                self.layer, self.last = nn.Linear(16, 16), nn.Linear(16, 4)

            def forward(self, x):
                return self.last(self.layer(self.layer(x).relu()).relu())

        errors, model = {}, Net()
        x = torch.randn(500, 16, generator=torch.Generator().manual_seed(5))
        rounded = post_training.ada_round(copy.deepcopy(model), x, 3, steps=200)
        nearest = quantization.quantize_weights(copy.deepcopy(model), 3, per="tensor")
        for name, other in {"rounded": rounded, "nearest": nearest}.items():
            errors[name] = (zoo.answers(other, x) - zoo.answers(model, x)).square().mean()
        assert errors["rounded"] < errors["nearest"]
