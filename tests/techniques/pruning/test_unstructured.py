"""Masks on a whole model: agreement with torch.nn.utils.prune, and masks that both libraries understand."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import (
    parametrizations,
    parametrize,
    prune,
    remove_spectral_norm,
    remove_weight_norm,
    spectral_norm,
    weight_norm,
)

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


def tied(together="weight"):
    """Two layers of 24×24 that share their weight, and one of their own."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 4))
    if together == "memory":
        model[2].weight.data = model[0].weight.data
    else:
        model[2].weight = model[0].weight
    return model


def with_embedding():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.hidden, self.head = nn.Embedding(9, 6), nn.Linear(6, 6), nn.Linear(6, 9, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, x):
            return self.head(self.hidden(self.embedding(x)).relu())

    return Net()


METHODS = {"magnitude": pruning.magnitude_prune, "random": pruning.random_prune}


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("method", METHODS)
class TestSharedWeights:
    @pytest.mark.parametrize("together", ["parameter", "memory"])
    def test_carry_one_mask_and_count_once(self, method, scope, together):
        model, x = tied(together), torch.randn(5, 24)
        assert pruning.count_weights(model) == (576 + 96, 576 + 96)
        for keep in (512, 200):
            METHODS[method](model, keep, scope=scope)
            assert pruning.count_weights(model) == (keep, 672)
            assert torch.equal(model[0].weight_mask, model[2].weight_mask)
        wanted = model(x)
        pruning.make_permanent(model)
        assert torch.equal(model(x), wanted)
        assert (model[0].weight != 0).sum() + (model[4].weight != 0).sum() == 200
        assert (model[0].weight is model[2].weight) == (together == "parameter")

    def test_with_an_embedding(self, method, scope):
        model, x = METHODS[method](with_embedding(), 40, scope=scope), torch.arange(9)
        wanted = model(x)
        pruning.make_permanent(model)
        assert torch.equal(model(x), wanted) and model.head.weight is model.embedding.weight
        assert sum(int((p != 0).sum()) for p in (model.head.weight, model.hidden.weight)) == 40

    def test_a_layer_used_twice_counts_once(self, method, scope):
        layer, x = nn.Linear(24, 24), torch.randn(5, 24)
        model = METHODS[method](nn.Sequential(layer, nn.ReLU(), layer), 100, scope=scope)
        wanted = model(x)
        assert torch.equal(pruning.make_permanent(model)(x), wanted) and (layer.weight != 0).sum() == 100

    def test_what_cannot_carry_the_mask_is_refused(self, method, scope):
        transposed = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 6))
        transposed[1].weight = nn.Parameter(transposed[0].weight.t())
        owned = nn.Sequential(nn.Linear(6, 4))
        owned.kept = owned[0].weight
        for model, other in ((transposed, "1"), (owned, "")):
            with pytest.raises(ValueError, match=f"layer '0' shares its weight with '{other}': untie them first"):
                METHODS[method](model, 10, scope=scope)
            assert not prune.is_pruned(model)


def test_of_a_shared_weights_scores_the_highest_counts():
    model = tied()
    scores = {name: torch.zeros_like(layer.weight) for name, layer in pruning.prunable(model).items()}
    scores["0"][0], scores["2"][1] = 1, 2
    pruning.prune_by_scores(model, scores, 48)
    assert model[0].weight_mask[:2].all() and model[2].weight_mask.sum() == 48


@pytest.mark.parametrize("both", [True, False], ids=["different masks", "one mask"])
def test_masks_of_torch_that_differ_on_a_shared_weight_are_refused(both):
    model = tied()
    prune.random_unstructured(model[0], "weight", 100)
    if both:
        prune.random_unstructured(model[2], "weight", 300)
    for change in (pruning.make_permanent, lambda m: pruning.magnitude_prune(m, 10)):
        with pytest.raises(ValueError, match="layers '0' and '2' share a weight, but not its mask"):
            change(model)


NORMS = {
    "weight_norm": weight_norm,
    "spectral_norm": spectral_norm,
    "parametrisation": parametrizations.weight_norm,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm")
@pytest.mark.parametrize("name", NORMS)
def test_weights_that_are_computed_are_refused_with_a_cure_that_helps(name):
    model = net()
    NORMS[name](model[3])
    for change in (*METHODS.values(), lambda m, keep: pruning.sensitivity(m, lambda _: keep)):
        with pytest.raises(ValueError, match=f"layer '3' has .*{name}.* on its weight: call .*remove"):
            change(model, 10)
    assert not prune.is_pruned(model)
    cure = {"weight_norm": remove_weight_norm, "spectral_norm": remove_spectral_norm}.get(name)
    cure(model[3]) if cure else parametrize.remove_parametrizations(model[3], "weight")
    assert pruning.count_weights(pruning.magnitude_prune(model, 10))[0] == 10


def test_frozen_weights_stay_frozen():
    model = net().requires_grad_(False)
    pruning.magnitude_prune(model, 50)
    assert not any(p.requires_grad for p in model.parameters())
    assert not any(p.requires_grad for p in pruning.make_permanent(model).parameters())
