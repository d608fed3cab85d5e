"""Masks for one weight: agreement with torch.nn.utils.prune, n of every m."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.ao.pruning import WeightNormSparsifier
from torch.nn.utils import prune

from nnopt_lab.techniques import pruning
from tests.techniques.pruning.networks import tensor

sizes = st.lists(st.integers(1, 5), min_size=1, max_size=4)
seeds = st.integers(0, 10_000)


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

    def test_two_of_four_are_those_that_torchs_sparsifier_keeps(self):
        layer = nn.Linear(64, 32)
        layer.weight.data = tensor((32, 64), 3)
        sparsifier = WeightNormSparsifier(sparsity_level=1.0, sparse_block_shape=(1, 4), zeros_per_block=2)
        model = nn.Sequential(layer)
        sparsifier.prepare(model, [{"tensor_fqn": "0.weight"}])
        sparsifier.step()
        kept = model[0].parametrizations.weight[0].mask.bool()
        assert torch.equal(pruning.n_m_mask(tensor((32, 64), 3)), kept)

    @pytest.mark.parametrize(
        ("n", "m", "sentence"), [(5, 4, "n=5 must be between 0 and m=4"), (-1, 4, "n=-1"), (2, 5, "groups of m=5")]
    )
    def test_refuses(self, n, m, sentence):
        with pytest.raises(ValueError, match=sentence):
            pruning.n_m_mask(torch.ones(2, 8), n, m)
