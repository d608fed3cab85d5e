"""Training the integer model: every forward pass rounds, every backward pass looks through the rounding.

`prepare` puts quantisers on the weights and inputs of a network's layers, `training.fit` trains it as any other, and
`make_permanent` leaves weights that lie on their grids. What is trained are floats; what the layers see are these,
rounded.

Sources: Bengio et al. 2013, "Estimating or Propagating Gradients Through Stochastic Neurons" (straight-through
gradient); Esser et al. 2020, "Learned Step Size Quantization" (LSQ); Rastegari et al. 2016, "XNOR-Net" (binary); Li &
Liu 2016, "Ternary Weight Networks".
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nnopt_lab.techniques.quantization import Grid, grid_of, grid_of_range, integer_range
from nnopt_lab.techniques.quantization.observers import traffic

METHODS = ("min-max", "lsq")
CODES = ("binary", "ternary")


class MinMaxWeight(nn.Module):
    """Symmetric grid up to the largest magnitude that the weight has just now; straight-through gradient."""

    def __init__(self, bits: int):
        super().__init__()
        self.bits = bits

    def forward(self, weight: Tensor) -> Tensor:
        return _straight_through(weight, self.grid(weight))

    def grid(self, weight: Tensor) -> Grid:
        """The grid on which `forward` puts `weight`."""
        return grid_of(weight, self.bits)


class MinMaxInput(nn.Module):
    """Affine grid over a moving average of the batches' ranges, which follows them in training mode only.

    Args:
        bits: 1 to 16.
        example: float, the range to start from.
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
        """The grid on which `forward` puts any input."""
        return grid_of_range(*self.range, self.bits)


class LearnedStep(nn.Module):
    """LSQ: x̂ = step · round(clip(x/step, low, high)), where the step is trained with the weights.

    Args:
        bits: 1 to 16; 2 to 16 where signed.
        example: float, what the step starts from: 2·mean|x|/√high.
        count: N of the gradient scale 1/√(N · high): how many weights, or activations of one picture, share the step.
        signed: q from −2^(bits−1) to 2^(bits−1) − 1, else 0 to 2^bits − 1.
    """

    def __init__(self, bits: int, example: Tensor, count: int, signed: bool = True):
        super().__init__()
        self.low, self.high = integer_range(bits, signed=signed)
        if self.high < 1:
            raise ValueError(f"bits={bits} leaves no positive value; signed grids need at least 2.")
        self.gradient_scale = 1 / math.sqrt(count * self.high)
        start = 2 * example.detach().abs().mean() / math.sqrt(self.high)
        self.step = nn.Parameter(start.clamp(min=1e-8))

    def forward(self, x: Tensor) -> Tensor:
        return learned_step(x, self.step.abs(), self.low, self.high, self.gradient_scale)

    def grid(self, x: Tensor | None = None) -> Grid:
        """The grid on which `forward` puts any tensor."""
        return Grid(self.step.detach().abs(), torch.zeros((), dtype=torch.int32), self.low, self.high)


class CodedWeight(nn.Module):
    """Binary or ternary weights, ±α or ±α and 0, with the α that is nearest in squares; straight-through gradient."""

    def __init__(self, code: str):
        super().__init__()
        self.codes = {"binary": binary, "ternary": ternary}[code]

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.codes(weight.detach()) - weight).detach()

    def grid(self, weight: Tensor) -> Grid:
        """The grid −α, 0, α; not the nearest value is taken from it, but the one that `forward` says."""
        alpha = self.codes(weight.detach()).abs().max()
        return Grid(alpha, torch.zeros((), dtype=torch.int32), -1, 1)


def learned_step(x: Tensor, step: Tensor, low: int, high: int, gradient_scale: float = 1.0) -> Tensor:
    """step · round(clip(x/step, low, high)) with LSQ's gradients (Esser et al. 2020, eq. 1 to 3 and appendix B).

    The gradient of x is 1 inside the range, 0 outside. That of the step, for each x, is round(x/step) − x/step inside,
    `low` or `high` outside, times `gradient_scale`. (One kernel, `torch._fake_quantize_learnable_per_tensor_affine`,
    does the same, but for what lies within half a step beyond the ends: it rounds before it looks.)

    Args:
        x: float, any shape.
        step: float [], above 0.
        low, high: the range of the whole numbers.
    """
    step = (step - gradient_scale * step).detach() + gradient_scale * step  # the value of step, a smaller gradient
    ratio = (x / step).clamp(low, high)
    return (ratio + (ratio.round() - ratio).detach()) * step


def binary(weight: Tensor) -> Tensor:
    """sign(w) · mean|w|, the best ±α for all weights of a layer; zero counts as positive (XNOR-Net, eq. 6)."""
    return torch.where(weight < 0, -1.0, 1.0) * weight.abs().mean()


def ternary(weight: Tensor) -> Tensor:
    """0 where |w| ≤ 0.7·mean|w|, else ±α, the mean magnitude of the others (Li & Liu 2016, eq. 5 and 6)."""
    large = weight.abs() > 0.7 * weight.abs().mean()
    alpha = weight.abs()[large].mean() if large.any() else 0.0
    return weight.sign() * large * alpha


def prepare(
    model: nn.Module,
    batch: Tensor,
    weights: int | str | None = 4,
    activations: int | None = 4,
    *,
    method: str = "lsq",
    ends: int | None = 8,
) -> nn.Module:
    """Quantise the weights and the inputs of all convolutions and linear layers while it trains; in place.

    One grid for each tensor. Make the optimizer afterwards: LSQ's steps are new parameters. Returns the model.

    Args:
        model: trained in float, preferably.
        batch: inputs on which the ranges or steps of the layers' inputs start, some hundred.
        weights: bits, 2 to 16, or "binary" or "ternary"; None leaves floats.
        activations: bits, 2 to 16, of the layers' inputs, signed where `batch` has negative ones; None leaves floats.
        method: "min-max" or "lsq".
        ends: bits of the first and the last layer, weights and inputs; None treats them as the others. What is left in
            float stays so in all layers.

    Raises:
        ValueError: an argument is out of its range, or the model has no such layer, or is prepared already.
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} must be one of {', '.join(METHODS)}.")
    for name, bits in {"weights": weights, "activations": activations, "ends": ends}.items():
        allowed = bits is None or (isinstance(bits, int) and not isinstance(bits, bool) and 2 <= bits <= 16)
        if not allowed and not (name == "weights" and bits in CODES):
            raise ValueError(f"{name}={bits!r} must be 2 to 16{', binary, ternary' * (name == 'weights')} or None.")
    inputs = {model.get_submodule(name): read for name, (read, _) in traffic(model, batch).items()}
    if not inputs or any(parametrize.is_parametrized(layer) for layer in inputs):
        raise ValueError("model has no convolution or linear layer that could be prepared, or it has been prepared.")
    for layer, x in inputs.items():
        at_an_end = ends is not None and layer in (next(iter(inputs)), next(reversed(inputs)))
        if weights is not None:
            quantizer = _weight_quantizer(ends if at_an_end else weights, layer.weight, method)
            parametrize.register_parametrization(layer, "weight", quantizer)
        if activations is not None:
            layer.input_quantizer = _input_quantizer(ends if at_an_end else activations, x, method)
            layer.register_forward_pre_hook(_quantize_input)
    return model


@torch.no_grad()
def make_permanent(model: nn.Module) -> nn.Module:
    """After training: weights become plain parameters on their grids, the inputs' grids are fixed. Returns the model.

    Each weight's grid stays as `layer.weight_grid`, each input's as `layer.input_quantizer.grid()`: with them,
    `quantization.quantize` gives the whole numbers.
    """
    for layer in model.modules():
        if parametrize.is_parametrized(layer, "weight"):
            layer.weight_grid = layer.parametrizations.weight[0].grid(layer.parametrizations.weight.original)
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        if hasattr(layer, "input_quantizer"):
            layer.input_quantizer.requires_grad_(False).momentum = 0
    return model


def _straight_through(x: Tensor, grid: Grid) -> Tensor:
    # Bit for bit `quantization.fake_quantize`, in one kernel.
    return torch.fake_quantize_per_tensor_affine(x, grid.scale, grid.zero_point, grid.low, grid.high)


def _weight_quantizer(bits: int | str, weight: Tensor, method: str) -> nn.Module:
    if bits in CODES:
        return CodedWeight(bits)
    return MinMaxWeight(bits) if method == "min-max" else LearnedStep(bits, weight, weight.numel())


def _input_quantizer(bits: int, x: Tensor, method: str) -> nn.Module:
    return MinMaxInput(bits, x) if method == "min-max" else LearnedStep(bits, x, x[0].numel(), bool(x.min() < 0))


def _quantize_input(layer: nn.Module, inputs: tuple) -> tuple:
    return layer.input_quantizer(inputs[0]), *inputs[1:]
