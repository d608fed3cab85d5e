"""Describe a device: its name, its memory, and the number formats and patterns that it supports."""

from dataclasses import dataclass

import torch

from nnopt_lab.workbench.device.found import is_accelerator
from nnopt_lab.workbench.device.stand_in import stands_in

# The first NVIDIA generation whose tensor cores support a format or pattern: Ampere 8.0, Ada 8.9. Source: CUDA C++
# Programming Guide, "Compute Capabilities".
CAPABILITIES = {"tf32": (8, 0), "bf16": (8, 0), "int8": (8, 0), "fp8": (8, 9), "2:4 sparsity": (8, 0)}
FEATURES = ("fp16", "graphs", *CAPABILITIES)
# What torch supports on accelerators of other vendors.
_ELSEWHERE = {"xpu": ("bf16", "fp16", "graphs"), "mps": ("bf16", "fp16"), "rocm": ("bf16", "fp16", "graphs")}


@dataclass(frozen=True)
class Description:
    """Description of a device.

    Attributes:
        kind: "cpu", "cuda", "xpu", "mps", …
        name: the product's name, or "CPU".
        capability: compute capability (major, minor) of an NVIDIA GPU; None for other devices.
        memory: bytes on the device; None if unknown or shared with the host.
    """

    kind: str
    name: str
    capability: tuple[int, int] | None = None
    memory: int | None = None

    def __str__(self) -> str:
        return self.name


def describe(device: torch.device) -> Description:
    """Describe a device that `find` returned."""
    if fake := stands_in(device):
        return Description("cuda", fake.name, fake.capability)
    if device.type == "cuda":
        seen = torch.cuda.get_device_properties(device)
        capability = None if torch.version.hip else (seen.major, seen.minor)
        return Description("cuda", seen.name, capability, seen.total_memory)
    if device.type == "xpu":
        seen = torch.xpu.get_device_properties(device)
        return Description("xpu", seen.name, memory=seen.total_memory)
    return Description(device.type, {"cpu": "CPU", "mps": "Apple GPU"}.get(device.type, device.type))


def uuid(device: torch.device) -> str:
    """Return the identifier of a GPU in NVIDIA's tools, "GPU-…", which unlike its index never changes."""
    return "GPU-stand-in" if stands_in(device) else f"GPU-{torch.cuda.get_device_properties(device).uuid}"


def unavailable(device: torch.device, feature: str) -> str | None:
    """Say in one sentence why a device lacks a feature; None if it has the feature.

    Args:
        device: from `find`.
        feature: one of `FEATURES`: "tf32", "bf16", "fp16", "int8" and "fp8" (matrix products in that format),
            "2:4 sparsity", or "graphs" (see `capture`).

    Raises:
        ValueError: `feature` is unknown.
    """
    if feature not in FEATURES:
        raise ValueError(f"feature={feature!r} must be one of {', '.join(FEATURES)}.")
    if not is_accelerator(device):
        return f"{feature} needs an accelerator, and the device is the CPU."
    seen = describe(device)
    if seen.capability is None:
        kind = "rocm" if seen.kind == "cuda" else seen.kind
        return None if feature in _ELSEWHERE.get(kind, ()) else f"torch has no {feature} on {seen.name} ({kind})."
    needed = CAPABILITIES.get(feature, (0, 0))
    if seen.capability >= needed:
        return None
    return "{} needs compute capability {}.{} or higher; {} has {}.{}.".format(
        feature, *needed, seen.name, *seen.capability
    )
