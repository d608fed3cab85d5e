"""Choose the device to train on."""

import torch
from torch import nn

from nnopt_lab.workbench import device as devices


def best_device() -> torch.device:
    """The accelerator that torch finds (CUDA, MPS, …), else the CPU."""
    return devices.accelerator() or devices.CPU


def device_of(model: nn.Module) -> torch.device:
    """Device of a model's parameters; the CPU if it has none."""
    return next((p.device for p in model.parameters()), devices.CPU)
