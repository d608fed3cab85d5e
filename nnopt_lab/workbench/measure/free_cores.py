"""Measure how many cores this process really gets, and whether other programs disturb its measurements.

A load average lags by a minute and counts this process too. Here threads compute for a tenth of a second: the processor
time that they got in it, per second, is what other programs, a container's quota and a hypervisor left them.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import torch

from nnopt_lab.workbench.cores import usable_cores

SPIN_SECONDS = 0.1
BUSY_SHARE = 0.8  # threads that get less of a core than this, measured, share it with other programs


def free_cores(wanted: int = 2) -> float:
    """Measure the cores that threads of this process get.

    Returns:
        Processor seconds per second of `wanted` threads that multiply matrices.
    """
    x, threads = torch.rand(128, 128), torch.get_num_threads()
    torch.set_num_threads(1)  # otherwise each product would use all cores

    def work(until: float) -> None:
        torch.set_num_threads(1)
        while time.perf_counter() < until:
            for _ in range(10):
                x.mm(x)

    try:
        with ThreadPoolExecutor(wanted) as pool:
            # The first round starts the threads and wakes up the processor.
            list(pool.map(work, [time.perf_counter() + SPIN_SECONDS / 5] * wanted))
            started, used = time.perf_counter(), time.process_time()
            list(pool.map(work, [started + SPIN_SECONDS] * wanted))
            return (time.process_time() - used) / (time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)


def is_busy() -> bool:
    """Whether other programs take so much processor time that torch's threads don't get a core each."""
    wanted = min(torch.get_num_threads(), usable_cores())
    return free_cores(wanted) < BUSY_SHARE * wanted
