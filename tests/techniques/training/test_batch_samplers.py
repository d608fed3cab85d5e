"""Batch samplers: nothing lost or doubled whatever sizes, seeds and workers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, DataLoader, TensorDataset

from nnopt_lab.techniques.training.batch_samplers import EpochBatches, RandomBatchSizes
from nnopt_lab.workbench import training
from tests.techniques.training.networks import net, same, tiny

counts, seeds, epochs = st.integers(1, 200), st.integers(-5, 2**40), st.integers(1, 3)


def flat(batches):
    return [position for batch in batches for position in batch]


def loaded(batches, count, workers=0):
    """What a DataLoader with this batch sampler gives, epoch after epoch, and its length before and after."""
    loader = DataLoader(
        TensorDataset(torch.arange(count)),
        batch_sampler=batches,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
    )
    return loader, lambda: [batch[0].tolist() for batch in loader]


class TestEpochBatches:
    @given(counts, st.lists(st.floats(0.5, 300), min_size=3, max_size=3), seeds, epochs)
    def test_nothing_is_lost_or_doubled_and_len_is_right_before_and_in_each_epoch(self, count, sizes, seed, epochs):
        batches = EpochBatches(count, lambda epoch: sizes[epoch], seed=seed)
        for epoch in range(epochs):
            promised = len(batches)
            seen = []
            for batch in batches:
                seen.append(batch)
                assert len(batches) == promised
            assert len(seen) == promised and sorted(flat(seen)) == list(range(count))
            wanted = max(1, min(round(sizes[epoch]), count))
            assert [len(batch) for batch in seen] == [
                len(b) for b in BatchSampler(range(count), wanted, drop_last=False)
            ]

    @given(counts, seeds)
    def test_a_seed_fixes_every_epoch_and_epochs_differ(self, count, seed):
        first, again = (EpochBatches(count, lambda epoch: 7, seed=seed) for _ in range(2))
        runs = [list(first), list(first)]
        assert runs == [list(again), list(again)]
        assert count < 20 or runs[0] != runs[1]

    def test_several_iterators_have_epochs_of_their_own(self):
        batches = EpochBatches(30, lambda epoch: (4, 8, 16)[epoch])
        alone = list(EpochBatches(30, lambda epoch: (4, 8, 16)[epoch]))
        first, second = iter(batches), iter(batches)
        mixed = [next(first)]
        assert len(batches) == 8
        other = [next(second)]
        assert len(batches) == 4
        other += list(second)
        assert mixed + list(first) == alone and sorted(flat(other)) == list(range(30)) and len(other) == 4
        assert len(batches) == 2

    def test_an_epoch_that_is_left_early_is_over_when_the_next_one_begins(self):
        batches = EpochBatches(30, lambda epoch: (4, 8)[epoch])
        for _ in batches:
            break
        assert len(batches) == 8
        assert len(list(batches)) == 4

    def test_the_size_is_asked_for_once_an_epoch_clipped_and_rounded(self):
        asked = []

        def size(epoch):
            asked.append(epoch)
            return (2.6, float("inf"), -3)[epoch]

        batches = EpochBatches(10, size, low=2, high=5)
        assert asked == [] and len(batches) == 4 and len(batches) == 4 and asked == [0]
        assert [len(list(batches)) for _ in range(3)] == [4, 2, 5]
        assert asked == [0, 1, 2] and batches.chosen == [3, 5, 2]

    @pytest.mark.parametrize(("count", "low", "high"), [(0, 1, 1), (5, 0, 3), (5, 4, 3)])
    def test_refuses_what_makes_no_batches(self, count, low, high):
        with pytest.raises(ValueError, match=f"count={count}, low={low}, high={high} must be"):
            EpochBatches(count, lambda epoch: 2, low, high)

    def test_trains_with_fit_like_torchs_own_batch_sampler(self):
        pictures, models = tiny(), [net() for _ in range(2)]
        ours = EpochBatches(len(pictures.train), lambda epoch: 7, seed=3)
        order = flat(EpochBatches(len(pictures.train), lambda epoch: 7, seed=3))
        for model, batches in zip(models, (ours, BatchSampler(order, 7, drop_last=False)), strict=True):
            training.fit(model, pictures, epochs=1, batches=batches)
        assert same(*models)


class TestRandomBatchSizes:
    @given(st.integers(1, 300), st.integers(1, 20), st.integers(0, 20), seeds, epochs)
    def test_every_sample_once_an_epoch_within_the_bounds_and_len_is_right(self, count, low, spread, seed, epochs):
        high = low + spread
        feasible = any(n * low <= count <= n * high for n in range(1, count + 1))
        if not feasible:
            with pytest.raises(ValueError, match=f"count={count} cannot be cut into batches of low={low} to"):
                RandomBatchSizes(count, low, high, seed)
            return
        batches = RandomBatchSizes(count, low, high, seed)
        for _ in range(epochs):
            promised, seen = len(batches), list(batches)
            assert len(seen) == promised == len(batches)
            assert sorted(flat(seen)) == list(range(count))
            assert all(low <= len(batch) <= high for batch in seen)

    @pytest.mark.filterwarnings("ignore:This DataLoader will create")
    @pytest.mark.parametrize("workers", [0, 1, 2, 3])
    def test_any_number_of_workers_gives_the_same_batches_each_epoch(self, workers):
        plain = RandomBatchSizes(100, 3, 12, seed=5)
        loader, run = loaded(RandomBatchSizes(100, 3, 12, seed=5), 100, workers)
        for _ in range(2):
            assert len(loader) == len(plain)
            assert run() == list(plain)

    def test_sizes_are_spread_evenly_and_new_in_each_epoch(self):
        batches = RandomBatchSizes(64_000, 32, 96, seed=0)
        sizes = torch.tensor(batches.sizes(0)).float()
        assert len(sizes) == 1000 and sizes.mean() == 64
        assert abs(sizes.std() - (65**2 / 12) ** 0.5) < 1.5  # the deviation of 65 equally likely whole numbers
        halves = sizes[:500].mean(), sizes[500:].mean()
        assert abs(halves[0] - halves[1]) < 5, "sizes that make the sum come out stand together"
        assert batches.sizes(0) == RandomBatchSizes(64_000, 32, 96, seed=0).sizes(0) != batches.sizes(1)

    def test_the_number_of_batches_is_the_nearest_to_count_over_mean_size(self):
        assert len(RandomBatchSizes(18_000, 32, 96)) == 281
        assert len(RandomBatchSizes(10, 5, 9)) == 1 or len(RandomBatchSizes(10, 5, 9)) == 2
        assert RandomBatchSizes(12, 4, 4).sizes(0) == [4, 4, 4]

    @pytest.mark.parametrize(("low", "high"), [(0, 3), (4, 3)])
    def test_refuses_bounds_that_are_none(self, low, high):
        with pytest.raises(ValueError, match=f"low={low}, high={high} must be"):
            RandomBatchSizes(10, low, high)
