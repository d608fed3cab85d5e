"""Bias correction: means that come back."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques import quantization
from nnopt_lab.techniques.quantization import post_training
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
        with pytest.raises(ValueError, match="quantized has no layer '0' with a bias"):
            post_training.correct_biases(nn.Sequential(nn.ReLU()), net(), X)
        bare = net()
        bare[3].bias = None
        with pytest.raises(ValueError, match="no layer '3' with a bias"):
            post_training.correct_biases(bare, net(), X)
