"""The origin of a result: versions and processor, for the records beside shipped weights and results."""

import contextlib
import platform
from functools import cache
from pathlib import Path

import torch


def environment() -> dict:
    """Software and hardware of this process: {"versions": {"torch", "python"}, "processor": its instruction set}."""
    return {
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "processor": torch.backends.cpu.get_cpu_capability(),
    }


@cache
def processor() -> str:
    """Model and instruction set: where both are equal, the same program computes the same numbers."""
    return f"{processor_model()}, {torch.backends.cpu.get_cpu_capability()}"


def processor_model() -> str:
    """The processor's name as its maker or the system tells it."""
    return first_processor().get("model name") or platform.processor() or platform.machine()


def first_processor() -> dict[str, str]:
    """What Linux tells of the first processor, such as its "model name" and "flags"; empty on other systems."""
    with contextlib.suppress(OSError):
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
        return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    return {}
