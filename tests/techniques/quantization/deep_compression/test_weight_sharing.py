"""Shared weights that train."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, weight_norm

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
        with pytest.raises(ValueError, match=r"bits=.* must be 1 to 8, for each of the layers 0, 3, 4"):
            share_weights(net(), bits)

    def test_sharing_twice_and_nan_are_refused(self):
        with pytest.raises(ValueError, match="already shares the weights of 0"):
            share_weights(share_weights(net(), 3), 3)
        model = net()
        with torch.no_grad():
            model[3].weight[0, 0] = torch.nan
        with pytest.raises(ValueError, match="NaN or infinite"):
            share_weights(model, 3)

    def test_what_cannot_be_shared_is_refused_before_anything_changes(self):
        def tied_with_a_bilinear_layer(model):
            model.other = nn.Bilinear(6, 1, 6)
            model[2].weight = nn.Parameter(model.other.weight.data.view(6, 6))

        def tied_under_different_masks(model):
            model[2].weight = model[0].weight
            prune.random_unstructured(model[2], "weight", 9)

        def nan(model):
            nn.init.constant_(model[2].weight, torch.nan)

        for spoil, sentence in (
            (tied_with_a_bilinear_layer, "layer '2' shares its weight with 'other'"),
            (tied_under_different_masks, "layers '0' and '2' share a weight, but not its mask"),
            (nan, "NaN or infinite"),
            (lambda model: weight_norm(model[2]), "layer '2' has weight_norm on its weight: call .*remove_weight_norm"),
            (lambda model: parametrizations.spectral_norm(model[2]), "layer '2' has the parametrisation SpectralNorm"),
        ):
            torch.manual_seed(0)
            model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6)).eval()
            spoil(model)
            if spoil is nan:
                pruning.magnitude_prune(model[:1], 9)
            before = copy.deepcopy(model.state_dict())
            with pytest.raises(ValueError, match=sentence):
                share_weights(model, 2)
            after = model.state_dict()
            assert before.keys() == after.keys()
            assert all(torch.equal(before[key].nan_to_num(7), after[key].nan_to_num(7)) for key in before)

    def test_a_layer_that_runs_twice_a_frozen_one_and_a_mask_of_the_last_forward(self):
        torch.manual_seed(0)
        layer = nn.Linear(6, 6).requires_grad_(False)
        model = pruning.magnitude_prune(nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(6, 2)), 24)
        model(torch.ones(1, 6)).sum().backward()
        share_weights(model, 2)
        assert [p.requires_grad for p in model[0].parameters()] == [False, False]
        wanted = model(torch.ones(1, 6)).detach()
        copied = copy.deepcopy(model)
        make_permanent(model)
        torch.testing.assert_close(model(torch.ones(1, 6)), wanted, rtol=1e-2, atol=1e-2)
        torch.testing.assert_close(copied(torch.ones(1, 6)), wanted)
        assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]
        assert len(model[0].weight.unique()) <= 5

    def test_attention_shares_the_weights_that_it_reads_itself(self):
        torch.manual_seed(0)
        model = nn.TransformerEncoderLayer(8, 2, 8, batch_first=True).eval()
        share_weights(model, 3)
        x = torch.randn(2, 3, 8)
        wanted = model(x).detach()
        torch.testing.assert_close(make_permanent(model)(x), wanted, rtol=1e-2, atol=1e-2)
        assert all(len(layer.weight.unique()) <= 8 for layer in pruning.prunable(model).values())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_weights_of_other_types_keep_their_type(dtype):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3)).to(dtype)
    share_weights(model, 2)
    x = torch.randn(4, 6).to(dtype)
    assert model(x).dtype == dtype and model[0].weight.unique().numel() <= 4
    wanted = model(x)
    make_permanent(model)
    assert model[0].weight.dtype == dtype and torch.allclose(model(x), wanted, atol=0.05)


class TestTied:
    """Layers with one weight keep one table, and stay tied through training and when made permanent."""

    @staticmethod
    def linears():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.Linear(6, 3)).eval()
        model[2].weight = model[0].weight
        return model, torch.randn(5, 6)

    @staticmethod
    def words():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Embedding(7, 6), nn.Linear(6, 6), nn.Linear(6, 7, bias=False)).eval()
        model[2].weight = model[0].weight
        return model, torch.arange(7)

    @pytest.mark.parametrize("pruned", [False, True])
    @pytest.mark.parametrize("build", [linears, words])
    def test_they_stay_tied(self, build, pruned):
        model, x = build()
        if pruned:
            pruning.magnitude_prune(model, 30)
        share_weights(model, 2)
        assert torch.equal(model[0].weight, model[2].weight) and len(model[0].weight.unique()) <= 5
        assert len(list(model.parameters())) == len(list(build()[0].parameters()))
        optimizer = torch.optim.SGD(model.parameters(), 1e-4)
        model(x).square().sum().backward()
        optimizer.step()
        assert torch.equal(model[0].weight, model[2].weight)
        wanted = model(x)
        permanent = make_permanent(copy.deepcopy(model))
        assert permanent[0].weight is permanent[2].weight and len(permanent[0].weight.unique()) <= 5
        assert torch.allclose(permanent(x), wanted, atol=0.01)

    def test_a_shared_weight_gets_the_most_bits_of_any_of_its_layers(self):
        model, _ = self.linears()
        share_weights(model, {"0": 1, "2": 3, "3": 1})
        assert [len(layer.weight.unique()) for layer in (model[0], model[2], model[3])] == [8, 8, 2]
