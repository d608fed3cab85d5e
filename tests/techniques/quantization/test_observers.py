"""Observers against torchao's, torch's percentiles, and searches without a histogram."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchao.quantization.pt2e import observer as reference

from nnopt_lab.techniques.quantization import fake_quantize, grid_of_range, observers

KINDS = (
    observers.MinMax,
    observers.MovingAverage,
    observers.Percentile,
    observers.MeanSquaredError,
    observers.Entropy,
)
seeds = st.integers(0, 10_000)


def batches(seed, count=3, size=400, spread=1.0):
    g = torch.Generator().manual_seed(seed)
    return [(1 + spread * i) * torch.randn(size, generator=g) + torch.randn((), generator=g) for i in range(count)]


def observed(observer, tensors):
    for x in tensors:
        observer.update(x)
    return observer


class TestExtremes:
    @given(seeds, st.integers(1, 5), st.integers(2, 8))
    def test_min_max_and_moving_average_are_torchaos(self, seed, count, bits):
        tensors = batches(seed, count)
        for ours, theirs in (
            (observers.MinMax(bits), reference.MinMaxObserver),
            (observers.MovingAverage(bits), reference.MovingAverageMinMaxObserver),
        ):
            other = theirs(quant_min=0, quant_max=2**bits - 1, dtype=torch.uint8, qscheme=torch.per_tensor_affine)
            observed(ours, tensors)
            for x in tensors:
                other(x)
            assert ours.range() == pytest.approx((float(other.min_val), float(other.max_val)), rel=1e-5)
            scale, zero_point = other.calculate_qparams()
            assert float(ours.grid().scale) == pytest.approx(float(scale), rel=1e-5)
            assert abs(int(ours.grid().zero_point) - int(zero_point)) <= 1

    def test_a_constant_of_1_forgets_all_but_the_last(self):
        first, last = torch.tensor([-5.0, 9.0]), torch.tensor([-1.0, 2.0])
        assert observed(observers.MovingAverage(constant=1), [first, last]).range() == (-1, 2)


class TestHistogram:
    @given(seeds, st.integers(1, 4), st.sampled_from([0.0, 1.0, 30.0]))
    def test_grows_without_losing_a_count(self, seed, count, spread):
        tensors = [*batches(seed, count, spread=spread), torch.zeros(7)]
        histogram = observed(observers.Histogram(), tensors)
        values = torch.cat(tensors)
        assert histogram.zeros == 7 and histogram.counts.sum() == len(values) - 7
        assert histogram.start <= values.min() and values.max() <= histogram.stop
        assert histogram.stop - histogram.start <= 4 * (max(values.max(), 0) - min(values.min(), 0))
        # How many lie below an edge is known exactly, but for rounding at the edge itself.
        edges, below = histogram.edges[512::512], histogram.counts.cumsum(0)[511::512]
        width = (histogram.stop - histogram.start) * 1e-6
        values = values[values != 0].double()
        fewest, most = (((values < edges[:, None] + shift).sum(1)) for shift in (-width, width))
        assert (fewest <= below).all() and (below <= most).all()

    def test_of_zeros_alone(self):
        for kind in KINDS:
            assert observed(kind(), [torch.zeros(3), torch.zeros(2, 2)]).range() == (0, 0)

    def test_zeros_first_and_then_something(self):
        histogram = observed(observers.Histogram(), [torch.zeros(3), torch.tensor([1e-6, -2e-6]), torch.tensor([9.0])])
        assert (histogram.zeros, histogram.counts.sum()) == (3, 3)


class TestPercentile:
    @settings(max_examples=50)
    @given(seeds, st.sampled_from([60.0, 90.0, 99.0, 99.9, 100.0]), st.booleans())
    def test_is_torchs_quantile_to_one_bin(self, seed, percent, rectified):
        tensors = [x.relu() if rectified else x for x in batches(seed, size=1000)]
        observer = observed(observers.Percentile(percent), tensors)
        values, width = torch.cat(tensors), (observer.stop - observer.start) / observers.BINS
        low, high = observer.range()
        share = torch.tensor([1 - percent / 100, percent / 100])
        least, most = (values.quantile(share, interpolation=side) for side in ("lower", "higher"))
        assert least[0] - 1.01 * width <= low <= most[0] + 1e-5
        assert least[1] - 1e-5 <= high <= most[1] + 1.01 * width

    def test_100_is_min_max(self):
        tensors = batches(3)
        low, high = observed(observers.Percentile(100), tensors).range()
        assert (low, high) == pytest.approx(observed(observers.MinMax(), tensors).range(), rel=1e-6)

    def test_one_outlier_moves_it_by_no_more_than_a_bin(self):
        tensors = batches(0, size=5000)
        clean = observed(observers.Percentile(99.9), tensors)
        dirty = observed(observers.Percentile(99.9), [*tensors, torch.tensor([1000.0])])
        assert dirty.range()[1] - clean.range()[1] < 3 * (dirty.stop - dirty.start) / observers.BINS
        assert observed(observers.MinMax(), [*tensors, torch.tensor([1000.0])]).range()[1] == 1000


def squared_error(values, low, high, bits):
    return (fake_quantize(values, grid_of_range(low, high, bits)) - values).double().square().sum()


class TestMeanSquaredError:
    @settings(max_examples=15, deadline=None)
    @given(seeds, st.integers(2, 8), st.sampled_from([1, 3]), st.booleans())
    def test_is_as_good_as_trying_all_ranges(self, seed, bits, power, rectified):
        values = torch.cat(batches(seed)) ** power  # a power of 3 has heavy tails
        values = values.relu() if rectified else values
        chosen = observed(observers.MeanSquaredError(bits), [values]).range()
        ends = values.min().clamp(max=0), values.max()
        tried = min(
            squared_error(values, ends[0] * a / 24, ends[1] * b / 24, bits)
            for a in (range(1, 25) if ends[0] < 0 else [1])
            for b in range(1, 25)
        )
        assert squared_error(values, *chosen, bits) <= 1.05 * tried

    def test_fewer_bits_clip_more(self):
        highs = [observed(observers.MeanSquaredError(bits), batches(1)).range()[1] for bits in (2, 4, 8)]
        assert highs == sorted(highs) and highs[0] < 0.9 * highs[2]


def kullback_leibler(counts, bins, levels):
    """Migacz 2017, as on his slides: one merged bin after the other."""
    p = counts[:bins].clone()
    p[-1] += counts[bins:].sum()
    q = torch.zeros(bins, dtype=torch.float64)
    for level in range(levels):
        members = [i for i in range(bins) if i * levels // bins == level and counts[i] > 0]
        for i in members:
            q[i] = counts[members].sum() / len(members)
    p, q = p / p.sum(), q / q.sum()
    return sum(float(a * (a / b).log()) if b > 0 else float("inf") for a, b in zip(p, q, strict=True) if a > 0)


class TestEntropy:
    @settings(max_examples=20, deadline=None)
    @given(seeds, st.integers(1, 40), st.integers(1, 16))
    def test_the_divergence_is_migaczs(self, seed, bins, levels):
        g = torch.Generator().manual_seed(seed)
        counts = (torch.rand(40, generator=g) * 9 - 3).clamp(0).floor().double()
        counts[0] += 1
        levels = min(bins, levels)
        assert observers.kl_divergence(counts, bins, levels) == pytest.approx(kullback_leibler(counts, bins, levels))

    def test_keeps_what_is_spread_evenly_and_clips_a_long_tail(self):
        even = torch.linspace(0, 1, 100_000)
        assert observed(observers.Entropy(), [even]).range()[1] > 0.95
        tail = torch.randn(100_000, generator=torch.Generator().manual_seed(0)).abs() ** 3
        assert 0.05 < observed(observers.Entropy(), [tail]).range()[1] / float(tail.max()) < 0.6

    def test_both_signs_share_one_magnitude(self):
        low, high = observed(
            observers.Entropy(), [torch.cat(batches(2, size=5000)) ** 3, torch.tensor([-900.0, 900.0])]
        ).range()
        assert low == pytest.approx(-high)

    def test_where_bins_are_no_more_than_levels_it_is_min_max(self):
        tensors = batches(2)
        assert observed(observers.Entropy(12), tensors).range() == observed(observers.MinMax(), tensors).range()


class TestBadInput:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        ("x", "sentence"),
        [
            (torch.tensor([1.0, float("nan")]), "NaN or infinite"),
            (torch.tensor([1.0, float("inf")]), "NaN or infinite"),
            (torch.tensor([]), "at least one"),
            (torch.tensor([1, 2]), "needs floats"),
        ],
    )
    def test_refuses_tensors_and_keeps_what_it_has_seen(self, kind, x, sentence):
        observer = kind()
        with pytest.raises(ValueError, match="has seen nothing yet"):
            observer.range()
        observer.update(torch.tensor([-1.0, 2.0]))
        before = observer.range()
        with pytest.raises(ValueError, match=sentence):
            observer.update(x)
        assert observer.range() == before

    def test_refuses_arguments(self):
        with pytest.raises(ValueError, match=r"percent=50 must be above 50"):
            observers.Percentile(50)
        with pytest.raises(ValueError, match=r"constant=0 must be above 0"):
            observers.MovingAverage(constant=0)

    def test_takes_what_has_a_gradient_or_gaps_or_another_width(self):
        x = torch.randn(6, 4, requires_grad=True)
        for kind in KINDS:
            low, high = observed(kind(), [x.T[::2], x.double(), x.bfloat16()]).range()
            assert float(x.detach().min()) - 0.1 <= low < high <= float(x.detach().max()) + 0.1
