"""Copies to a device, and streams, whose work runs beside that of other streams."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from nnopt_lab.workbench.device.found import is_accelerator
from nnopt_lab.workbench.device.stand_in import stands_in


def upload(x: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device, as a launch where it lies in pinned memory, else the host waits for the copy."""
    if fake := stands_in(device):
        fake.launch(x.nbytes / fake.bytes_per_second)
        return x
    return x.to(device, non_blocking=True)


def pin(x: Tensor, device: torch.device) -> Tensor:
    """The tensor in pinned memory, which a device reads while the host goes on; unchanged where there is none."""
    return x.pin_memory() if device.type in ("cuda", "xpu") else x


def side_stream(device: torch.device):
    """A new stream of a device; None on the CPU, and where a device has one stream only (MPS)."""
    if fake := stands_in(device):
        return fake.new_stream()
    return torch.Stream(device=device) if device.type not in ("cpu", "mps") else None


@contextlib.contextmanager
def beside(stream) -> Iterator[None]:
    """Launch what the block launches on a stream of `side_stream`; as ever where it is None."""
    with stream or contextlib.nullcontext():
        yield


def current_stream(device: torch.device):
    """The stream on which a device's work is launched now; None on the CPU and on MPS."""
    if fake := stands_in(device):
        return fake.stream
    if not is_accelerator(device) or device.type == "mps":
        return None
    return torch.accelerator.current_stream(device)
