"""Copy tensors to a device, and use several streams, whose work overlaps."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from nnopt_lab.workbench.device.found import is_accelerator
from nnopt_lab.workbench.device.stand_in import stands_in


def upload(x: Tensor, device: torch.device, out: Tensor | None = None, wait: bool = False) -> Tensor:
    """Copy a tensor to a device.

    Args:
        x: any tensor.
        device: from `find`.
        out: a tensor on the device to copy into, of the same shape and dtype; default a new one.
        wait: whether the host waits for the copy. Without waiting, a copy from pinned memory (`pin`) is only a launch:
            leave both tensors unchanged until the device has done it.
    """
    if fake := stands_in(device):
        fake.launch(x.nbytes / fake.bytes_per_second)
        if wait:
            fake.wait(fake.stream.end)
    if out is not None:
        return out.copy_(x, non_blocking=not wait)
    return x.to(device, non_blocking=not wait)


def pin(x: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to pinned memory, which a CUDA or XPU device reads while the host continues; else leave it."""
    return x.pin_memory() if device.type in ("cuda", "xpu") else x


def side_stream(device: torch.device):
    """Make a new stream on a device; None on the CPU and on MPS, which have no second stream."""
    if fake := stands_in(device):
        return fake.new_stream()
    return torch.Stream(device=device) if device.type not in ("cpu", "mps") else None


@contextlib.contextmanager
def beside(stream) -> Iterator[None]:
    """Send the block's launches to a stream from `side_stream`; None changes nothing."""
    with stream or contextlib.nullcontext():
        yield


def current_stream(device: torch.device):
    """Return the stream that receives a device's launches now; None on the CPU and on MPS."""
    if fake := stands_in(device):
        return fake.stream
    if not is_accelerator(device) or device.type == "mps":
        return None
    return torch.accelerator.current_stream(device)
