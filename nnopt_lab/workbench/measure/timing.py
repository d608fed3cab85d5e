"""Time networks in turns.

Compared networks take turns in every round, so that a slow phase of the machine affects all of them, and the ratio of
two of them has an interval. On an accelerator, a call returns before its work is done, so events in the device's queue
measure the time.
"""

import statistics
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from nnopt_lab.workbench import device, smoke
from nnopt_lab.workbench.measure.intervals import Ratio, median_interval
from nnopt_lab.workbench.measure.modes import inference
from nnopt_lab.workbench.measure.tables import three_digits
from nnopt_lab.workbench.progress_bar import progress_bar

SAMPLE_SECONDS = 0.002  # the clock and the Python loop take about a microsecond, less than a thousandth of this
SETTLE_SECONDS = 0.5  # an idle accelerator has a low clock rate, and reaches its full one after some tenths of a second
WINDOW_SECONDS, SETTLED = 0.05, 0.01  # it has reached it if two windows in a row differ by at most 1 %
_PER_SECOND = {"s": 1, "ms": 1e3, "µs": 1e6}
MIN_ROUNDS = 6  # of 5 samples, even smallest to largest covers the median in only 1 - 2/2⁵ = 94 % of cases


@dataclass(frozen=True)
class Timing:
    """Seconds per call of one model, one sample per round, at `batch_size` pictures per call."""

    samples: tuple[float, ...]
    batch_size: int

    @property
    def median(self) -> float:
        return self._quantile(0.5)

    @property
    def quartiles(self) -> tuple[float, float]:
        return self._quantile(0.25), self._quantile(0.75)

    @property
    def throughput(self) -> float:
        """Pictures per second, at the median."""
        return self.batch_size / self.median

    def __str__(self) -> str:
        unit = time_unit([self])
        return self.in_unit(unit, f" {unit}")

    def in_unit(self, unit: str, shown: str = "") -> str:
        """Format the median and quartiles in s, ms or µs, such as "1.03 (1.02–1.04)", with `shown` after the median."""
        middle, low, high = (three_digits(q * _PER_SECOND[unit]) for q in (self.median, *self.quartiles))
        return f"{middle}{shown} ({low}–{high})"

    def _quantile(self, q: float) -> float:
        return torch.tensor(self.samples, dtype=torch.float64).quantile(q).item()


def time_unit(timings: Iterable[Timing]) -> str:
    """Choose s, ms or µs, so that the shortest of some timings, at least one, can be read."""
    shortest = min(timing.median for timing in timings)
    return "s" if shortest >= 1 else "ms" if shortest >= 1e-4 else "µs"


class SelfTimed(ABC):
    """A model that another process computes, and that times its own calls there."""

    @abstractmethod
    def seconds(self, example: Tensor, calls: int) -> float:
        """Make an untimed call, then `calls` more, and return the seconds that these took."""


def latency(
    models: dict[str, Callable[[Tensor], object] | SelfTimed],
    example: Tensor,
    rounds: int = 60,
    budget_seconds: float = 10.0,
    clock: Callable[[], float] | None = None,
) -> dict[str, Timing]:
    """Time models in turns: every round takes one sample per model, and a different model starts each round.

    One sample is the mean of enough calls to last 2 ms, after one untimed call that refills the caches which the
    previous model emptied. Models run in evaluation mode without autograd; their mode is restored.

    On an accelerator the calls of a sample are launched one after the other, and the device measures the time from the
    first launch to the end of the work: per call the work or the launches, whichever take longer. Before the first
    round each model runs until its time is stable, at most half a second.

    Args:
        models: modules or other functions of the example, by name; a `SelfTimed` one uses its own clock.
        example: [N, ...], passed to each model. Put it on the accelerator to exclude copies: a network there can't
            read an example on the CPU, but a deployed engine can, and then copies to and from the device count. Use
            real pictures and trained networks: max-pooling on the CPU branches on the values, and two seeds of MyNet
            differ by up to 9 %.
        rounds: samples per model, at least 1; an interval needs 6 or more.
        budget_seconds: no further round starts after this time, above 0, without the warm-up; but 6 rounds (or
            `rounds`, if fewer) are always done.
        clock: a function that returns seconds; default `time.perf_counter`, or events on an accelerator.
            `time.process_time` excludes other programs and sums over all threads of this one. A clock that you pass is
            read after waiting for the accelerator.

    Returns:
        A `Timing` per model, by name.

    Raises:
        ValueError: there is no model, `example` has no batch dimension, or a number is out of its range.
    """
    if not models or rounds < 1 or budget_seconds <= 0 or example.dim() < 1:
        raise ValueError(
            f"models={list(models)}, example {list(example.shape)}, rounds={rounds}, budget_seconds={budget_seconds}: "
            "at least one model, one dimension, one round and a budget above 0 are needed."
        )
    order, samples = deque(models), {name: [] for name in models}
    with inference(*models.values()):
        runs = {
            name: _OtherRun(model, example) if isinstance(model, SelfTimed) else _Run(model, example, clock)
            for name, model in models.items()
        }
        if smoke.on():
            once = {name: run.seconds(1) for name, run in runs.items()}
            return {name: Timing((s,) * min(rounds, MIN_ROUNDS), len(example)) for name, s in once.items()}
        repeats = {name: _warm_up(run) for name, run in runs.items()}
        started = time.perf_counter()
        for done in progress_bar(range(rounds), desc="timing", unit="round", delay=2):
            if done >= MIN_ROUNDS and time.perf_counter() - started > budget_seconds:
                break
            for name in order:
                runs[name].seconds(1)
                samples[name].append(runs[name].seconds(repeats[name]) / repeats[name])
            order.rotate()
    return {name: Timing(tuple(values), len(example)) for name, values in samples.items()}


def ratio(slow: Timing, fast: Timing, confidence: float = 0.95) -> Ratio:
    """Compute the ratio of two timings, `slow` over `fast`: the median over rounds of the ratio within a round.

    The interval (`median_interval`) covers the variation between rounds in this process. Another process or another
    machine can differ by more.

    Args:
        slow, fast: timings from one call of `latency`.
        confidence: of the interval, above 0, below 1.

    Raises:
        ValueError: the timings differ in rounds or batch size, or have fewer rounds than the interval needs.
    """
    if (len(slow.samples), slow.batch_size) != (len(fast.samples), fast.batch_size):
        raise ValueError(
            f"slow has {len(slow.samples)} rounds of batch {slow.batch_size}, fast {len(fast.samples)} of batch "
            f"{fast.batch_size}; both must come from one call of latency()."
        )
    pairs = median_interval((s / f for s, f in zip(slow.samples, fast.samples, strict=True)), confidence)
    return Ratio(pairs.estimate, pairs.low, pairs.high, confidence)


class _Run:
    """Calls of one model, timed on the device that does their work: the example's, the model's or the output's."""

    def __init__(self, model: Callable, example: Tensor, clock: Callable[[], float] | None):
        self.model, self.example, self.clock = model, example, clock
        # This call shows where the output is; it also compiles, allocates and wakes the threads.
        self.device = device.of(example, model, None if smoke.on() else model(example))

    def seconds(self, repeats: int) -> float:
        if self.clock is None and device.is_accelerator(self.device):
            with device.Stopwatch(self.device) as watch:
                self._calls(repeats)
            return watch.seconds
        clock = self.clock or time.perf_counter
        device.synchronize(self.device)
        started = clock()
        self._calls(repeats)
        device.synchronize(self.device)
        return clock() - started

    def _calls(self, repeats: int) -> None:
        for _ in range(repeats):
            self.model(self.example)


@dataclass(frozen=True)
class _OtherRun:
    """Calls of one model in another process."""

    model: SelfTimed
    example: Tensor
    device = device.CPU

    def seconds(self, calls: int) -> float:
        return self.model.seconds(self.example, calls)


def _warm_up(run: _Run | _OtherRun) -> int:
    """Find the number of calls per sample, which warms up the model too."""
    for _ in range(2):
        run.seconds(1)
    repeats = 1
    while run.seconds(repeats) < SAMPLE_SECONDS:
        repeats *= 2
    if device.is_accelerator(run.device):
        _settle(run, repeats)
    return repeats


def _settle(run: _Run, repeats: int) -> None:
    """Run until one window's median is within 1 % of the one before: the device has reached its clock."""
    before, started = float("inf"), time.perf_counter()
    while time.perf_counter() - started < SETTLE_SECONDS:
        window = [run.seconds(repeats)]
        while sum(window) < WINDOW_SECONDS:
            window.append(run.seconds(repeats))
        now = statistics.median(window)
        if abs(now - before) <= SETTLED * now:
            return
        before = now
