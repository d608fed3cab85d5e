"""Few bits after training: functions that do not change, means that come back, roundings that serve the output."""

import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques import quantization
from nnopt_lab.techniques.quantization import post_training
from nnopt_lab.workbench import data, models

seeds = st.integers(0, 10_000)


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 6, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(24, 10), nn.ReLU(), nn.Linear(10, 4),
    ).eval()  # fmt: skip


X = torch.randn(60, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LAYERS = (0, 3, 6, 8)


def ill_scaled(model, seed=0):
    """The same function, bit for bit, with the channels of each layer on very different scales."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for i, j in pairwise(LAYERS):
            s = 2.0 ** torch.randint(-4, 5, (len(model[i].weight),), generator=generator)
            model[i].weight.mul_(s.view(-1, *[1] * (model[i].weight.dim() - 1)))
            model[i].bias.mul_(s)
            behind = s.repeat_interleave(model[j].weight.shape[1] // len(s))
            model[j].weight.div_(behind.view(1, -1, *[1] * (model[j].weight.dim() - 2)))
    return model


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

    def test_refuses_what_a_scale_does_not_pass_through(self):
        for layer in (nn.Sigmoid(), nn.BatchNorm2d(8)):
            with pytest.raises(ValueError, match="Fold batch norms first"):
                post_training.equalize(nn.Sequential(nn.Conv2d(3, 8, 3), layer, nn.Conv2d(8, 8, 3)))
        with pytest.raises(ValueError, match="it does not read the 8 channels"):
            post_training.equalize(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(7, 8, 3)))


class TestBiasCorrection:
    def test_the_means_come_back(self):
        model = net()
        rounded = post_training.correct_biases(quantization.quantize_weights(copy.deepcopy(model), 3), model, X)
        with torch.no_grad():
            torch.testing.assert_close(rounded(X).mean(0), model(X).mean(0), rtol=1e-4, atol=1e-5)
        assert rounded[0].weight.unique().numel() > 0
        for i in LAYERS:
            plain = quantization.quantize_weights(copy.deepcopy(model), 3)[i].weight
            assert torch.equal(rounded[i].weight, plain)

    @given(seeds)
    def test_the_shift_is_the_mean_over_all_but_the_channel(self, seed):
        torch.manual_seed(seed)
        a, b = torch.randn(4, 3, 2, 2), torch.randn(4, 3, 2, 2)
        torch.testing.assert_close(post_training.output_shift(a, b), (b - a).mean((0, 2, 3)))
        torch.testing.assert_close(post_training.output_shift(a[..., 0, 0], b[..., 0, 0]), (b - a)[..., 0, 0].mean(0))

    def test_an_unchanged_network_stays(self):
        model = net()
        twin = post_training.correct_biases(copy.deepcopy(model), model, X)
        assert all(torch.equal(twin[i].bias, model[i].bias) for i in LAYERS)

    def test_refuses_another_network_and_a_layer_without_bias(self):
        with pytest.raises(ValueError, match="quantized has no layer '0' with a bias"):
            post_training.correct_biases(nn.Sequential(nn.ReLU()), net(), X)
        bare = net()
        bare[3].bias = None
        with pytest.raises(ValueError, match="no layer '3' with a bias"):
            post_training.correct_biases(bare, net(), X)


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
