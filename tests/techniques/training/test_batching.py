"""Batches: nothing lost or doubled whatever sizes, seeds and workers; accumulation and noise scale by known answers."""

import copy
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, TensorDataset
from torchvision.transforms import v2

from nnopt_lab.techniques.training import batch_size_sweep, cropping, noise_scale
from nnopt_lab.techniques.training.accumulation import Accumulate
from nnopt_lab.techniques.training.batch_samplers import EpochBatches, RandomBatchSizes
from nnopt_lab.techniques.training.cropping import RandomCrops, SmallerPictures
from nnopt_lab.workbench import data, training

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
        pictures, models = _tiny(), [_net() for _ in range(2)]
        ours = EpochBatches(len(pictures.train), lambda epoch: 7, seed=3)
        order = flat(EpochBatches(len(pictures.train), lambda epoch: 7, seed=3))
        for model, batches in zip(models, (ours, BatchSampler(order, 7, drop_last=False)), strict=True):
            training.fit(model, pictures, epochs=1, batches=batches)
        assert _same(*models)


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


class TestAccumulate:
    @given(st.lists(st.integers(1, 9), min_size=1, max_size=4), seeds, st.sampled_from(["SGD", "AdamW"]))
    @settings(max_examples=30)
    def test_two_steps_equal_those_of_the_large_batch(self, sizes, seed, kind):
        generator = torch.Generator().manual_seed(seed % 2**32)
        x, y = torch.randn(sum(sizes), 6, generator=generator), torch.randint(0, 3, (sum(sizes),), generator=generator)
        large, small = _linear(), _linear()
        options = {"momentum": 0.9} if kind == "SGD" else {}
        one, inner = (getattr(torch.optim, kind)(m.parameters(), lr=0.1, **options) for m in (large, small))
        optimizer = Accumulate(inner, len(sizes))
        for _ in range(2):
            one.zero_grad()
            nn.functional.cross_entropy(large(x), y).backward()
            one.step()
            for xs, ys in zip(x.split(sizes), y.split(sizes), strict=True):
                optimizer.zero_grad()
                optimizer.weighted()(small(xs), ys).backward()
                optimizer.step()
        assert _same(large, small, atol=1e-5)

    def test_in_fit_it_equals_the_large_batch_and_reports_the_same_loss(self):
        pictures, (large, small) = _tiny(), (_net() for _ in range(2))
        whole = list(EpochBatches(60, lambda epoch: 20, seed=1))
        cut = [part for batch in whole for part in (batch[:12], batch[12:13], batch[13:])]
        optimizer = Accumulate(torch.optim.SGD(small.parameters(), lr=0.05, momentum=0.9), 3)
        first = training.fit(
            large, pictures, epochs=2, batches=whole, optimizer=lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9)
        )
        second = training.fit(
            small, pictures, epochs=2, batches=cut, optimizer=optimizer, loss=optimizer.weighted(nn.CrossEntropyLoss())
        )
        assert _same(large, small, atol=1e-6)
        assert first.train_loss == pytest.approx(second.train_loss, abs=1e-5)

    def test_equal_weights_are_the_mistake_that_it_avoids(self):
        x, y = torch.randn(10, 6, generator=torch.Generator().manual_seed(0)), torch.arange(10) % 3
        large, naive = _linear(), _linear()
        nn.functional.cross_entropy(large(x), y).backward()
        for xs, ys in ((x[:8], y[:8]), (x[8:], y[8:])):
            (nn.functional.cross_entropy(naive(xs), ys) / 2).backward()
        assert not torch.allclose(large.weight.grad, naive.weight.grad, atol=1e-3)

    def test_batch_norm_is_where_it_differs(self):
        x, y = torch.randn(16, 6, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3
        torch.manual_seed(0)
        large = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
        small = copy.deepcopy(large)
        optimizer = Accumulate(torch.optim.SGD(small.parameters(), lr=0.1), 2)
        nn.functional.cross_entropy(large(x), y).backward()
        torch.optim.SGD(large.parameters(), lr=0.1).step()
        for xs, ys in ((x[:8], y[:8]), (x[8:], y[8:])):
            optimizer.zero_grad()
            optimizer.weighted()(small(xs), ys).backward()
            optimizer.step()
        assert not _same(large, small, atol=1e-3)

    def test_schedulers_and_state_dicts_see_the_optimizer_itself(self):
        model = _linear()
        inner = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        optimizer = Accumulate(inner, 2)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for _ in range(2):
            optimizer.weighted()(model(torch.ones(1, 6)), torch.tensor([0])).backward()
            optimizer.step()
        schedule.step()
        assert inner.param_groups[0]["lr"] == 0.05
        saved = copy.deepcopy(optimizer.state_dict())
        assert saved["state"][0]["momentum_buffer"].equal(inner.state_dict()["state"][0]["momentum_buffer"])
        saved["param_groups"][0]["lr"] = 0.7
        optimizer.load_state_dict(saved)
        assert inner.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"] == 0.7

    def test_refuses_no_micro_batches_and_a_loss_that_it_did_not_see(self):
        model = _linear()
        with pytest.raises(ValueError, match="every=0 must be at least 1"):
            Accumulate(torch.optim.SGD(model.parameters()), 0)
        with pytest.raises(ValueError, match=r"no loss went through Accumulate; give fit loss=optimizer\.weighted"):
            Accumulate(torch.optim.SGD(model.parameters()), 2).step()


class TestCrops:
    @given(st.integers(1, 4), st.integers(1, 3), st.integers(2, 9), st.integers(1, 9), st.integers(0, 999))
    def test_crop_is_a_slice_of_each_picture(self, batch, channels, side, size, seed):
        size = min(size, side)
        generator = torch.Generator().manual_seed(seed)
        images = torch.randint(0, 256, (batch, channels, side, side + 1), dtype=torch.uint8, generator=generator)
        top = torch.randint(side - size + 1, (batch,), generator=generator)
        left = torch.randint(side + 2 - size, (batch,), generator=generator)
        cropped = cropping.crop(images, top, left, size)
        assert cropped.dtype == torch.uint8 and cropped.shape == (batch, channels, size, size)
        for i in range(batch):
            assert cropped[i].equal(images[i, :, top[i] : top[i] + size, left[i] : left[i] + size])

    @pytest.mark.parametrize(("top", "left", "size"), [(-1, 0, 2), (0, 3, 2), (3, 0, 2), (0, 0, 0)])
    def test_refuses_a_square_outside(self, top, left, size):
        with pytest.raises(ValueError, match=f"size={size}: a square .* does not lie inside 4×4"):
            cropping.crop(torch.zeros(1, 1, 4, 4), torch.tensor([top]), torch.tensor([left]), size)

    @given(st.integers(1, 8), st.integers(0, 4), st.integers(0, 999), st.booleans())
    def test_one_size_a_batch_between_the_bounds_and_padded_to_the_old_shape(self, low, spread, seed, pad):
        crops, images = RandomCrops(low, low + spread, pad=pad, seed=seed), torch.ones(5, 1, 12, 12, dtype=torch.uint8)
        sizes = set()
        for _ in range(4):
            out = crops(images)
            left = out.sum((1, 2, 3), dtype=torch.long)
            side = round(left[0].item() ** 0.5)
            assert low <= side <= low + spread and (left == side**2).all()
            assert out.shape[-2:] == ((12, 12) if pad else (side, side))
            sizes.add(side)
        again = RandomCrops(low, low + spread, pad=pad, seed=seed)
        crops = RandomCrops(low, low + spread, pad=pad, seed=seed)
        assert all(crops(images).equal(again(images)) for _ in range(3))

    def test_a_size_that_does_not_fit_is_refused(self):
        with pytest.raises(ValueError, match="size=5: a square"):
            RandomCrops(5, 5)(torch.ones(2, 1, 4, 4))

    @pytest.mark.parametrize("resize", [False, True])
    def test_smaller_pictures_follow_the_plan_and_keep_their_targets(self, resize):
        batches = [(torch.rand(4, 3, 16, 16), torch.arange(4)), (torch.rand(2, 3, 16, 16), torch.arange(2))] * 5
        plans = [v2.Resize(4), v2.Resize(8)] if resize else [RandomCrops(4, 4, pad=False), RandomCrops(6, 9, pad=False)]
        loader = SmallerPictures(batches, lambda epoch: plans[min(epoch, 1)])
        assert len(loader) == 10
        assert [x.shape[-1] for x, _ in loader] == [4] * 10
        for _ in range(2):
            seen = list(loader)
            sizes = {x.shape[-1] for x, _ in seen}
            assert sizes == {8} if resize else sizes <= {6, 7, 8, 9} and len(sizes) > 1
            assert all(y.equal(wanted) for (_, y), (_, wanted) in zip(seen, batches, strict=True))


class TestSweep:
    def test_stops_at_the_limit_before_it_is_passed(self):
        tried = []

        def step(x):
            tried.append(len(x))
            time.sleep(0.001)  # the same for each size: never flat
            return x * 1

        points, why = batch_size_sweep.sweep(step, torch.ones(3, 250), limit_bytes=63_000, seconds=1e-4)
        assert why == "memory" and [p.batch_size for p in points] == [1, 2, 4, 8, 16]
        assert max(tried) == 16 and all(p.bytes == 2 * p.batch_size * 1000 for p in points)

    @pytest.mark.parametrize(
        "error",
        [
            torch.OutOfMemoryError("CUDA out of memory."),
            RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: …"),
            MemoryError(),
        ],
    )
    def test_running_out_of_memory_is_caught(self, error):
        def step(x):
            time.sleep(0.001)
            if len(x) > 4:
                raise error

        points, why = batch_size_sweep.sweep(step, torch.ones(1, 8), seconds=1e-4, largest=64)
        assert why == "memory" and [p.batch_size for p in points] == [1, 2, 4]

    def test_another_error_is_not_swallowed(self):
        with pytest.raises(RuntimeError, match="shapes"):
            batch_size_sweep.sweep(lambda x: (_ for _ in ()).throw(RuntimeError("shapes do not fit")), torch.ones(1, 8))

    def test_stops_where_it_is_flat_and_at_the_largest_size(self, monkeypatch):
        speed = {1: 100, 2: 190, 4: 300, 8: 310, 16: 312, 32: 290}
        monkeypatch.setattr(
            batch_size_sweep,
            "_measured",
            lambda step, example, size, seconds: batch_size_sweep.SweepPoint(size, speed[size], size),
        )
        points, why = batch_size_sweep.sweep(None, torch.ones(1, 1))
        assert why == "flat" and [p.batch_size for p in points] == [1, 2, 4, 8, 16, 32]
        points, why = batch_size_sweep.sweep(None, torch.ones(1, 1), largest=4)
        assert why == "largest" and [p.per_second for p in points] == [100, 190, 300]

    def test_the_available_memory_is_a_number_of_bytes(self):
        assert batch_size_sweep.available_memory() > 2**24


class TestNoiseScale:
    @given(st.floats(0.1, 9), st.floats(0.0, 99), st.integers(1, 30), st.integers(1, 30))
    def test_two_norms_give_back_what_they_were_made_of(self, signal, noise, small, more):
        big = small + more
        found = noise_scale.from_norms(small, big, signal + noise / small, signal + noise / big)
        assert found.signal == pytest.approx(signal, rel=1e-6) and found.noise == pytest.approx(noise, abs=1e-6)
        assert found.simple == pytest.approx(noise / signal, rel=1e-5, abs=1e-6)

    def test_a_quadratic_with_a_known_answer(self):
        # loss_i(w) = ½ Σ h (w − c_i)², c_i ~ N(0, s²): gradient h (w − c_i), mean h (w − c̄), covariance diag(h² s²).
        generator = torch.Generator().manual_seed(0)
        h, s, w = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([3.0, 1.0, 0.5]), torch.tensor([1.0, -0.5, 0.25])
        centres = s * torch.randn(4000, 3, generator=generator)
        gradients = h * (w - centres)
        signal, noise = gradients.mean(0).square().sum(), gradients.var(0, correction=0).sum()
        estimates = [
            noise_scale.measured(lambda i: gradients[i].mean(0), 4000, small=4, parts=8, draws=200, seed=seed)
            for seed in range(20)
        ]
        for part, exact in (("signal", signal), ("noise", noise)):
            values = torch.tensor([getattr(e, part) for e in estimates])
            error = values.std() / len(values) ** 0.5
            assert abs(values.mean() - exact) < 3 * error, part
            assert error < 0.05 * exact
        assert torch.tensor([e.simple for e in estimates]).median().item() == pytest.approx(
            (noise / signal).item(), rel=0.1
        )

    def test_no_signal_is_an_infinite_scale_and_no_noise_is_none(self):
        assert noise_scale.from_norms(1, 10, 1.0, 0.05).simple == float("inf")
        assert noise_scale.from_norms(1, 10, 1.0, 1.0).simple == 0

    @pytest.mark.parametrize(("small", "big"), [(4, 4), (8, 4), (0, 4)])
    def test_refuses_sizes_in_another_order(self, small, big):
        with pytest.raises(ValueError, match=f"small={small} and big={big} must be"):
            noise_scale.from_norms(small, big, 2.0, 1.0)

    def test_the_gradient_of_a_network_is_autograds_and_leaves_grad_alone(self):
        pictures, model = _tiny(), _net()
        positions = torch.tensor([3, 1, 4, 1])
        found = noise_scale.gradient_of(model, pictures)(positions)
        assert all(p.grad is None for p in model.parameters())
        part = pictures.train[positions]
        nn.functional.cross_entropy(model(pictures.to_input(part.images)), part.labels).backward()
        assert found.equal(torch.cat([p.grad.flatten() for p in model.parameters()]))


def _linear():
    torch.manual_seed(0)
    return nn.Linear(6, 3)


def _net():
    torch.manual_seed(0)
    return nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 4))


def _tiny():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (90, 1, 28, 28), dtype=torch.uint8, generator=generator)
    every = data.Split(images, torch.randint(0, 4, (90,), generator=generator))
    return data.Pictures("tiny", every[:60], every[60:75], every[75:], ("a", "b", "c", "d"), (0.5,), (0.25,))


def _same(first, second, atol=0.0):
    return all(
        torch.allclose(a, b, atol=atol, rtol=0) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
