"""Describe binary floating-point formats, and round numbers to them.

Sources: IEEE 754-2019; Kalamkar et al. 2019, "A Study of BFLOAT16 for Deep Learning Training",
https://arxiv.org/abs/1905.12322; Micikevicius et al. 2022, "FP8 Formats for Deep Learning",
https://arxiv.org/abs/2209.05433
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Format:
    """A binary floating-point format: one sign bit, then the exponent, then the mantissa.

    A normal number is ±(1 + mantissa/2^mantissa_bits) · 2^exponent, with an exponent of at least `smallest_exponent`.
    Below are the subnormal numbers, without the 1, down to 0, with the spacing of the smallest normal numbers.

    Attributes:
        name: as in `FORMATS`.
        exponent_bits, mantissa_bits: numbers of bits.
        dtype: of torch; float32 for tf32, which uses its first 19 bits.
        infinities: False if all exponents represent numbers, and only the code of all ones is NaN.
    """

    name: str
    exponent_bits: int
    mantissa_bits: int
    dtype: torch.dtype
    infinities: bool = True

    @property
    def bits(self) -> int:
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def smallest_exponent(self) -> int:
        """Smallest exponent of a normal number: −126 for float32, −14 for fp16."""
        return 2 - 2 ** (self.exponent_bits - 1)

    @property
    def smallest(self) -> float:
        """The smallest positive number, which is subnormal."""
        return 2.0 ** (self.smallest_exponent - self.mantissa_bits)

    @property
    def largest(self) -> float:
        """The largest finite number."""
        below_two = 2 - 2.0**-self.mantissa_bits * (1 if self.infinities else 2)
        return below_two * 2.0 ** (1 - self.smallest_exponent + (not self.infinities))


FORMATS = {
    format.name: format
    for format in (
        Format("float32", 8, 23, torch.float32),
        Format("tf32", 8, 10, torch.float32),
        Format("bf16", 8, 7, torch.bfloat16),
        Format("fp16", 5, 10, torch.float16),
        Format("fp8 e5m2", 5, 2, torch.float8_e5m2),
        Format("fp8 e4m3", 4, 3, torch.float8_e4m3fn, infinities=False),
    )
}


def spacing(x: Tensor, format: Format) -> Tensor:
    """Distance between neighbouring numbers of the format at `x`: float64, the shape of `x`, each a power of two."""
    exponent = torch.where(x == 0, format.smallest_exponent, torch.frexp(x.double()).exponent - 1)
    exponent = exponent.clamp(min=format.smallest_exponent) - format.mantissa_bits
    return 2.0 ** exponent.double()


def round_to(x: Tensor, format: Format) -> Tensor:
    """Round to the nearest number of the format, ties to an even mantissa, as float32.

    Results above `format.largest` become infinite, or `format.largest` in formats without infinities. All other results
    equal torch's casts from float32 bit for bit.

    Args:
        x: float32, any shape.
        format: one of `FORMATS`.

    Returns:
        float32, the shape of `x`.

    Raises:
        ValueError: `x` has another dtype.
    """
    if x.dtype != torch.float32:
        raise ValueError(f"x has dtype {x.dtype}; it must be float32.")
    step = spacing(x, format)
    rounded = (x / step).round() * step
    beyond = torch.full_like(rounded, math.inf if format.infinities else format.largest).copysign(rounded)
    return torch.where(rounded.abs() > format.largest, beyond, rounded).float()


def bits_of(x: float, format: Format) -> tuple[str, str, str]:
    """The bits of `x`, rounded to the format: sign, exponent and mantissa, highest bit first."""
    number = round_to(torch.tensor(float(x)), format).to(format.dtype)
    width = 8 * number.element_size()
    whole = number.view({8: torch.uint8, 16: torch.int16, 32: torch.int32}[width]).item() % 2**width
    text = f"{whole:0{width}b}"
    return text[0], text[1 : 1 + format.exponent_bits], text[1 + format.exponent_bits : format.bits]


def largest_shift(x: Tensor, format: Format) -> int:
    """The largest integer k for which no |x| · 2^k exceeds the format's largest number; 0 if `x` is all zero."""
    largest = x.abs().max().item()
    return math.floor(math.log2(format.largest / largest)) if 0 < largest < math.inf else 0
