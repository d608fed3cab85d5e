"""Describe the machine that measurements run on, and measure its two limits: arithmetic and memory bandwidth."""

import contextlib
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import nn

from nnopt_lab.workbench import device, smoke
from nnopt_lab.workbench.cores import usable_cores
from nnopt_lab.workbench.language import _
from nnopt_lab.workbench.measure.tables import format_bytes
from nnopt_lab.workbench.provenance import first_processor, processor_model
from nnopt_lab.workbench.tables import Table


@dataclass(frozen=True)
class Machine:
    """The machine that measurements run on; unknown entries are None or empty. Print it, or show it in a cell."""

    processor: str
    cores: int  # available to this process
    threads: int  # used by torch
    caches: dict[str, int]  # "L1", "L2", …: bytes of one cache of that level; virtual machines may share it
    memory: int | None  # bytes
    instructions: tuple[str, ...]  # torch's choice of kernels, then processor flags for low precision
    accelerator: str | None
    system: str
    torch: str

    def peak_gflops(self) -> float:
        """Measure the CPU's peak float32 speed in 10⁹ operations per second; a MAC is two operations.

        This is the faster of a matrix product and a convolution in torch's own libraries at the current number of
        threads: as much as a layer can reach, and less than the processor's data sheet promises. The two come from
        different libraries: on an AMD processor, MKL's matrix product reaches only half the speed of oneDNN's
        convolution. Takes about a second.
        """
        n, channels, side = 1024, 128, 32
        a, b, out = torch.rand(n, n), torch.rand(n, n), torch.empty(n, n)
        product = 2 * n**3 / _best_seconds(lambda: torch.mm(a, b, out=out))
        images, kernels = torch.rand(16, channels, side, side), torch.rand(channels, channels, 3, 3)
        with torch.inference_mode():
            seconds = _best_seconds(lambda: nn.functional.conv2d(images, kernels, padding=1))
        convolution = 2 * len(images) * channels**2 * 9 * side**2 / seconds
        return max(product, convolution) / 1e9

    def peak_bandwidth(self) -> float:
        """Measure the CPU's memory bandwidth in 10⁹ bytes per second, read plus written.

        This is the fastest of several copies of a large tensor, counted as in STREAM (McCalpin 1995,
        https://www.cs.virginia.edu/stream/ref.html): without the lines that the cache reads before it overwrites them.
        Source and target each have twice the size of the largest cache, but 64 to 256 MiB, and at most 1/16 of the
        memory. If the cache is larger than that (a virtual machine often reports one that it shares with others), the
        result lies between the speed of the memory and that of the cache. Takes about a second.
        """
        size = min(max(2 * max(self.caches.values(), default=0), 2**26), 2**28, (self.memory or 2**32) // 16)
        source, target = torch.ones(size, dtype=torch.uint8), torch.ones(size, dtype=torch.uint8)
        return 2 * size / _best_seconds(lambda: target.copy_(source)) / 1e9

    @property
    def table(self) -> Table:
        """What is known, one row each."""
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        shown["caches"] = ", ".join(f"{name} {format_bytes(size)}" for name, size in self.caches.items())
        shown["memory"] = self.memory and format_bytes(self.memory)
        shown["instructions"] = ", ".join(self.instructions)
        names = {
            "processor": _("processor"),
            "cores": _("cores"),
            "threads": _("threads"),
            "caches": _("caches"),
            "memory": _("memory"),
            "instructions": _("instructions"),
            "accelerator": _("accelerator"),
            "system": _("system"),
        }
        rows = [[names.get(key, key), str(value)] for key, value in shown.items() if value not in (None, "")]
        return Table(rows, [_("property"), _("here")])

    def __str__(self) -> str:
        return str(self.table)

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


def machine() -> Machine:
    """Describe this machine without measuring anything."""
    cpu = first_processor()
    flags = cpu.get("flags", cpu.get("Features", "")).split()
    useful = ("amx", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "asimddp", "i8mm", "bf16", "sve")
    accelerator = device.accelerator()
    return Machine(
        processor=processor_model(),
        cores=usable_cores(),
        threads=torch.get_num_threads(),
        caches=_caches(),
        memory=_memory(),
        instructions=(torch.backends.cpu.get_cpu_capability(), *(f for f in flags if f.startswith(useful))),
        accelerator=accelerator and device.describe(accelerator).name,
        system=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        torch=torch.__version__,
    )


def _caches() -> dict[str, int]:
    sizes = {}
    with contextlib.suppress(OSError, ValueError):
        for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
            if (index / "type").read_text().strip() != "Instruction":
                size = (index / "size").read_text().strip()  # such as "2048K"
                sizes[f"L{(index / 'level').read_text().strip()}"] = int(size.rstrip("K")) * 1024
    return sizes


def _memory() -> int | None:
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _best_seconds(call: Callable[[], object], budget_seconds: float = 0.4) -> float:
    call()
    best, started = math.inf, time.perf_counter()
    while (before := time.perf_counter()) - started < smoke.cap(budget_seconds, 0.01):
        call()
        best = min(best, time.perf_counter() - before)
    return best
