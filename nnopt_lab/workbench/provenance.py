"""The origin of a result: versions and processor, for the records beside shipped weights and results."""

import platform

import torch


def environment() -> dict:
    """Software and hardware of this process: {"versions": {"torch", "python"}, "processor": its instruction set}."""
    return {
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "processor": torch.backends.cpu.get_cpu_capability(),
    }
