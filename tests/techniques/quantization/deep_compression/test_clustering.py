"""K-means on a line."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.techniques.quantization.deep_compression import (
    clustering,
    kmeans,
)

seeds = st.integers(0, 10_000)


def cost(values, centroids):
    return float((values.double()[:, None] - centroids.double()).square().min(1).values.sum())


class TestKMeans:
    @given(seeds, st.integers(1, 60), st.integers(1, 9), st.sampled_from(["linear", "density", "random"]))
    def test_is_a_fixed_point_and_no_worse_than_its_start(self, seed, size, clusters, init):
        values = torch.randn(size, generator=torch.Generator().manual_seed(seed))
        centroids, labels = kmeans(values, clusters, init=init, seed=seed)
        assert 1 <= len(centroids) <= clusters and (centroids.diff() > 0).all()
        for n, centroid in enumerate(centroids):
            torch.testing.assert_close(centroid, values[labels == n].mean())
        nearest = (values[:, None] - centroids).abs().min(1).values
        torch.testing.assert_close((values - centroids[labels]).abs(), nearest, rtol=1e-5, atol=1e-6)
        start = clustering.initial_centroids(values.double(), clusters, init, seed)
        assert cost(values, centroids) <= cost(values, start) * (1 + 1e-6) + 1e-9

    @given(seeds, st.integers(2, 4))
    def test_the_best_of_many_starts_is_the_best_there_is(self, seed, clusters):
        values = torch.randn(9, generator=torch.Generator().manual_seed(seed)).sort().values
        best = min(
            sum(float((part - part.mean()).double().square().sum()) for part in values.tensor_split(cuts))
            for cuts in itertools.combinations(range(1, 9), clusters - 1)
        )
        found = min(cost(values, kmeans(values, clusters, init="random", seed=s)[0]) for s in range(60))
        assert best * (1 - 1e-5) - 1e-9 <= found <= best * 1.05 + 1e-6

    def test_two_heaps_are_found_from_every_start(self):
        values = torch.tensor([1.0, 9.0, 1.2, 0.8, 9.4, 8.6])
        for init in ("linear", "density", "random"):
            centroids, labels = kmeans(values, 2, init=init)
            torch.testing.assert_close(centroids, torch.tensor([1.0, 9.0]))
            assert labels.tolist() == [0, 1, 0, 0, 1, 1]

    def test_starts_are_the_papers(self):
        values = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 8.0]).double()
        assert clustering.initial_centroids(values, 3, "linear", 0).tolist() == [0, 4, 8]
        assert clustering.initial_centroids(values, 4, "density", 0).tolist() == [0, 0, 2, 8]
        assert set(clustering.initial_centroids(values, 3, "random", 0).tolist()) <= set(values.tolist())

    def test_equal_values_one_cluster_and_nothing(self):
        assert kmeans(torch.full((5,), 0.25), 4)[0].tolist() == [0.25]
        centroids, labels = kmeans(torch.tensor([1.0, 2.0, 6.0]), 1)
        assert centroids.tolist() == [3.0] and labels.tolist() == [0, 0, 0]
        centroids, labels = kmeans(torch.zeros(0), 4)
        assert centroids.shape == labels.shape == (0,) and labels.dtype == torch.int64

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ((torch.ones(3), 0), "clusters=0 must be at least 1"),
            ((torch.ones(3, 1), 2), r"values is torch.float32 \[3, 1\]"),
            ((torch.ones(3).long(), 2), "must be float"),
            ((torch.tensor([1.0, torch.nan]), 2), "NaN or infinite"),
            ((torch.tensor([1.0, torch.inf]), 2), "NaN or infinite"),
        ],
    )
    def test_bad_input_is_met_by_a_sentence(self, arguments, sentence):
        with pytest.raises(ValueError, match=sentence):
            kmeans(*arguments)

    def test_an_unknown_start_is_refused(self):
        with pytest.raises(ValueError, match="init='best' must be 'linear', 'density' or 'random'"):
            kmeans(torch.zeros(0), 2, init="best")
