"""A network without floats: from the first tensor to the last everything is a whole number.

Each real number is scale · (q − z), z the zero point. Multiplied out, a layer's Σ w·x + b is s_w·s_x times
Σ q_w·(q_x − z_x) + q_b: products of 8-bit numbers whose sum 32 bits hold exactly, with the bias at the scale s_w·s_x.
There remains the step from that scale to the one of the layer's output: a product with a real number, most often far
below 1. It is done as a product with a 32-bit whole number and a shift to the right.

Activations lie in memory as [C, N, H, W], the channel first, so that a layer is one product of matrices, weight [out,
inputs] times patches [inputs, N·H·W], and each row of the result has one multiplier.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", sections 2.2 to 2.4. Rounding is TensorFlow Lite's with TFLITE_SINGLE_ROUNDING: the 64-bit product is
rounded once, half up (gemmlowp, of which the paper speaks, rounds twice and may be off by one).
"""

import math
from functools import reduce

import torch
from torch import Tensor, fx, nn
from torch.nn.functional import pad, relu

from nnopt_lab.techniques.quantization import Grid, dequantize, grid_of_range, quantize

LARGEST_SHIFT = 62  # so that product and rounding term together stay below 2^63
LARGEST_BIAS = 2**30  # and as much for the products
PART = 2**14  # sums requantised at a time: their 64-bit products stay in the cache


def fixed_point(real: float) -> tuple[int, int]:
    """The whole numbers (multiplier, shift) for which multiplier / 2^shift is nearest to `real`.

    The multiplier lies in [2^30, 2^31), so that the relative error is at most 2^−31. Below 2^−32, where any 32-bit sum
    rounds to zero, the shift stays at 62 and the multiplier becomes smaller.

    Raises:
        ValueError: `real` is not above 0 and below 2^30.
    """
    if not 0 < real < 2**30:
        raise ValueError(f"real={real} must be above 0 and below 2^30.")
    shift = min(31 - math.frexp(real)[1], LARGEST_SHIFT)
    multiplier = round(math.ldexp(real, shift))
    return (2**30, shift - 1) if multiplier == 2**31 else (multiplier, shift)


def requantize(
    sums: Tensor, multiplier: Tensor, shift: Tensor, zero_point: int, low: int = 0, high: int = 255
) -> Tensor:
    """sums · multiplier / 2^shift, rounded half up, plus zero_point, clamped to [low, high].

    Args:
        sums: int32 [C, …].
        multiplier, shift: integers as from `fixed_point`, of a shape that broadcasts against `sums`.
        zero_point, low, high: 0 to 255, of the result.

    Returns:
        uint8, the shape of `sums`.
    """
    shift = shift.long()
    scaled = sums.long().mul_(multiplier).add_(1 << (shift - 1)).bitwise_right_shift_(shift)
    return scaled.add_(zero_point).clamp_(low, high).to(torch.uint8)


class IntegerLayer(nn.Module):
    """A convolution or a linear layer, with what follows up to the next one (ReLU, max-pooling), on uint8 activations.

    Args:
        layer: nn.Linear, or nn.Conv2d with groups=1 and zeros as padding.
        source, target: affine grids of at most 8 bits, of what comes in and what goes out.
        relu: whether what goes out is clamped at its zero.
        pools: the max-poolings. They take the largest of the sums: a step that never decreases anything, like
            requantising or ReLU, may come before or after the maximum, and after it there are fewer numbers left.

    Raises:
        ValueError: a layer or grid is of another kind, or 32 bits might not hold a sum.
    """

    def __init__(self, layer: nn.Conv2d | nn.Linear, source: Grid, target: Grid, relu=False, pools=()):
        super().__init__()
        if isinstance(layer, nn.Conv2d) and (
            layer.groups != 1 or layer.padding_mode != "zeros" or isinstance(layer.padding, str)
        ):
            raise ValueError(f"{layer} can't be converted: it needs groups=1 and a number of zeros as padding.")
        if any(pool.dilation != 1 or pool.ceil_mode or pool.return_indices for pool in pools):
            raise ValueError(f"{pools} can't be converted: only kernel_size, stride and padding are known.")
        if any(grid.dtype != torch.uint8 or grid.scale.dim() for grid in (source, target)):
            raise ValueError("source and target must be affine grids of at most 8 bits with one scale each.")
        weight = layer.weight.detach().flatten(1)
        if weight.shape[1] * 127 * 255 > 2**31 - 1 - LARGEST_BIAS:
            raise ValueError(f"{layer} sums {weight.shape[1]:,} products, which 32 bits may not hold.")
        bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach()
        # A channel of tiny weights gets steps so large that its bias can still be counted in them.
        largest = torch.maximum(weight.abs().amax(1), bias.abs() / source.scale * (127 / LARGEST_BIAS))[:, None]
        grid = grid_of_range(-largest, largest, symmetric=True)
        scale = source.scale.double() * grid.scale.double()
        q, bias = quantize(weight, grid), (bias[:, None] / scale).round().to(torch.int32)
        numbers = [fixed_point(real) for real in (scale / target.scale).flatten().tolist()]
        multiplier, shift = torch.tensor(numbers).T[..., None]
        self.register_buffer("weight", q)  # int8 [out, inputs]
        self.register_buffer("bias", bias)  # int32 [out, 1], as the next two
        self.register_buffer("multiplier", multiplier.to(torch.int32))
        self.register_buffer("shift", shift.to(torch.int8))
        self.register_buffer("zero_points", torch.stack([source.zero_point, target.zero_point]).to(torch.uint8))
        # Σ q_w·(q_x − z) + q_b = Σ q_w·(q_x − 128) + [q_b + (128 − z)·Σ q_w]: the bracket is known beforehand.
        zeros_part = (128 - source.zero_point) * q.sum(1, keepdim=True, dtype=torch.int32)
        self.register_buffer("folded", bias + zeros_part, persistent=False)
        self.window = _window(layer) if isinstance(layer, nn.Conv2d) else None
        self.pools = [tuple(zip(*map(_pair, (p.kernel_size, p.stride, p.padding)), strict=True)) for p in pools]
        self.low = max(target.low, int(target.zero_point)) if relu else target.low
        self.high = target.high

    def sums(self, q: Tensor) -> Tensor:
        """The exact sums Σ q_w·(q_x − z) + q_b: uint8 [C, N, H, W] or [inputs, N] → int32 [out, N, …]."""
        # 128 less is one bit turned over: what was 0 to 255 is −128 to 127, which _int_mm multiplies.
        q = (q ^ 128).view(torch.int8)
        shape = (q.shape[-1],)
        if self.window:
            q = _patches(q, *self.window, int(self.zero_points[0]) - 128)
            shape = q.shape[3:]
        columns = q.reshape(self.weight.shape[1], -1)
        return torch._int_mm(self.weight, columns).add_(self.folded).view(-1, *shape)

    def forward(self, q: Tensor) -> Tensor:
        """uint8 [C, N, H, W] or [inputs, N] → uint8 [out, N, H', W'] or [out, N]."""
        sums = self.sums(q)
        for pool in self.pools:
            for axis, (size, stride, padding) in zip((2, 3), pool, strict=True):
                sums = _maximum(sums, axis, size, stride, padding)
        to_target = (self.multiplier, self.shift, int(self.zero_points[1]), self.low, self.high)
        parts = [requantize(part, *to_target) for part in sums.flatten(1).split(max(1, PART // len(sums)), 1)]
        return torch.cat(parts, 1).view(sums.shape)


class Flatten(nn.Module):
    """uint8 [C, N, H, W] → uint8 [C·H·W, N]; what is flat already stays."""

    def forward(self, q: Tensor) -> Tensor:
        return q.permute(0, 2, 3, 1).flatten(0, 2) if q.dim() == 4 else q


class IntegerNetwork(nn.Module):
    """A chain of integer layers between two grids; made by `convert`. Its file holds what its layers need, and no more.

    Args:
        layers: of this module.
        source, target: grids of the input and of the output.
    """

    def __init__(self, layers: list[nn.Module], source: Grid, target: Grid):
        super().__init__()
        self.layers, self.source, self.target = nn.Sequential(*layers), source, target
        self.register_buffer("scales", torch.stack([source.scale, target.scale]))

    def integers(self, q: Tensor) -> Tensor:
        """The network itself: uint8 [N, …] on the grid `source` → uint8 [N, classes] on the grid `target`."""
        return self.layers(q.transpose(0, 1)).transpose(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """For comparison with other networks: float [N, …] → quantised, `integers`, dequantised: float [N, classes]."""
        return dequantize(self.integers(quantize(x, self.source)), self.target)


def convert(model: nn.Module, grids: dict[str, Grid]) -> IntegerNetwork:
    """The network of whole numbers that computes what `model` does, as near as its grids allow.

    Args:
        model: a chain of Conv2d, Linear, ReLU, MaxPool2d and Flatten (Dropout and Identity are left out), such as
            `MyNet`; traced with `torch.fx`.
        grids: by name, from `observers.calibrate(model, …)`, 8 bits or fewer; used are those of "input" and of the last
            layer before each next Conv2d or Linear.

    Raises:
        ValueError: `model` has something else in it or is no chain, or a grid is missing.
    """
    groups = _groups(model)
    missing = {"input", *(group["name"] for group in groups)} - grids.keys()
    if missing:
        raise ValueError(f"grids has no entry for {', '.join(sorted(missing))}: make them with calibrate(model, …).")
    layers, source = [], grids["input"]
    for group in groups:
        target = grids[group["name"]]
        layers += [Flatten()] * group["flatten"]
        layers.append(IntegerLayer(group["layer"], source, target, group["relu"], group["pools"]))
        source = target
    return IntegerNetwork(layers, grids["input"], source)


def _groups(model: nn.Module) -> list[dict]:
    """Each Conv2d or Linear with what follows it up to the next one."""
    traced, groups, before, flat = fx.symbolic_trace(model), [], None, False
    for node in traced.graph.nodes:
        layer = traced.get_submodule(node.target) if node.op == "call_module" else None
        chained = (node.op == "placeholder" and before is None) or node.all_input_nodes == [before]
        if isinstance(layer, nn.Conv2d | nn.Linear) and chained:
            groups.append({"layer": layer, "relu": False, "pools": [], "flatten": flat})
            flat = False
        elif isinstance(layer, nn.MaxPool2d) and chained and groups and not flat:
            groups[-1]["pools"].append(layer)
        elif (isinstance(layer, nn.ReLU) or node.target in (torch.relu, relu, "relu")) and chained and groups:
            groups[-1]["relu"] = True
        elif _flattens(node, layer) and chained:
            flat = True
        elif not chained or not (node.op in ("placeholder", "output") or isinstance(layer, nn.Dropout | nn.Identity)):
            what = layer or node.target
            raise ValueError(
                f"model can't be converted at {node.name} ({what}): it must be a chain of Conv2d, Linear, ReLU, "
                "MaxPool2d and Flatten that begins with one of the first two."
            )
        if groups and layer is not None:
            groups[-1]["name"] = node.target
        before = node
    if not groups:
        raise ValueError("model has no Conv2d and no Linear: there is nothing to convert.")
    return groups


def _flattens(node: fx.Node, layer: nn.Module | None) -> bool:
    if isinstance(layer, nn.Flatten):
        return (layer.start_dim, layer.end_dim) == (1, -1)
    return node.target in (torch.flatten, "flatten") and (*node.args[1:], *node.kwargs.values()) == (1,)


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)


def _window(layer: nn.Conv2d) -> tuple[tuple[int, int], ...]:
    return layer.kernel_size, layer.stride, layer.padding, layer.dilation


def _patches(q: Tensor, size, stride, padding, dilation, zero: int) -> Tensor:
    """What a kernel sees at each place, a view [C, kh, kw, N, H', W'] of [C, N, H, W]; around the picture is `zero`."""
    q = pad(q, (padding[1], padding[1], padding[0], padding[0]), value=zero)
    spans = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    windows = q.unfold(2, spans[0], stride[0]).unfold(3, spans[1], stride[1])
    return windows[..., :: dilation[0], :: dilation[1]].permute(0, 4, 5, 1, 2, 3)


def _maximum(x: Tensor, axis: int, size: int, stride: int, padding: int) -> Tensor:
    """Largest of each `size` neighbours along one axis."""
    if padding:
        around = (0, 0) * (3 - axis) + (padding, padding)
        x = pad(x, around, value=torch.iinfo(x.dtype).min)
    count = (x.shape[axis] - size) // stride + 1
    step = [slice(None)] * axis
    return reduce(torch.maximum, (x[(*step, slice(i, i + (count - 1) * stride + 1, stride))] for i in range(size)))
