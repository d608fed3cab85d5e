"""Copies to a device, and streams, whose work runs beside that of other streams."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from nnopt_lab.workbench.device.found import is_accelerator
from nnopt_lab.workbench.device.stand_in import stands_in


def upload(x: Tensor, device: torch.device, out: Tensor | None = None, wait: bool = False) -> Tensor:
    """Copy a tensor to a device.

    Args:
        out: where it goes, on the device, of its shape and dtype; a new tensor where it is None.
        wait: let the host wait for the copy. Else it is a launch, if the tensor lies in pinned memory (`pin`): keep
            both tensors as they are until the device has done it.
    """
    if fake := stands_in(device):
        fake.launch(x.nbytes / fake.bytes_per_second)
        if wait:
            fake.wait(fake.stream.end)
    if out is not None:
        return out.copy_(x, non_blocking=not wait)
    return x.to(device, non_blocking=not wait)


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
