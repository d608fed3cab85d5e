"""Mixed precision: what each number format can hold, and a training step in which several of them meet.

The article's section 5 names it as an outlook: floats and integers mixed in training. A processor without instructions
for a format is slow in it, so the formats are also *emulated*: products and sums stay in float32, and what goes into a
layer, comes out of it and flows back through it is rounded. A unit that multiplies fp16, bf16 or fp8 does the same: it
adds in float32 and rounds the result.

Sources: IEEE 754-2019; Micikevicius et al. 2018, "Mixed Precision Training" (loss scaling, master weights); Kalamkar et
al. 2019, "A Study of BFLOAT16 for Deep Learning Training"; Micikevicius et al. 2022, "FP8 Formats for Deep Learning".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim import Optimizer

from nnopt_lab.techniques.quantization import QUANTIZABLE


@dataclass(frozen=True)
class Format:
    """A binary floating-point format: one sign bit, then the exponent, then the mantissa.

    A normal number is ±(1 + mantissa/2^mantissa_bits) · 2^exponent, exponent from `smallest_exponent` upwards. Below
    that come the subnormal ones, without the 1, as far apart as the smallest normal numbers, down to 0.

    Attributes:
        name: as in `FORMATS`.
        exponent_bits, mantissa_bits: how many of each.
        dtype: torch's; float32 for tf32, of which it uses the first 19 bits.
        infinities: False where all exponents stand for numbers, and only the code of ones alone for NaN.
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
        """Of a normal number: −126 for float32, −14 for fp16."""
        return 2 - 2 ** (self.exponent_bits - 1)

    @property
    def smallest(self) -> float:
        """The smallest positive number, a subnormal one."""
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
    """How far apart the format's numbers are where `x` lies: float64, the shape of `x`, a power of two each."""
    exponent = torch.where(x == 0, format.smallest_exponent, torch.frexp(x.double()).exponent - 1)
    exponent = exponent.clamp(min=format.smallest_exponent) - format.mantissa_bits
    return 2.0 ** exponent.double()


def round_to(x: Tensor, format: Format) -> Tensor:
    """The format's number nearest to each of `x`, as float32; of two equally near the one with an even mantissa.

    What rounds to more than `format.largest` becomes infinite, or `format.largest` where there are no infinities. Up to
    there it is bit for bit what torch's casts from float32 give.

    Args:
        x: float32, any shape.

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
    """The bits that stand for `x`, rounded to the format: sign, exponent and mantissa, the highest bit first."""
    number = round_to(torch.tensor(float(x)), format).to(format.dtype)
    width = 8 * number.element_size()
    whole = number.view({8: torch.uint8, 16: torch.int16, 32: torch.int32}[width]).item() % 2**width
    text = f"{whole:0{width}b}"
    return text[0], text[1 : 1 + format.exponent_bits], text[1 + format.exponent_bits : format.bits]


def largest_shift(x: Tensor, format: Format) -> int:
    """The largest whole k at which no |x| · 2^k is beyond the format's largest number; 0 where all of `x` is zero."""
    largest = x.abs().max().item()
    return math.floor(math.log2(format.largest / largest)) if 0 < largest < math.inf else 0


class Rounding(nn.Module):
    """Rounds what passes through it forwards to one format, and the gradient that comes back to another; float32.

    Args:
        forward, backward: formats, None for float32 as it is.
        scaled: multiply each tensor by 2^`largest_shift` before it is rounded, and divide afterwards, as fp8 needs.

    Raises:
        ValueError: a format is something else, its name for example.
    """

    def __init__(self, forward: Format | None, backward: Format | None, scaled: bool = False):
        super().__init__()
        for name, format in (("forward", forward), ("backward", backward)):
            if not isinstance(format, Format | None):
                raise ValueError(f"{name}={format!r} must be one of the FORMATS, as FORMATS['bf16'], or None.")
        self.formats, self.scaled = (forward, backward), scaled

    def forward(self, x: Tensor) -> Tensor:
        return _Round.apply(x, *self.formats, self.scaled)


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, forward, backward, scaled):
        ctx.backward_format, ctx.scaled = backward, scaled
        return _cast(x, forward, scaled)

    @staticmethod
    def backward(ctx, gradient):
        return _cast(gradient, ctx.backward_format, ctx.scaled), None, None, None


def _cast(x: Tensor, format: Format | None, scaled: bool) -> Tensor:
    if format is None or format.dtype == torch.float32:
        return x.clone() if format is None else round_to(x, format)
    scale = 2.0 ** min(largest_shift(x, format), 127) if scaled else 1.0  # 2^128 is no float32
    x = x * scale
    if not format.infinities:  # what a cast makes of more than it holds has changed from torch to torch
        x = x.clamp(-format.largest, format.largest)
    return x.to(format.dtype).float() / scale


def emulate(model: nn.Module, forward: Format | None, backward: Format | None, scaled: bool = False) -> nn.Module:
    """Let all convolutions and linear layers compute as if in the given formats; in place. Returns the model.

    Their inputs, weights, biases and outputs are rounded to `forward`, and the gradients of all of these to `backward`.
    The parameters themselves stay float32: they are the master weights. Make the optimizer afterwards.
    """
    rounding = Rounding(forward, backward, scaled)
    for layer in [module for module in model.modules() if isinstance(module, QUANTIZABLE)]:
        for name in ("weight",) if layer.bias is None else ("weight", "bias"):
            parametrize.register_parametrization(layer, name, rounding)
        layer.register_forward_pre_hook(lambda layer, inputs: (rounding(inputs[0]), *inputs[1:]))
        layer.register_forward_hook(lambda layer, inputs, output: rounding(output))
    return model


def step(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    optimizer: Optimizer,
    *,
    dtype: torch.dtype | None = None,
    scaler: torch.amp.GradScaler | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy,
) -> float:
    """One training step in mixed precision; returns the loss. For `torch.float16` give a scaler.

    `training.fit` hands the loss straight to autograd; here a scaler stands between them, hence a step of its own.

    Args:
        dtype: of the layers under `torch.autocast`, None for none.
        scaler: multiplies the loss before the gradients are made, divides them again, and leaves out steps in which
            one of them is infinite or NaN.
        loss: function (logits, targets) → scalar.
    """
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(inputs.device.type, dtype or torch.bfloat16, enabled=dtype is not None):
        value = loss(model(inputs), targets)
    scaler = scaler or torch.amp.GradScaler(inputs.device.type, enabled=False)
    scaler.scale(value).backward()
    scaler.step(optimizer)
    scaler.update()
    return value.item()
