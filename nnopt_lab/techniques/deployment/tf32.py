"""Choose between tf32 and full float32 on NVIDIA GPUs.

tf32 keeps float32's range and rounds the factors of a product to 10 fraction bits, so that tensor cores can multiply
them. By default, torch uses tf32 for convolutions, but not for matrix products.
"""

from collections.abc import Callable

import torch
from torch import Tensor

_SWITCHES = (torch.backends.cuda.matmul, torch.backends.cudnn)
# torch's newer switches, one per kind of operator. The older ones can't be read if these differ from each other.
_DETAILED = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)


class float32_products:
    """Compute float32 products in tf32 or in full float32 inside the block; the previous settings are restored.

    Args:
        tf32: True for tf32, False for full float32. Neither affects the CPU or products in other formats.
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
    """Wrap `run` so that it computes float32 products in tf32 or in full float32.

    Args:
        run: the function to wrap.
        precision: "tf32" or "float32"; for any other precision, `run` is returned unchanged. (The switches take
            several microseconds, which matter to a small network on an accelerator.)
    """
    if precision not in ("tf32", "float32"):
        return run

    def switched(x: Tensor) -> Tensor:
        with float32_products(precision == "tf32"):
            return run(x)

    return switched
