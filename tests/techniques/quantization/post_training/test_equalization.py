"""Equalisation: functions that do not change."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques import pruning, quantization
from nnopt_lab.techniques.network_checks import current_value
from nnopt_lab.techniques.quantization import post_training
from nnopt_lab.workbench import data, models
from tests.techniques.quantization import zoo
from tests.techniques.quantization.post_training.networks import X, ill_scaled, net

seeds = st.integers(0, 10_000)


def weights_of(model):
    layers = [layer for layer in model.modules() if isinstance(layer, quantization.QUANTIZABLE)]
    return torch.cat([current_value(layer).flatten() for layer in layers])


class TestEqualize:
    @given(seeds)
    def test_both_layers_then_use_the_same_range(self, seed):
        torch.manual_seed(seed)
        first, second = torch.randn(5, 3, 3, 3), torch.randn(4, 5 * 6)
        s = post_training.equalizing_factors(first, second)
        written = (first / s.view(-1, 1, 1, 1)).abs().amax((1, 2, 3))
        read = (second.view(4, 5, 6) * s[:, None]).abs().amax((0, 2))
        torch.testing.assert_close(written, read)

    def test_a_channel_that_nobody_writes_or_reads_stays(self):
        first, second = torch.randn(3, 2), torch.randn(2, 3)
        first[0], second[:, 1] = 0, 0
        assert post_training.equalizing_factors(first, second)[:2].tolist() == [1.0, 1.0]

    @pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
    def test_the_function_does_not_change(self, layout):
        model = ill_scaled(net()).to(memory_format=layout)
        equal = post_training.equalize(copy.deepcopy(model))
        torch.testing.assert_close(equal(X), model(X), rtol=1e-5, atol=1e-5)

    def test_the_function_of_mynet_does_not_change(self):
        model = models.trained()
        x = data.load().to_input(data.load().test.images[:50])
        equal = post_training.equalize(copy.deepcopy(model))
        assert (equal(x) - model(x)).abs().max() < 1e-5
        assert not torch.equal(equal.features[0].weight, model.features[0].weight)

    def test_it_undoes_bad_scales(self):
        good, bad = net(), ill_scaled(net())
        assert torch.equal(good(X), bad(X))
        error = {}
        for name, model in {"good": good, "bad": bad, "equal": post_training.equalize(copy.deepcopy(bad))}.items():
            rounded = quantization.quantize_weights(copy.deepcopy(model), 8, per="tensor")
            error[name] = (rounded(X) - good(X)).square().mean()
        assert error["bad"] > 20 * error["good"] and error["equal"] < 2 * error["good"]

    @pytest.mark.parametrize("weight", [1e-13, 1e-20, 1e-25, 1e-38, 1e-45, 0.0])
    def test_a_dead_channel_stays(self, weight):
        first, second = torch.ones(3, 2), torch.ones(2, 3)
        first[0], second[:, 1] = weight, weight
        assert post_training.equalizing_factors(first, second).tolist() == [1.0, 1.0, 1.0]
        tiny = torch.full((2, 2), weight)
        assert post_training.equalizing_factors(tiny, tiny).tolist() == [1.0, 1.0]
        assert post_training.equalizing_factors(torch.full((2, 2), 1e25), tiny + 1e-30).tolist() == [1.0, 1.0]
        model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
        with torch.no_grad():
            model[0].weight[1] = weight
        wanted = model(X[:, 0, 0, :2])
        torch.testing.assert_close(post_training.equalize(model)(X[:, 0, 0, :2]), wanted)

    def test_large_weights_do_not_overflow(self):
        first, second = torch.full((1, 1), 1e25), torch.full((1, 1), 4e25)
        assert post_training.equalizing_factors(first, second).tolist() == [0.5]

    @pytest.mark.parametrize("name", zoo.EQUALISABLE)
    @given(seeds)
    @settings(max_examples=5)
    def test_networks_as_users_write_them_keep_their_function(self, name, seed):
        model = zoo.make(zoo.EQUALISABLE[name], seed)
        frozen, modes = [p.requires_grad for p in model.parameters()], [m.training for m in model.modules()]
        wanted, before = zoo.answers(model), weights_of(model)
        assert post_training.equalize(model) is model
        torch.testing.assert_close(zoo.answers(model), wanted, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(weights_of(model), before, rtol=1e-2)
        assert [p.requires_grad for p in model.parameters()] == frozen
        assert [m.training for m in model.modules()] == modes
        torch.testing.assert_close(zoo.answers(pruning.make_permanent(model)), wanted, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("name", zoo.REFUSED)
    def test_networks_whose_function_would_change_are_refused_in_one_sentence_and_stay(self, name):
        factory, sentence = zoo.REFUSED[name]
        model = zoo.make(factory)
        before = copy.deepcopy(model.state_dict())
        with pytest.raises(ValueError, match=sentence) as caught:
            post_training.equalize(model)
        assert "\n" not in str(caught.value)
        assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())

    def test_refuses_what_a_scale_does_not_pass_through(self):
        for layer in (nn.Sigmoid(), nn.BatchNorm2d(8)):
            with pytest.raises(ValueError, match="Fold batch norms first"):
                post_training.equalize(nn.Sequential(nn.Conv2d(3, 8, 3), layer, nn.Conv2d(8, 8, 3)))
        with pytest.raises(ValueError, match="it does not read the 8 channels"):
            post_training.equalize(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(7, 8, 3)))
