"""Find the accelerator, and the device behind a name, a tensor or a network."""

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from nnopt_lab.workbench.device.stand_in import DEVICE, active

CPU = torch.device("cpu")


class DeviceMissing(ValueError):
    """A device is missing; the message says so in one sentence."""


def accelerator() -> torch.device | None:
    """Return the accelerator that torch can use (CUDA, XPU, MPS, …), with its index; None if there is none."""
    if active():
        return DEVICE
    if not torch.accelerator.is_available():
        return None
    return torch.device(torch.accelerator.current_accelerator().type, torch.accelerator.current_device_index())


def find(device: torch.device | str) -> torch.device:
    """Resolve an argument `device`.

    Args:
        device: "cpu", "accelerator" (whichever the machine has), or a torch device such as "cuda", "cuda:1" or "mps".

    Raises:
        DeviceMissing: the machine doesn't have it.
        ValueError: it doesn't name a device that can run networks.
    """
    here = accelerator()
    if device == "accelerator" or (here is not None and device == here):
        if here is None:
            raise DeviceMissing("device='accelerator': this machine has no accelerator that torch can use.")
        return here
    try:
        wanted = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={device!r} must be 'cpu', 'accelerator' or a device of torch such as 'cuda'."
        ) from error
    if wanted.type == "cpu":
        return CPU
    if wanted.type == "meta":
        raise ValueError("device='meta' computes nothing; it must be 'cpu', 'accelerator' or such as 'cuda'.")
    there = [] if here in (None, DEVICE) else [f"{here.type}:{i}" for i in range(torch.accelerator.device_count())]
    index = wanted.index if wanted.index is not None else here.index if here is not None else 0
    if f"{wanted.type}:{index}" not in there:
        raise DeviceMissing(f"device={str(device)!r} is not there; this machine has {', '.join(['cpu', *there])}.")
    return torch.device(wanted.type, index)


def is_accelerator(device: torch.device) -> bool:
    """Tell whether calls on a device only launch work; False for the CPU."""
    return device.type != "cpu" or (active() is not None and device == DEVICE)


def of(*things) -> torch.device:
    """Return the device of tensors, networks or engines, also nested ones: the first accelerator, else the CPU.

    Inside `stand_in`, tensors on the CPU count as the stand-in's.
    """
    there = []
    for thing in tree_leaves(things):
        tensors = [*thing.parameters(), *thing.buffers()] if isinstance(thing, nn.Module) else [thing]
        there += [tensor.device for tensor in tensors if isinstance(getattr(tensor, "device", None), torch.device)]
    if active() and there:
        return DEVICE
    return next((found for found in there if found.type not in ("cpu", "meta")), CPU)
