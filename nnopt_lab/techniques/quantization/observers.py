"""Choose the range of a layer's activations: observers see a few batches and then choose its ends.

Weights are fixed, so their range is known; activations depend on the input, so their range is estimated from the
extremes, or from a histogram, which can clip a few large values in exchange for finer steps.

Sources: Jacob et al. 2018, section 3.1, https://arxiv.org/abs/1712.05877 (moving averages); Migacz 2017, "8-bit
Inference with TensorRT", https://on-demand.gputechconf.com/gtc/2017/presentation/s7310-8-bit-inference-with-tensorrt.pdf
(entropy).
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from nnopt_lab.techniques.quantization.grids import Grid, grid_of_range
from nnopt_lab.techniques.quantization.rounding import fake_quantize

BINS = 8192
ENTROPY_BINS, MIN_BINS = 2048, 128  # Migacz's choice


class Observer:
    """Observes tensors one after the other and records the statistics that it needs to choose a range.

    Args:
        bits: of the affine grid for the range, 1 to 16.
    """

    def __init__(self, bits: int = 8):
        self.bits, self.low, self.high = bits, None, None

    def update(self, x: Tensor) -> None:
        """Observe one tensor: float, any shape.

        Raises:
            ValueError: `x` is empty, not of a floating-point dtype, or has values that are not finite.
        """
        if not isinstance(x, Tensor):
            raise ValueError(f"x is a {type(x).__name__}; an observer needs tensors.")
        if not x.is_floating_point() or x.numel() == 0:
            raise ValueError(f"x is {x.dtype} {list(x.shape)}; an observer needs floats, at least one.")
        x = x.detach().float().cpu()
        low, high = map(float, x.aminmax())
        if not -torch.inf < low <= high < torch.inf:  # NaN compares as False
            raise ValueError("x has values that are NaN or infinite, which no range covers.")
        self._see(x, low, high)

    def _see(self, x: Tensor, low: float, high: float) -> None:
        self.low, self.high = (low, high) if self.low is None else (min(low, self.low), max(high, self.high))

    def range(self) -> tuple[float, float]:
        """Choose the ends of the range; the range's grid always contains zero.

        Raises:
            ValueError: no tensor was observed yet.
        """
        if self.low is None:
            raise ValueError("The observer has seen nothing yet: call update(x) first.")
        return self._choose()

    def _choose(self) -> tuple[float, float]:
        return self.low, self.high

    def grid(self) -> Grid:
        """The affine grid of `bits` bits that covers the range."""
        return grid_of_range(*self.range(), self.bits)


class MinMax(Observer):
    """The range from the smallest to the largest value observed."""


class MovingAverage(Observer):
    """Moving averages of the tensors' smallest and largest values.

    Like torch's MovingAverageMinMaxObserver, which has the same default.

    Args:
        bits: as in `Observer`.
        constant: weight of a new tensor, above 0, at most 1; the past has the weight 1 − `constant`.
    """

    def __init__(self, bits: int = 8, constant: float = 0.01):
        super().__init__(bits)
        if not 0 < constant <= 1:
            raise ValueError(f"constant={constant} must be above 0 and at most 1.")
        self.constant = constant

    def _see(self, x: Tensor, low: float, high: float) -> None:
        if self.low is None:
            self.low, self.high = low, high
        self.low += self.constant * (low - self.low)
        self.high += self.constant * (high - self.high)


class Histogram(Observer):
    """Counts values in bins from `start` to `stop`; if a value falls outside, bins are merged in pairs.

    So the bins become twice as wide, and no count is lost. Zeros are counted separately, because every grid contains
    zero exactly.
    """

    def __init__(self, bits: int = 8):
        super().__init__(bits)
        self.counts, self.zeros = torch.zeros(BINS, dtype=torch.float64), 0
        self.start = self.stop = 0.0

    @property
    def edges(self) -> Tensor:
        """Edges of the bins: float64 [BINS + 1]."""
        return self.start + (self.stop - self.start) * torch.arange(BINS + 1, dtype=torch.float64) / BINS

    @property
    def centers(self) -> Tensor:
        """Midpoints of the bins: float32 [BINS]."""
        return self.edges.unfold(0, 2, 1).mean(1).float()

    def _see(self, x: Tensor, low: float, high: float) -> None:
        super()._see(x, low, high)
        values = x[x != 0]
        self.zeros += x.numel() - len(values)
        if self.start == self.stop:
            self.start, self.stop = min(low, 0.0), max(high, 0.0)
        while low < self.start or high > self.stop:
            merged, span, downwards = self.counts.view(-1, 2).sum(1), self.stop - self.start, low < self.start
            self.counts = pad(merged, (BINS // 2, 0) if downwards else (0, BINS // 2))
            self.start, self.stop = self.start - span * downwards, self.stop + span * (not downwards)
        if len(values):
            places = (values.double() - self.start) * (BINS / (self.stop - self.start))
            self.counts += places.long().clamp(0, BINS - 1).bincount(minlength=BINS)


class Percentile(Histogram):
    """The range from the (100 − `percent`)th to the `percent`th percentile of all values, exact to one bin.

    Args:
        percent: above 50, at most 100; zeros count as values.
        bits: as in `Observer`.
    """

    def __init__(self, percent: float = 99.99, bits: int = 8):
        super().__init__(bits)
        if not 50 < percent <= 100:
            raise ValueError(f"percent={percent} must be above 50 and at most 100.")
        self.percent = percent

    def _choose(self) -> tuple[float, float]:
        edges, below = self.edges, pad(self.counts.cumsum(0), (1, 0))
        total = self.zeros + float(below[-1])
        outside = total * (1 - self.percent / 100) + 1e-6  # tolerance for the rounding of the share
        low = edges[below + self.zeros * (edges > 0) <= outside].max()
        high = edges[below + self.zeros * (edges >= 0) >= total - outside].min()
        return max(float(low), self.low), min(float(high), self.high)


class MeanSquaredError(Histogram):
    """The range with the smallest squared quantisation error, a compromise between finer steps and less clipping.

    The search starts from the best of 16 × 16 pairs of ends. Then each end in turn tries 128 positions, until the error
    no longer decreases.
    """

    def _choose(self) -> tuple[float, float]:
        ends = torch.tensor([min(self.low, 0.0), max(self.high, 0.0)])
        shares, coarse = torch.arange(1, 129) / 128, torch.arange(1, 17) / 16
        tried = torch.cartesian_prod(coarse if ends[0] < 0 else coarse[-1:], coarse) * ends
        least, end, worse = torch.inf, 1, 0
        while worse < 2:
            errors = self.errors(*tried.T)
            worse = 0 if errors.min() < least else worse + 1
            if not worse:
                least, best = errors.min(), tried[errors.argmin()]
            end = 1 - end
            tried = best.repeat(128, 1)
            tried[:, end] = shares * ends[end]
        return tuple(best.tolist())

    def errors(self, lows: Tensor, highs: Tensor) -> Tensor:
        """Sum of squared errors of the observed values for each of n ranges: float [n], float [n] → float64 [n]."""
        seen = self.counts > 0
        values = self.centers[seen].expand(len(lows), -1)
        if not values.numel():
            return torch.zeros(len(lows), dtype=torch.float64)
        grid = grid_of_range(lows[:, None], highs[:, None], self.bits)
        return (fake_quantize(values, grid) - values).double().square() @ self.counts[seen]


class Entropy(Histogram):
    """The range whose quantised histogram is closest to the original in KL divergence (Migacz 2017).

    P is the histogram up to a magnitude, with everything above it added to the last bin. Q is the histogram without
    everything above, merged to the grid's levels and distributed again over the nonempty bins. The magnitude with the
    smallest Kullback-Leibler divergence ΣP·log(P/Q) is chosen.
    """

    def _choose(self) -> tuple[float, float]:
        largest, levels = max(-self.low, self.high), 2 ** (self.bits if self.low >= 0 else self.bits - 1)
        if not largest or levels >= ENTROPY_BINS:
            return self.low, self.high
        places = (self.centers.abs() * (ENTROPY_BINS / largest)).long().clamp(max=ENTROPY_BINS - 1)
        counts = torch.zeros(ENTROPY_BINS, dtype=torch.float64).index_add(0, places, self.counts)
        kept = range(ENTROPY_BINS, max(levels, MIN_BINS) - 1, -16)
        best = min(kept, key=lambda bins: kl_divergence(counts, bins, levels)) / ENTROPY_BINS * largest
        return max(self.low, -best), min(self.high, best)


def kl_divergence(counts: Tensor, bins: int, levels: int) -> float:
    """Compute Σ P·log(P/Q) for a histogram that is clipped to its first `bins` bins and rounded to `levels` levels.

    Args:
        counts: float64 [B], the histogram of magnitudes.
        bins, levels: 1 ≤ levels ≤ bins ≤ B.
    """
    p, inside, level = counts[:bins].clone(), counts[:bins], torch.arange(bins) * levels // bins
    p[-1] += counts[bins:].sum()
    held = torch.stack([inside, (inside > 0).double()])
    total, filled = held.new_zeros(2, levels).index_add(1, level, held)
    q = (total / filled)[level].where(inside > 0, 0.0)
    there = p > 0
    p, q = p[there] / p.sum(), q[there] / q.sum()
    return float((p * (p / q).log()).sum().nan_to_num(torch.inf, torch.inf))
