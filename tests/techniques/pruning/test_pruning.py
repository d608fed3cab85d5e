"""Pruning by magnitude: formulas, agreement with torch.nn.utils.prune, and masks that both libraries understand."""

import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune

from nnopt_lab.techniques import pruning


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4, 6), nn.Linear(6, 4))


TOTAL = 8 * 27 + 32 * 6 + 24
X = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))

sizes = st.lists(st.integers(1, 5), min_size=1, max_size=4)
seeds = st.integers(0, 10_000)


def tensor(shape, seed, ties=False):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return (values * 2).round() / 2 if ties else values


def layers_of(model):
    return [(layer, "weight") for layer in pruning.prunable(model).values()]


def weights(model):
    return {name: layer.weight.detach().clone() for name, layer in pruning.prunable(model).items()}


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(weights(a).values(), weights(b).values(), strict=True))


class TestImportance:
    @given(st.lists(st.integers(1, 4), min_size=2, max_size=4), seeds, st.sampled_from([1, 2]))
    def test_norms_are_the_plain_formulas(self, shape, seed, norm):
        weight = tensor(shape, seed)
        plain = (lambda w: w.abs().sum()) if norm == 1 else (lambda w: (w * w).sum().sqrt())
        torch.testing.assert_close(pruning.importance(weight, norm, "filter"), torch.stack([plain(f) for f in weight]))
        torch.testing.assert_close(pruning.importance(weight, norm, "layer"), plain(weight))
        assert torch.equal(pruning.importance(weight, norm, "weight"), weight.abs())

    @given(seeds, st.floats(-8, 8), st.sampled_from([1, 2]))
    def test_a_filter_scaled_by_c_counts_c_times_as_much_and_order_goes_along(self, seed, c, norm):
        weight = tensor((4, 3, 2), seed)
        scores = pruning.importance(weight, norm, "filter")
        torch.testing.assert_close(pruning.importance(c * weight, norm, "filter"), abs(c) * scores)
        order = torch.tensor([2, 0, 3, 1])
        torch.testing.assert_close(pruning.importance(weight[order], norm, "filter"), scores[order])

    def test_is_no_part_of_a_graph(self):
        layer = nn.Linear(2, 2)
        assert not any(pruning.importance(layer.weight, 2, per).requires_grad for per in ("weight", "filter", "layer"))

    @pytest.mark.parametrize(("norm", "per"), [(3, "weight"), (0, "layer"), ("1", "filter")])
    def test_refuses_other_norms(self, norm, per):
        with pytest.raises(ValueError, match=r"norm=.* must be 1 or 2"):
            pruning.importance(torch.ones(2, 2), norm, per)

    def test_refuses_other_parts(self):
        with pytest.raises(ValueError, match="per='row' must be 'weight', 'filter' or 'layer'"):
            pruning.importance(torch.ones(2, 2), 1, "row")


class TestLevels:
    @given(sizes, seeds, st.integers(1, 12), st.booleans())
    def test_are_equal_in_size_and_sorted(self, shape, seed, count, ties):
        scores = tensor(shape, seed, ties)
        level = pruning.levels(scores, count)
        assert level.shape == scores.shape and level.dtype == torch.int64
        counts = level.flatten().bincount(minlength=count)
        assert len(counts) == count and counts.max() - counts.min() <= 1
        for n in range(count - 1):
            low, high = scores[level <= n], scores[level > n]
            assert not len(low) or not len(high) or low.max() <= high.min()

    def test_equal_scores_go_in_order_of_position(self):
        assert pruning.levels(torch.zeros(6), 3).tolist() == [0, 0, 1, 1, 2, 2]

    def test_refuses_less_than_one(self):
        with pytest.raises(ValueError, match="count=0 must be at least 1"):
            pruning.levels(torch.ones(3), 0)


class TestMagnitudeMask:
    @given(sizes, seeds, st.floats(0, 1), st.booleans())
    def test_keeps_exactly_so_many_and_the_largest(self, shape, seed, share, ties):
        scores = tensor(shape, seed, ties).abs()
        keep = round(share * scores.numel())
        mask = pruning.magnitude_mask(scores, keep)
        assert mask.dtype == torch.bool and mask.shape == scores.shape and mask.sum() == keep
        if 0 < keep < scores.numel():
            assert scores[mask].min() >= scores[~mask].max()

    @given(seeds, st.integers(0, 20))
    def test_agrees_with_torchs_l1_unstructured(self, seed, keep):
        layer = nn.Linear(5, 4)
        layer.weight.data = tensor((4, 5), seed)
        mask = pruning.magnitude_mask(layer.weight.detach().abs(), keep)
        prune.l1_unstructured(layer, "weight", 20 - keep)
        assert torch.equal(mask.float(), layer.weight_mask)

    @pytest.mark.parametrize("keep", [-1, 5])
    def test_refuses_more_than_there_are(self, keep):
        with pytest.raises(ValueError, match=f"keep={keep} must be between 0 and the 4"):
            pruning.magnitude_mask(torch.ones(4), keep)


class TestNOfM:
    @given(seeds, st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.data())
    def test_keeps_the_n_largest_of_every_m(self, seed, rows, groups, m, draw):
        n = draw.draw(st.integers(0, m))
        weight = tensor((rows, groups * m), seed)
        mask = pruning.n_m_mask(weight, n, m)
        for row in range(rows):
            for start in range(0, groups * m, m):
                part, kept = weight[row, start : start + m].abs(), mask[row, start : start + m]
                assert kept.sum() == n
                assert sorted(part[kept].tolist()) == sorted(part.tolist())[m - n :]

    def test_runs_along_the_inputs_of_a_convolution(self):
        weight = tensor((2, 4, 3, 3), 1)
        mask = pruning.n_m_mask(weight)
        assert mask.shape == weight.shape and torch.equal(mask.flatten(1), pruning.n_m_mask(weight.flatten(1)))

    def test_is_the_pattern_that_torchs_semi_structured_tensors_check_for(self):
        groups = pruning.n_m_mask(tensor((32, 64), 3)).reshape(-1, 4)
        assert (groups.sum(1) == 2).all()

    @pytest.mark.parametrize(
        ("n", "m", "sentence"), [(5, 4, "n=5 must be between 0 and m=4"), (-1, 4, "n=-1"), (2, 5, "groups of m=5")]
    )
    def test_refuses(self, n, m, sentence):
        with pytest.raises(ValueError, match=sentence):
            pruning.n_m_mask(torch.ones(2, 8), n, m)


class TestCubicSparsity:
    @given(st.integers(1, 50), st.floats(0, 1), st.floats(0, 1))
    def test_goes_from_the_first_to_the_last_as_in_the_paper(self, steps, initial, final):
        curve = [pruning.cubic_sparsity(t, steps, final, initial) for t in range(steps + 1)]
        assert curve[0] == pytest.approx(initial) and curve[-1] == pytest.approx(final)
        for t, value in enumerate(curve):
            assert value == pytest.approx(final + (initial - final) * (1 - t / steps) ** 3)

    def test_prunes_most_at_first(self):
        curve = [pruning.cubic_sparsity(t, 10, 0.9) for t in range(11)]
        steps = [b - a for a, b in pairwise(curve)]
        assert steps == sorted(steps, reverse=True) and min(steps) > 0

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ((-1, 5, 0.5), "step=-1"), ((6, 5, 0.5), "step=6 must be between 0 and steps=5"), ((0, 0, 0.5), "steps=0"),
            ((1, 5, 1.5), "final=1.5"), ((1, 5, 0.5, -0.1), "initial=-0.1"),
        ],
    )  # fmt: skip
    def test_refuses(self, arguments, sentence):
        with pytest.raises(ValueError, match=sentence):
            pruning.cubic_sparsity(*arguments)


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


def test_pruning_by_lot_depends_on_the_seed_alone():
    a, b, other = (pruning.random_prune(net(), 100, seed=seed) for seed in (1, 1, 2))
    assert same_weights(a, b) and not same_weights(a, other)
    assert pruning.count_weights(a)[0] == 100


def test_making_permanent_keeps_the_function():
    model = pruning.magnitude_prune(net(), 70)
    before = model(X)
    assert torch.equal(pruning.make_permanent(model)(X), before)
    assert pruning.count_weights(model) == (TOTAL, TOTAL) and set(model.state_dict()) == set(net().state_dict())


class TestPruneInLevels:
    @settings(max_examples=25)
    @given(st.integers(0, TOTAL), st.integers(2, 9))
    def test_ends_at_the_set_number_and_drops_one_level_a_step(self, keep, count):
        model, left = net(), TOTAL
        for now in pruning.prune_in_levels(model, keep, count=count):
            assert now == max(keep, left - -(-left // count)) == pruning.count_weights(model)[0]
            left = now
        assert left == keep

    def test_fine_tunes_after_each_step_and_revives_nothing(self):
        model, masks = net(), []

        def finetune(pruned):
            assert pruned is model
            with torch.no_grad():
                for layer in pruning.prunable(pruned).values():
                    layer.weight_orig.add_(0.1 * torch.randn_like(layer.weight_orig))
            masks.append(torch.cat([layer.weight_mask.flatten() for layer in pruning.prunable(pruned).values()]))

        steps = list(pruning.prune_in_levels(model, 40, count=3, finetune=finetune))
        assert len(masks) == len(steps) > 3
        assert all((later <= earlier).all() for earlier, later in pairwise(masks))

    def test_without_fine_tuning_it_is_the_same_as_one_cut(self):
        model = net()
        list(pruning.prune_in_levels(model, 40, count=4))
        assert same_weights(model, pruning.magnitude_prune(net(), 40))

    @pytest.mark.parametrize(
        ("keep", "count", "sentence"), [(10, 1, "count=1 must be at least 2"), (TOTAL + 1, 5, f"keep={TOTAL + 1}")]
    )
    def test_refuses(self, keep, count, sentence):
        with pytest.raises(ValueError, match=sentence):
            next(pruning.prune_in_levels(net(), keep, count=count))


def test_sensitivity_prunes_each_layer_alone_and_leaves_the_model_as_it_was():
    model, seen = net(), []
    before = weights(model)

    def evaluate(pruned):
        zeros = {name: int((w == 0).sum()) for name, w in weights(pruned).items()}
        seen.append({name: n for name, n in zeros.items() if n})
        return sum(zeros.values())

    result = pruning.sensitivity(model, evaluate, (0.5, 1.0))
    assert result == {"0": [108, 216], "3": [96, 192], "4": [12, 24]}
    assert all(len(layers) == 1 for layers in seen)
    assert all(torch.equal(w, before[name]) for name, w in weights(model).items())
