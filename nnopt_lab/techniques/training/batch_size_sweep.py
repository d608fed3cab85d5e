"""Find the batch size beyond which larger ones are no faster, or need too much memory."""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.benchmark import Timer

from nnopt_lab.workbench import measure, smoke


class SweepPoint(NamedTuple):
    batch_size: int
    per_second: float  # samples
    bytes: int  # peak memory


def sweep(
    step: Callable, example: Tensor, *, largest: int = 16_384, limit_bytes: float | None = None, seconds: float = 0.3
) -> tuple[list[SweepPoint], str]:
    """Double the batch size until it gains no speed or memory would run out, without a crash.

    An operating system may kill a process that uses too much memory instead of refusing it. So no size is tried that
    might need more than `limit_bytes`, predicted as twice the previous size's memory. Size 1 is skipped if batch norm
    refuses a single sample.

    Args:
        step: called with the example at each size.
        example: [N, …], repeated or cut to each size.
        largest: the largest size to try, at least 1.
        limit_bytes: memory limit; default half of `available_memory()`, or no limit on an accelerator, which refuses.
        seconds: minimum measuring time per size.

    Returns:
        The points, and the reason for the end: "flat" (three sizes in a row less than 5 % faster than the best before),
        "memory" or "largest".
    """
    if limit_bytes is None:
        limit_bytes = available_memory() / 2 if example.device.type == "cpu" else float("inf")
    largest, seconds = smoke.cap(largest, 64), smoke.cap(seconds, 0.01)
    points, size = [], 1
    while size <= largest and not (points and 2 * points[-1].bytes > limit_bytes):
        try:
            points.append(_measured(step, example, size, seconds))
        except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError, the CPU's a plain one
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            return points, "memory"
        except ValueError as error:
            if size > 1 or "more than 1 value per channel" not in str(error):  # batch norm needs two samples
                raise
        speeds = [point.per_second for point in points]
        if len(points) > 3 and max(speeds[-3:]) < 1.05 * max(speeds[:-3]):
            return points, "flat"
        size *= 2
    return points, "largest" if size > largest else "memory"


def available_memory() -> float:
    """Bytes of free CPU memory, or a container's limit if that is less; infinite if unknown."""
    found = [measure.machine().memory or float("inf")]
    with contextlib.suppress(OSError, AttributeError):
        found.append(1024 * int(re.search(r"MemAvailable: *(\d+)", Path("/proc/meminfo").read_text())[1]))
    with contextlib.suppress(OSError, ValueError):  # the file may contain "max"
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(found)


def _measured(step: Callable, example: Tensor, size: int, seconds: float) -> SweepPoint:
    batch = example.repeat(-(-size // len(example)), *[1] * (example.dim() - 1))[:size]
    needed = measure.peak_memory(step, batch) + batch.nbytes
    timer = Timer("step(batch)", globals={"step": step, "batch": batch}, num_threads=torch.get_num_threads())
    return SweepPoint(size, size / timer.blocked_autorange(min_run_time=seconds).median, needed)
