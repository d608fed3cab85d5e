"""Time networks in turns.

Networks that are compared run round by round, so that whatever slows the machine for a while slows all of them, and the
ratio of two of them comes with an interval. On an accelerator, where a call returns before its work is done, events in
the device's own queue tell the time.
"""

import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nnopt_lab.workbench import device, smoke
from nnopt_lab.workbench.measure.intervals import Ratio, median_interval
from nnopt_lab.workbench.measure.modes import inference
from nnopt_lab.workbench.measure.tables import three_digits
from nnopt_lab.workbench.progress_bar import progress_bar

SAMPLE_SECONDS = 0.002  # the clock and the Python loop cost about a microsecond, so they stay below a thousandth of it
SETTLE_SECONDS = 0.5  # an idle accelerator runs at a low clock, and is at its full one after some tenths of a second,
WINDOW_SECONDS, SETTLED = 0.05, 0.01  # and is there when two windows in a row differ by at most 1 %
MIN_ROUNDS = 6  # with 5 samples not even smallest to largest covers the median in 95 % of cases: 1 - 2/2⁵ = 0.94


@dataclass(frozen=True)
class Timing:
    """Seconds per call of one model, one sample per round, for `batch_size` pictures per call."""

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
        unit, scale = ("s", 1) if self.median >= 1 else ("ms", 1e3) if self.median >= 1e-4 else ("µs", 1e6)
        middle, low, high = (three_digits(q * scale) for q in (self.median, *self.quartiles))
        return f"{middle} {unit} ({low}–{high})"

    def _quantile(self, q: float) -> float:
        return torch.tensor(self.samples, dtype=torch.float64).quantile(q).item()


def latency(
    models: dict[str, Callable[[Tensor], object]],
    example: Tensor,
    rounds: int = 60,
    budget_seconds: float = 10.0,
    clock: Callable[[], float] | None = None,
) -> dict[str, Timing]:
    """Time models against each other: in every round each runs once, and the one that starts changes.

    One sample is the mean of as many calls as last 2 ms, after one call that is not timed: it brings back to the caches
    what the model before it pushed out. Models run in evaluation mode without autograd; their mode is restored.

    On an accelerator the calls of a sample are launched one after the other, and its time is the device's, from the
    first launch to the end of the work: per call the work or the launches, whichever take longer. Before the first
    round each model runs until its time is stable, at most half a second.

    Args:
        models: what is called, by name; modules or any other function of the example.
        example: [N, ...], given to each. On the accelerator if copies are not to count; a network there cannot read
            an example on the CPU, a deployed engine can, and then copies to and from the device count. Give real
            pictures and trained networks: max-pooling on the CPU branches on the values, and two seeds of MyNet differ
            by up to 9 %.
        rounds: samples of each model, at least 1; 6 or more for an interval.
        budget_seconds: after this long, warm-up not included, no further round starts, but 6 are always done if
            `rounds` asks for them.
        clock: seconds, `time.perf_counter` where it is None, on an accelerator its events. `time.process_time` leaves
            out what other programs take of the processor, and adds up what all threads of this one do. A clock that is
            given is read after waiting for the accelerator.

    Raises:
        ValueError: there is no model, `example` has no batch dimension, or a number is out of its range.
    """
    if not models or rounds < 1 or budget_seconds <= 0 or example.dim() < 1:
        raise ValueError(
            f"models={list(models)}, example {list(example.shape)}, rounds={rounds}, budget_seconds={budget_seconds}: "
            "one model, one dimension, one round and a budget above 0 are needed at the least."
        )
    order, samples = deque(models), {name: [] for name in models}
    with inference(*models.values()):
        runs = {name: _Run(model, example, clock) for name, model in models.items()}
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
    """Ratio of two timings, `slow` over `fast`: the median over rounds of the ratio within a round.

    The interval (`median_interval`) covers what varies from round to round in this process. Another process or another
    machine can differ by more.

    Raises:
        ValueError: the timings are not of the same rounds and batch size, or have too few rounds.
    """
    if (len(slow.samples), slow.batch_size) != (len(fast.samples), fast.batch_size):
        raise ValueError(
            f"slow has {len(slow.samples)} rounds of batch {slow.batch_size}, fast {len(fast.samples)} of batch "
            f"{fast.batch_size}; only timings from one call of latency() are pairs."
        )
    pairs = median_interval((s / f for s, f in zip(slow.samples, fast.samples, strict=True)), confidence)
    return Ratio(pairs.estimate, pairs.low, pairs.high, confidence)


class _Run:
    """Calls of one model, timed on the device where their work is done: the example's, the model's or the output's."""

    def __init__(self, model: Callable, example: Tensor, clock: Callable[[], float] | None):
        self.model, self.example, self.clock = model, example, clock
        # The call that shows where the output is also compiles, allocates, and wakes the threads.
        self.device = device.of(example, model, model(example))

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


def _warm_up(run: _Run) -> int:
    """Number of calls that make up a sample; finding it is the warm-up too."""
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
