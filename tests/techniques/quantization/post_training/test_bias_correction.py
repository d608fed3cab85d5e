"""Bias correction: means that come back."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques import network_checks, quantization
from nnopt_lab.techniques.quantization import post_training
from nnopt_lab.techniques.quantization.activations import channels_first, record_runs
from nnopt_lab.techniques.quantization.layers import quantizable
from tests.techniques.quantization import zoo
from tests.techniques.quantization.post_training.networks import LAYERS, X, net

seeds = st.integers(0, 10_000)


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
        copied = post_training.correct_biases(copy.deepcopy(model), model, X)
        assert all(torch.equal(copied[i].bias, model[i].bias) for i in LAYERS)

    def test_refuses_another_network_and_a_layer_without_bias(self):
        with pytest.raises(ValueError, match="quantized has no layer '0', which original has"):
            post_training.correct_biases(nn.Sequential(nn.ReLU()), net(), X)
        bare = net()
        bare[3].bias = None
        with pytest.raises(ValueError, match="layer '3' has no bias"):
            post_training.correct_biases(bare, net(), X)

    @pytest.mark.parametrize("name", [name for name in zoo.ALL if name not in ("masked bias", "without bias", "hook")])
    def test_means_come_back_in_networks_as_users_write_them(self, name):
        model = zoo.make(zoo.ALL[name])
        x, quantized = zoo.inputs_of(model), network_checks.copied(model)
        for layer in quantizable(quantized).values():
            try:
                network_checks.require_plain(layer)
                layer.weight.data.mul_(1.1)
            except ValueError:
                pass  # its weight stays, and what comes in is shifted
        before = record_runs(model, x)
        post_training.correct_biases(quantized, model, x)
        after = record_runs(quantized, x)
        for layer, runs in before.items():
            kind = model.get_submodule(layer)
            shifts = [
                (channels_first(kind, b[1]) - channels_first(kind, a[1])).mean(1)
                for a, b in zip(runs, after[layer], strict=True)
            ]
            # The second run of a layer gets another input once the first one is corrected.
            tolerance = 1e-4 if len(runs) == 1 else 0.2
            torch.testing.assert_close(torch.stack(shifts).mean(0), torch.zeros(len(shifts[0])), rtol=0, atol=tolerance)

    def test_a_bias_that_would_not_keep_the_correction_is_refused(self):
        model = zoo.make(zoo.EQUALISABLE["masked bias"])
        with pytest.raises(ValueError, match="layer 'a' has a pruning mask on its bias"):
            post_training.correct_biases(model, network_checks.copied(model), zoo.ROWS)
        model = zoo.make(zoo.plain)
        model.b.bias = model.a.bias
        with pytest.raises(ValueError, match=r"quantized's layer 'a' shares its bias with 'b\.bias'"):
            post_training.correct_biases(model, copy.deepcopy(model), zoo.ROWS)
