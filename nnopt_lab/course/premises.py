"""Premises of claims: the features that a machine needs for a claim to apply to it."""

import importlib.util
import platform
from collections.abc import Callable
from functools import cache

import torch

from nnopt_lab.techniques.deployment import processor
from nnopt_lab.workbench import measure
from nnopt_lab.workbench.cores import usable_cores
from nnopt_lab.workbench.measure.free_cores import BUSY_SHARE, free_cores


def needs(*names: str) -> tuple[bool, str]:
    """Check whether this machine has all the named features, for the argument `where` of a claim.

    Args:
        names: each of "x86", "AVX-512", "VNNI", "AMX", "bf16 instructions", "two free cores" (measured in a tenth of a
            second, because other programs come and go), "accelerator", "OpenVINO".

    Returns:
        (True, "") or (False, "no AMX").

    Raises:
        ValueError: a name is none of these.
    """
    for name in names:
        if name not in _PREMISES:
            raise ValueError(f"names contains {name!r}; choose from {', '.join(_PREMISES)}.")
        met, otherwise = _PREMISES[name]
        if not met():
            return False, otherwise
    return True, ""


def reasons() -> list[str]:
    """What `needs` says of machines without the features."""
    return [otherwise for _, otherwise in _PREMISES.values()]


@cache
def instructions() -> frozenset[str]:
    """Names of the processor's instruction sets, as reported by torch and the operating system."""
    tells = getattr(torch.cpu, "get_capabilities", dict)()
    return frozenset({name for name, there in tells.items() if there is True} | set(measure.machine().instructions))


def _has(*any_of: str) -> Callable[[], bool]:
    return lambda: any(name in instructions() for name in any_of)


def _x86() -> bool:
    return platform.machine() in processor.X86


_PREMISES: dict[str, tuple[Callable[[], bool], str]] = {
    "x86": (_x86, "no x86 processor"),
    "AVX-512": (_has("avx512_f", "AVX512"), "no AVX-512"),
    "VNNI": (_has("avx512_vnni", "avx_vnni"), "no VNNI"),
    "AMX": (_has("amx_bf16", "amx_int8", "amx_tile"), "no AMX"),
    "bf16 instructions": (
        _has("avx512_bf16", "amx_bf16", "avx10_2", "bf16", "sve_bf16"),
        "no instructions for bf16",
    ),
    "two free cores": (
        lambda: usable_cores() >= 2 and free_cores() > 2 * BUSY_SHARE,
        "fewer than two free cores",
    ),
    "accelerator": (lambda: torch.accelerator.is_available(), "no accelerator"),
    "OpenVINO": (lambda: importlib.util.find_spec("openvino") is not None, "OpenVINO is not installed"),
}
