"""Importance scores against plain formulas; levels of equal size."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques import pruning
from tests.techniques.pruning.networks import tensor

sizes = st.lists(st.integers(1, 5), min_size=1, max_size=4)
seeds = st.integers(0, 10_000)


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
