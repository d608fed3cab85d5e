"""Shared weights that train."""

import copy

import pytest
import torch
from torch import nn

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.quantization.deep_compression import (
    make_permanent,
    share_weights,
)
from nnopt_lab.workbench import data, training
from tests.techniques.quantization.deep_compression.networks import TOTAL, X, net


class TestSharing:
    def test_few_values_are_left_and_zeros_stay(self):
        model = pruning.magnitude_prune(net(), TOTAL // 4)
        masks = {name: layer.weight_mask.bool() for name, layer in pruning.prunable(model).items()}
        share_weights(model, {"0": 2, "3": 3, "4": 1})
        for name, layer in pruning.prunable(model).items():
            assert torch.equal(layer.weight != 0, masks[name])
            assert len(layer.weight[masks[name]].unique()) <= {"0": 4, "3": 8, "4": 2}[name]

    def test_a_centroids_gradient_is_the_sum_over_its_weights(self):
        model = share_weights(pruning.magnitude_prune(net(), TOTAL // 2), 2)
        plain = make_permanent(copy.deepcopy(model))
        for one in (model, plain):
            one.eval()
        for shared, layer in zip(pruning.prunable(model).values(), pruning.prunable(plain).values(), strict=True):
            layer.weight.data.copy_(shared.weight)  # without the rounding to float16
            layer.bias.data.copy_(shared.bias)
        for one in (model, plain):
            one(X).square().sum().backward()
        for shared, layer in zip(pruning.prunable(model).values(), pruning.prunable(plain).values(), strict=True):
            lookup, centroids = shared.parametrizations.weight[0], shared.parametrizations.weight.original
            by_hand = torch.stack([layer.weight.grad[lookup.labels == n].sum() for n in range(len(centroids))])
            torch.testing.assert_close(centroids.grad, by_hand, rtol=1e-4, atol=1e-4)

    def test_centroids_train_in_the_one_loop(self):
        pictures = data.load("shapes")
        model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
        share_weights(pruning.magnitude_prune(model, 500), 2)
        before, layer = model[1].weight.detach().clone(), model[1]
        training.fit(model, pictures, epochs=1, train=pictures.train[:640], optimizer=lambda p: torch.optim.AdamW(p))
        assert torch.equal(before != 0, layer.weight != 0) and not torch.equal(before, layer.weight)
        assert len(layer.weight.unique()) <= 5

    def test_a_weight_set_by_hand_becomes_the_means_of_its_clusters(self):
        layer = share_weights(nn.Sequential(nn.Linear(4, 2)), 1)[0]
        labels = layer.parametrizations.weight[0].labels
        layer.weight = torch.arange(8.0).reshape(2, 4)
        for n in (0, 1):
            assert layer.weight[labels == n].unique() == torch.arange(8.0).reshape(2, 4)[labels == n].mean()

    def test_a_pruned_layer_and_one_cluster_train_on(self):
        model = net()
        with torch.no_grad():
            model[3].weight.zero_()
            model[4].weight.fill_(0.5)
        share_weights(model, 4)
        optimizer = torch.optim.AdamW(model.parameters())
        model(X).sum().backward()
        optimizer.step()
        make_permanent(model)
        assert not model[3].weight.any() and len(model[4].weight.unique()) == 1

    def test_permanent_numbers_are_float16s_but_not_infinite(self):
        model = nn.Sequential(nn.Linear(2, 2))
        with torch.no_grad():
            model[0].bias.copy_(torch.tensor([1e6, 1 / 3]))
        make_permanent(model)
        assert torch.equal(model[0].weight, model[0].weight.half().float())
        assert model[0].bias.tolist() == [1e6, float(torch.tensor(1 / 3).half())]

    @pytest.mark.parametrize("bits", [0, 9, 2.5, {"0": 3}])
    def test_bad_bits_are_refused(self, bits):
        with pytest.raises(ValueError, match=r"bits=.* must be 1 to 8, for all of the layers 0, 3, 4"):
            share_weights(net(), bits)

    def test_sharing_twice_and_nan_are_refused(self):
        with pytest.raises(ValueError, match="shares the weights of 0 already"):
            share_weights(share_weights(net(), 3), 3)
        model = net()
        with torch.no_grad():
            model[3].weight[0, 0] = torch.nan
        with pytest.raises(ValueError, match="NaN or infinite"):
            share_weights(model, 3)
