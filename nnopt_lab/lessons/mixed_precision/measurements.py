"""Lesson 11's measurement: a training step that `measure.latency` can time."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.quantization import precision


def training_step(
    net: nn.Module, labels: Tensor, dtype: torch.dtype | None = None, device: torch.device | str = "cpu"
) -> Callable[[Tensor], object]:
    """One training step of a copy of a network, as a function of its pictures.

    Args:
        net: a classifier; it stays as it is.
        labels: int64 [N]. The pictures are N or a multiple of N, with the same labels again.
        dtype: of autocast; None for float32.
        device: where the copy is, and the pictures will be.
    """
    worker = copy.deepcopy(net).to(device).train()
    optimizer = torch.optim.SGD(worker.parameters(), 1e-6)
    targets = labels.to(device)

    def step(x: Tensor):
        # `measure.latency` calls this in inference mode, where there are no gradients.
        with torch.inference_mode(False), torch.enable_grad():
            return precision.step(worker, x, targets.repeat(len(x) // len(targets)), optimizer, dtype=dtype)

    return step
