"""Gradual pruning: the cubic schedule of the paper, and levels that are dropped one by one."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import prune

from nnopt_lab.techniques import pruning
from tests.techniques.pruning.networks import TOTAL, layers_of, net, same_weights


class TestCubicSparsity:
    def test_by_hand(self):
        # Of the way from 0.1 to 0.9, 27/64, 8/64 and 1/64 are left after one, two and three of four steps.
        curve = [pruning.cubic_sparsity(t, 4, 0.9, 0.1) for t in range(5)]
        assert curve == pytest.approx([0.1, 0.9 - 0.3375, 0.9 - 0.1, 0.9 - 0.0125, 0.9])

    @given(st.integers(4, 50), st.floats(0, 1), st.floats(0, 1))
    def test_is_a_cubic_from_the_first_to_the_last_with_a_flat_end(self, steps, initial, final):
        curve = np.array([pruning.cubic_sparsity(t, steps, final, initial) for t in range(steps + 1)])
        assert curve[0] == pytest.approx(initial) and curve[-1] == pytest.approx(final)
        # The third differences of a cubic are constant; with slope and curvature 0 at its end it is this one.
        assert np.diff(curve, 3) == pytest.approx(6 * (final - initial) / steps**3, abs=1e-12)
        cubic = np.polynomial.Polynomial.fit(np.arange(steps + 1), curve, 3)
        assert cubic.deriv()(steps) == pytest.approx(0, abs=1e-9)
        assert cubic.deriv(2)(steps) == pytest.approx(0, abs=1e-9)

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


class TestPruneInLevels:
    @settings(max_examples=25)
    @given(st.integers(0, TOTAL), st.integers(2, 9))
    def test_ends_at_the_set_number_and_drops_the_lowest_level_per_step(self, keep, count):
        model, reference, left = net(), net(), TOTAL
        for now in pruning.prune_in_levels(model, keep, count=count):
            level = int((pruning.levels(torch.arange(float(left)), count) == 0).sum())
            assert left - now == min(level, left - keep)
            prune.global_unstructured(layers_of(reference), prune.L1Unstructured, amount=left - now)
            assert same_weights(model, reference)
            left = now
        assert left == keep

    def test_by_hand(self):
        # Of 432 weights a third is dropped, 144, rounded up where it isn't whole: 96, 64, 43, 29; then 16 to the end.
        assert list(pruning.prune_in_levels(net(), 40, count=3)) == [288, 192, 128, 85, 56, 40]

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
