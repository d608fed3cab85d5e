"""Quantise a layer's weights or inputs during training: min-max grids, learned steps, binary and ternary weights.

Sources: Esser et al. 2020, "Learned Step Size Quantization", https://arxiv.org/abs/1902.08153 (LSQ); Rastegari et al.
2016, "XNOR-Net", https://arxiv.org/abs/1603.05279 (binary); Li & Liu 2016, "Ternary Weight Networks",
https://arxiv.org/abs/1605.04711
"""

import math

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.quantization.grids import Grid, grid_of, grid_of_range, integer_range


class MinMaxWeight(nn.Module):
    """Symmetric grid up to the weight's current largest magnitude; straight-through gradient."""

    def __init__(self, bits: int):
        super().__init__()
        self.bits = bits

    def forward(self, weight: Tensor) -> Tensor:
        return _straight_through(weight, self.grid(weight))

    def grid(self, weight: Tensor) -> Grid:
        """The grid to which `forward` rounds `weight`."""
        return grid_of(weight, self.bits)


class MinMaxInput(nn.Module):
    """Affine grid over a moving average of the batches' ranges, updated in training mode only.

    Args:
        bits: 1 to 16.
        example: float, any shape; its range is the initial one.
        momentum: weight of a new batch, above 0, at most 1.
    """

    def __init__(self, bits: int, example: Tensor, momentum: float = 0.05):
        super().__init__()
        self.bits, self.momentum = bits, momentum
        self.register_buffer("range", torch.stack(example.detach().aminmax()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.range.lerp_(torch.stack(x.detach().aminmax()), self.momentum)
        return _straight_through(x, self.grid())

    def grid(self, x: Tensor | None = None) -> Grid:
        """The grid to which `forward` rounds any input."""
        return grid_of_range(*self.range, self.bits)


class LearnedStep(nn.Module):
    """LSQ: x̂ = step · round(clip(x/step, low, high)), where the step is trained with the weights.

    Args:
        bits: 1 to 16, or 2 to 16 if signed.
        example: float, any shape; the initial step is 2·mean|x|/√high.
        count: N of the gradient scale 1/√(N · high): the number of weights, or of activations per picture, that share
            the step.
        signed: whether q goes from −2^(bits−1) to 2^(bits−1) − 1, instead of 0 to 2^bits − 1.

    Raises:
        ValueError: `bits` is out of range.
    """

    def __init__(self, bits: int, example: Tensor, count: int, signed: bool = True):
        super().__init__()
        self.low, self.high = integer_range(bits, signed=signed)
        if self.high < 1:
            raise ValueError(f"bits={bits} has no positive value; signed grids need at least 2 bits.")
        self.gradient_scale = 1 / math.sqrt(count * self.high)
        start = 2 * example.detach().abs().mean() / math.sqrt(self.high)
        self.step = nn.Parameter(start.clamp(min=1e-8))

    def forward(self, x: Tensor) -> Tensor:
        return learned_step(x, self.step.abs(), self.low, self.high, self.gradient_scale)

    def grid(self, x: Tensor | None = None) -> Grid:
        """The grid to which `forward` rounds any tensor."""
        return Grid(self.step.detach().abs(), torch.zeros((), dtype=torch.int32), self.low, self.high)


class CodedWeight(nn.Module):
    """Binary (±α) or ternary (±α, 0) weights, where α minimises the squared error; straight-through gradient."""

    def __init__(self, code: str):
        super().__init__()
        self.codes = {"binary": binary, "ternary": ternary}[code]

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.codes(weight.detach()) - weight).detach()

    def grid(self, weight: Tensor) -> Grid:
        """The grid −α, 0, α; `forward` does not necessarily choose its nearest value."""
        alpha = self.codes(weight.detach()).abs().max()
        return Grid(alpha, torch.zeros((), dtype=torch.int32), -1, 1)


def learned_step(x: Tensor, step: Tensor, low: int, high: int, gradient_scale: float = 1.0) -> Tensor:
    """Compute step · round(clip(x/step, low, high)) with LSQ's gradients (Esser et al. 2020, eq. 1 to 3, appendix B).

    The gradient of x is 1 inside the range and 0 outside. The gradient of the step is, per x, round(x/step) − x/step
    inside and `low` or `high` outside, times `gradient_scale`. (The kernel
    `torch._fake_quantize_learnable_per_tensor_affine` differs within half a step beyond the ends, because it rounds
    before it compares.)

    Args:
        x: float, any shape.
        step: float [], above 0.
        low, high: the range of the integers.
        gradient_scale: factor of the step's gradient.
    """
    step = (step - gradient_scale * step).detach() + gradient_scale * step  # the value of step, a smaller gradient
    ratio = (x / step).clamp(low, high)
    return (ratio + (ratio.round() - ratio).detach()) * step


def binary(weight: Tensor) -> Tensor:
    """Compute sign(w) · mean|w|, the best ±α for all weights of a layer; zero counts as positive (XNOR-Net, eq. 6)."""
    return torch.where(weight < 0, -1.0, 1.0) * weight.abs().mean()


def ternary(weight: Tensor) -> Tensor:
    """Round to 0 if |w| ≤ 0.7·mean|w|, else to ±α, the mean magnitude of the others (Li & Liu 2016, eq. 5 and 6)."""
    large = weight.abs() > 0.7 * weight.abs().mean()
    alpha = weight.abs()[large].mean() if large.any() else 0.0
    return weight.sign() * large * alpha


def _straight_through(x: Tensor, grid: Grid) -> Tensor:
    # Bit for bit `quantization.fake_quantize`, in one kernel.
    return torch.fake_quantize_per_tensor_affine(x, grid.scale, grid.zero_point, grid.low, grid.high)
