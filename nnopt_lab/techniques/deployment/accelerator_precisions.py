"""Precisions on an accelerator: their number formats, their memory layouts, and the devices that support them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import Engine, EngineUnavailable
from nnopt_lab.workbench import device

DTYPES = {"float32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
Maker = Callable[[nn.Module, Sequence[Tensor]], Engine]


def require_feature(here: torch.device, feature: str) -> None:
    """Raise `EngineUnavailable` where an accelerator lacks a precision or another feature of `device.unavailable`."""
    why = None if feature == "float32" else device.unavailable(here, feature)
    if why:
        raise EngineUnavailable(why)


def outside_inference_mode(run: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Wrap `run` to suspend inference mode, in which torch can't record graphs that training shares, nor take views of
    quantized and sparse weights (pytorch/pytorch#170419)."""

    def outside(x: Tensor) -> Tensor:
        with device.outside_inference_mode():
            return run(x.clone() if x.is_inference() else x)

    return outside


def layout_of(precision: str) -> torch.memory_format:
    """Choose channels last, which tensor cores prefer, except for float32, which they don't compute."""
    return torch.contiguous_format if precision == "float32" else torch.channels_last
