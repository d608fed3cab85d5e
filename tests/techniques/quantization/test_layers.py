"""A whole model's weights on grids."""

import copy
import math

import pytest
import torch
from torch import nn

from nnopt_lab.techniques import pruning, quantization
from nnopt_lab.techniques.network_checks import copied, current_value, make_plain
from nnopt_lab.techniques.quantization import layers
from nnopt_lab.workbench import models
from tests.techniques.quantization import zoo

COMPUTED = {"weight norm", "spectral norm", "parametrised", "prepared"}


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


class TestNetworksAsUsersWriteThem:
    @pytest.mark.parametrize("name", sorted(zoo.ALL.keys() - COMPUTED))
    def test_the_next_forward_uses_weights_on_their_grids_and_all_else_stays(self, name):
        model = zoo.make(zoo.ALL[name])
        plain = copied(model)
        for layer in layers.quantizable(plain).values():
            make_plain(layer)
        before = {name: p.requires_grad for name, p in model.named_parameters()}
        assert quantization.quantize_weights(model, 2) is model
        zoo.answers(model)
        for layer, was in zip(layers.quantizable(model).values(), layers.quantizable(plain).values(), strict=True):
            weight = current_value(layer)
            assert all(len(row.unique()) <= 3 for row in weight.flatten(1))
            if name != "tied":
                grid = quantization.grid_of(was.weight, 2, per="channel")
                assert torch.equal(weight, quantization.fake_quantize(was.weight, grid))
            assert was.bias is None or torch.equal(current_value(layer, "bias"), was.bias)
        assert {name: p.requires_grad for name, p in model.named_parameters()} == before
        torch.testing.assert_close(zoo.answers(quantization.quantize_weights(plain, 2)), zoo.answers(model))

    def test_a_pruned_network_stays_quantised_and_pruned(self):
        model = pruning.magnitude_prune(zoo.make(zoo.plain), 20)
        quantization.quantize_weights(model, 2)
        model(zoo.ROWS).sum().backward()
        assert pruning.count_weights(model)[0] == 20
        wanted = zoo.answers(model)
        assert torch.equal(zoo.answers(pruning.make_permanent(model)), wanted)
        assert all(len(row.unique()) <= 3 for row in model.a.weight)

    def test_tied_layers_are_quantised_once(self):
        model = zoo.make(zoo.ALL["tied"])
        wanted = quantization.fake_quantize(model.b.weight, quantization.grid_of(model.b.weight, 3, per="channel"))
        quantization.quantize_weights(model, 3)
        assert model.b.weight is model.c.weight and torch.equal(model.b.weight, wanted)

    @pytest.mark.parametrize("name", sorted(COMPUTED))
    def test_a_computed_weight_is_refused_by_name_and_nothing_changes(self, name):
        model = zoo.make(zoo.ALL[name])
        wanted = zoo.answers(model)
        with pytest.raises(ValueError, match=r"model's layer '[ab]' has .*: call .* first\.$"):
            quantization.quantize_weights(model, 2)
        assert torch.equal(zoo.answers(model), wanted)

    def test_a_weight_that_is_not_finite_is_refused_by_name_before_anything_changes(self):
        model = zoo.make(zoo.plain)
        nn.init.constant_(model.c.weight, torch.nan)
        before = model.a.weight.detach().clone()
        with pytest.raises(ValueError, match=r"layer 'c' can't be quantised: .*NaN"):
            quantization.quantize_weights(model, 2)
        assert torch.equal(model.a.weight, before)
