"""Masks on a whole model: agreement with torch.nn.utils.prune, and masks that both libraries understand."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import prune

from nnopt_lab.techniques import pruning
from tests.techniques.pruning.networks import TOTAL, layers_of, net, same_weights

X = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
seeds = st.integers(0, 10_000)


class TestMagnitudePrune:
    @settings(max_examples=25)
    @given(st.integers(0, TOTAL), seeds)
    def test_globally_agrees_with_torch(self, keep, seed):
        ours, theirs = net(seed), net(seed)
        assert pruning.magnitude_prune(ours, keep) is ours
        prune.global_unstructured(layers_of(theirs), prune.L1Unstructured, amount=TOTAL - keep)
        assert same_weights(ours, theirs) and pruning.count_weights(ours) == (keep, TOTAL)
        assert torch.equal(ours(X), theirs(X))

    @settings(max_examples=25)
    @given(st.integers(0, TOTAL), seeds)
    def test_layer_by_layer_takes_the_same_share_of_each(self, keep, seed):
        model = pruning.magnitude_prune(net(seed), keep, scope="layer")
        assert pruning.count_weights(model)[0] == keep
        for layer in pruning.prunable(model).values():
            n, left = layer.weight.numel(), int(layer.weight_mask.sum())
            assert abs(left - keep * n / TOTAL) <= 1
            reference = copy.deepcopy(layer)
            prune.remove(reference, "weight")
            reference.weight.data = layer.weight_orig.detach().clone()
            prune.l1_unstructured(reference, "weight", n - left)
            assert torch.equal(layer.weight, reference.weight)

    def test_what_was_masked_stays_masked(self):
        model = pruning.random_prune(net(), TOTAL // 2)
        before = {name: layer.weight_mask.clone() for name, layer in pruning.prunable(model).items()}
        pruning.magnitude_prune(model, TOTAL // 4)
        assert pruning.count_weights(model)[0] == TOTAL // 4
        for name, layer in pruning.prunable(model).items():
            assert (layer.weight_mask <= before[name]).all()

    def test_scores_what_is_stored_not_what_the_last_forward_pass_left(self):
        model = pruning.magnitude_prune(net(), TOTAL // 2)
        model(X)
        new = torch.rand_like(model[3].weight_orig) + 1
        with torch.no_grad():
            model[3].weight_orig.copy_(new)  # as an optimizer or another device does
        left = int(model[3].weight_mask.sum())
        pruning.magnitude_prune(model, left)
        assert int(model[3].weight_mask.sum()) == left

    def test_torch_goes_on_where_we_stopped_and_the_other_way_round(self):
        model = pruning.magnitude_prune(net(), TOTAL // 2)
        prune.global_unstructured(layers_of(model), prune.L1Unstructured, amount=50)
        assert pruning.count_weights(model)[0] == TOTAL // 2 - 50
        pruning.magnitude_prune(model, 100)
        reference = net()
        prune.global_unstructured(layers_of(reference), prune.L1Unstructured, amount=TOTAL - 100)
        assert same_weights(model, reference)

    def test_torchs_bias_pruning_beside_it_is_left_alone(self):
        model = net()
        prune.l1_unstructured(model[3], "bias", 2)
        pruning.magnitude_prune(model, 100)
        assert pruning.count_weights(model)[0] == 100 and (model[3].bias == 0).sum() == 2
        pruning.make_permanent(model)
        assert hasattr(model[3], "bias_mask") and not hasattr(model[3], "weight_mask")

    def test_masks_survive_a_copy_a_file_and_a_training_step(self, tmp_path):
        model = pruning.magnitude_prune(net(), 60)
        copied = copy.deepcopy(model)
        torch.save(model.state_dict(), tmp_path / "state.pt")
        loaded = pruning.magnitude_prune(net(1), 5)
        loaded.load_state_dict(torch.load(tmp_path / "state.pt"))
        assert torch.equal(copied(X), model(X)) and torch.equal(loaded(X), model(X))
        optimizer = torch.optim.SGD(copied.parameters(), lr=0.5, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            copied(X).square().sum().backward()
            optimizer.step()
        copied(X)
        assert not same_weights(copied, model)
        for layer in pruning.prunable(copied).values():
            assert (layer.weight[layer.weight_mask == 0] == 0).all()

    def test_torch_sees_the_masks(self):
        assert prune.is_pruned(pruning.magnitude_prune(net(), 10))
        assert not prune.is_pruned(pruning.make_permanent(pruning.magnitude_prune(net(), 10)))

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"keep": TOTAL + 1}, f"keep={TOTAL + 1} must be between 0 and the {TOTAL} weights"),
            ({"keep": -1}, "keep=-1"),
            ({"keep": 5, "scope": "row"}, "scope='row' must be 'global' or 'layer'"),
            ({"keep": 5, "norm": 3}, "norm=3"),
        ],
    )
    def test_refuses(self, options, sentence):
        model = net()
        with pytest.raises(ValueError, match=sentence):
            pruning.magnitude_prune(model, **options)
        assert not prune.is_pruned(model)


class TestPruneByScores:
    def test_leaves_the_callers_scores_alone(self):
        model = pruning.magnitude_prune(net(), 100)
        scores = {name: torch.rand_like(layer.weight) for name, layer in pruning.prunable(model).items()}
        before = {name: s.clone() for name, s in scores.items()}
        pruning.prune_by_scores(model, scores, 50)
        assert all(torch.equal(scores[name], s) for name, s in before.items())

    def test_scores_must_fit_the_layers(self):
        model = net()
        scores = {name: torch.rand_like(layer.weight) for name, layer in pruning.prunable(model).items()}
        for wrong in ({}, scores | {"4": torch.rand(3)}, scores | {"9": torch.rand(3)}):
            with pytest.raises(ValueError, match=r"scores has the shapes .* the prunable layers need"):
                pruning.prune_by_scores(model, wrong, 5)


def test_random_pruning_depends_on_the_seed_alone():
    a, b, other = (pruning.random_prune(net(), 100, seed=seed) for seed in (1, 1, 2))
    assert same_weights(a, b) and not same_weights(a, other)
    assert pruning.count_weights(a)[0] == 100


def test_making_permanent_keeps_the_function():
    model = pruning.magnitude_prune(net(), 70)
    before = model(X)
    assert torch.equal(pruning.make_permanent(model)(X), before)
    assert pruning.count_weights(model) == (TOTAL, TOTAL) and set(model.state_dict()) == set(net().state_dict())
