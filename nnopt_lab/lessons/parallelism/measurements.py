"""Lesson 10's measurements: calls in turns, and epochs with a loader whose workers start first."""

import time
from collections.abc import Callable, Mapping

from torch.utils.data import DataLoader

from nnopt_lab.workbench import measure


def time_in_turns(calls: Mapping[str, Callable[[], object]], pictures: int, rounds: int = 6) -> dict:
    """Time calls that need gradients or no input, which `measure.latency` doesn't offer.

    Args:
        calls: by name. Each round makes all of them, one after the other; a first round is not counted.
        pictures: number of pictures that a call works on.

    Returns:
        A `measure.Timing` per name.
    """
    samples = {name: [] for name in calls}
    for _ in range(1 + rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            samples[name].append(time.perf_counter() - started)
    return {name: measure.Timing(tuple(values[1:]), pictures) for name, values in samples.items()}


def time_epochs(loader: DataLoader, step: Callable[..., object]) -> tuple[float, float]:
    """Seconds until a loader's workers deliver their first batch, and of the better of two later epochs.

    Args:
        loader: with `persistent_workers` if it has workers; without any, the first of the two times is 0.
        step: is called with each batch of the later epochs.
    """
    start = _start(loader) if loader.num_workers else 0.0
    return start, min(_epoch(loader, step) for _ in range(2))


def _start(loader: DataLoader) -> float:
    started, first = time.perf_counter(), 0.0
    for _ in loader:
        first = first or time.perf_counter() - started
    return first


def _epoch(loader: DataLoader, step: Callable[..., object]) -> float:
    started = time.perf_counter()
    for batch in loader:
        step(*batch)
    return time.perf_counter() - started
