"""Whether an NVIDIA GPU may compute float32 products in tf32.

tf32 keeps float32's range and rounds the factors to 10 bits after the point, so that tensor cores can multiply them. By
default torch does so in convolutions and not in products of matrices.
"""

from collections.abc import Callable

import torch
from torch import Tensor

_SWITCHES = (torch.backends.cuda.matmul, torch.backends.cudnn)
# torch's newer switches, one per kind of operator; the older ones cannot be read where these differ from each other.
_DETAILED = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)


class float32_products:
    """Inside the block float32 products are computed in tf32, or in full float32; afterwards all is as it was.

    Args:
        tf32: which of the two. It makes no difference on the CPU, nor to products of other formats.
    """

    def __init__(self, tf32: bool):
        self.tf32 = tf32

    def __enter__(self):
        self._detailed = None
        try:
            self._before = [switch.allow_tf32 for switch in _SWITCHES]
        except RuntimeError:
            self._before, self._detailed = None, [switch.fp32_precision for switch in _DETAILED]
        self._set([self.tf32] * len(_SWITCHES))
        return self

    def __exit__(self, *_):
        if self._before:
            self._set(self._before)
        else:
            for switch, precision in zip(_DETAILED, self._detailed, strict=True):
                switch.fp32_precision = precision

    def _set(self, values: list[bool]) -> None:
        for switch, value in zip(_SWITCHES, values, strict=True):
            if self._before is None or switch.allow_tf32 != value:
                switch.allow_tf32 = value


def computing(run: Callable[[Tensor], Tensor], precision: str) -> Callable[[Tensor], Tensor]:
    """Wrap `run` so that its float32 products are computed in tf32, or in full float32; other precisions have none.

    Args:
        precision: "tf32", "float32", or another one, for which `run` is returned as it is: each switch takes a
            microsecond, which a small network on an accelerator would feel.
    """
    if precision not in ("tf32", "float32"):
        return run

    def switched(x: Tensor) -> Tensor:
        with float32_products(precision == "tf32"):
            return run(x)

    return switched
