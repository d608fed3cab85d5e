"""Few bits after training: what rounding every weight to its nearest loses, and three ways to win it back.

No label is used, and pictures hardly: cross-layer equalisation needs none, bias correction the means of a batch,
AdaRound what each layer computes on them. The grids are those of `quantization`.

Sources: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction"; Nagel et al. 2020,
"Up or Down? Adaptive Rounding for Post-Training Quantization".
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.quantization import QUANTIZABLE, Grid, grid_of
from nnopt_lab.techniques.quantization.observers import traffic
from nnopt_lab.workbench.progress_bar import progress_bar

# A channel scaled by s > 0 leaves each of these scaled by s.
HOMOGENEOUS = (nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Dropout, nn.Identity)


def equalizing_factors(first: Tensor, second: Tensor) -> Tensor:
    """What each channel between two layers is divided by, so that both layers use the same range for it: float [C].

    s = √(r₁r₂)/r₂ (Nagel et al. 2019, eq. 11), where r₁ and r₂ are the largest magnitudes that the first layer writes
    the channel with and the second reads it with. 1 where one of them is zero.

    Args:
        first: weight [C, in, …].
        second: weight [out, C, …], or [out, C · positions] behind a flatten.

    Raises:
        ValueError: the second layer does not read the first one's channels.
    """
    channels, inputs = len(first), second.shape[1]
    if inputs % channels or (second.dim() > 2 and inputs != channels):
        raise ValueError(f"second has {inputs} inputs; it does not read the {channels} channels of first.")
    r1 = first.detach().abs().flatten(1).amax(1)
    r2 = second.detach().abs().transpose(0, 1).reshape(channels, -1).amax(1)
    factors = (r1 * r2).sqrt() / r2
    return torch.where((r1 > 0) & (r2 > 0), factors, 1.0)


@torch.no_grad()
def equalize(model: nn.Module, sweeps: int = 20) -> nn.Module:
    """Cross-layer equalisation of a chain of layers, in place: the same function, weights that fit one grid better.

    From each layer to the next, channel i is divided by sᵢ where it is written and multiplied where it is read. As a
    layer stands in two pairs, the pairs are gone through `sweeps` times. Returns the model.

    Args:
        model: convolutions (without groups) and linear layers, one behind the other, with ReLU, pooling, flatten and
            dropout between; the order in which the model holds them is taken for the order in which they run.

    Raises:
        ValueError: there is another kind of layer in it, or a layer does not read the channels of the one before.
    """
    leaves = [layer for layer in model.modules() if not list(layer.children())]
    layers = [layer for layer in leaves if isinstance(layer, QUANTIZABLE)]
    for layer in leaves:
        if not isinstance(layer, (*QUANTIZABLE, *HOMOGENEOUS)) or getattr(layer, "groups", 1) != 1:
            raise ValueError(f"model holds {layer}: a scaled channel does not pass through it. Fold batch norms first.")
    for _ in range(sweeps):
        for first, second in pairwise(layers):
            s = equalizing_factors(first.weight, second.weight)
            first.weight.div_(s.view(-1, *[1] * (first.weight.dim() - 1)))
            if first.bias is not None:
                first.bias.div_(s)
            behind = s.repeat_interleave(second.weight.shape[1] // len(s))  # a flattened channel is many inputs
            second.weight.mul_(behind.view(-1, *[1] * (second.weight.dim() - 2)))
    return model


@torch.no_grad()
def output_shift(original: Tensor, quantized: Tensor) -> Tensor:
    """By how much quantisation moved the mean of each output channel: float [C].

    Args:
        original, quantized: outputs of one layer, [N, C, …].
    """
    return (quantized - original).transpose(0, 1).flatten(1).mean(1)


@torch.no_grad()
def correct_biases(quantized: nn.Module, original: nn.Module, batch: Tensor) -> nn.Module:
    """Empirical bias correction, in place: the mean of each channel becomes what it was. Returns `quantized`.

    From the first layer to the last, so that each is corrected for what still comes in shifted (Nagel et al. 2019,
    section 4.2 and appendix D). It costs nothing at inference.

    Args:
        quantized: a copy of `original` whose weights were quantised.
        batch: inputs, some hundred.

    Raises:
        ValueError: the networks do not hold the same layers, or a layer has no bias that could take the correction.
    """
    for name, (_, wanted) in traffic(original, batch).items():
        layer = dict(quantized.named_modules()).get(name)
        if not isinstance(layer, QUANTIZABLE) or layer.bias is None:
            raise ValueError(f"quantized has no layer {name!r} with a bias, which original has.")
        layer.bias.sub_(output_shift(wanted, traffic(quantized, batch, [name])[name][1]))
    return quantized


def rectified_sigmoid(v: Tensor) -> Tensor:
    """h(V) = clip(1.2·σ(V) − 0.1, 0, 1): reaches 0 and 1 at finite V (Nagel et al. 2020, eq. 23)."""
    return (1.2 * v.sigmoid() - 0.1).clamp(0, 1)


def ada_round(
    model: nn.Module, batch: Tensor, bits: int = 4, *, per: str = "tensor", steps: int = 300, seed: int = 0
) -> nn.Module:
    """AdaRound, in place: for each weight, learns whether up or down serves its layer's output. Returns the model.

    Layer by layer, the sum over weights of rounded × inputs is fitted to what the float network computes, with the
    inputs that the layers rounded so far deliver (Nagel et al. 2020, eq. 25).

    Args:
        model: not quantised yet.
        batch: inputs that the rounding is learned from, some hundred to a thousand.
        bits, per: as in `quantization.grid_of`; symmetric grids.
        steps: of Adam for each layer.
        seed: of the order of the inputs.

    Raises:
        ValueError: an argument is out of its range.
    """
    if steps < 1:
        raise ValueError(f"steps={steps} must be at least 1.")
    wanted = {name: output for name, (_, output) in traffic(model, batch).items()}
    generator = torch.Generator().manual_seed(seed)
    with progress_bar(total=len(wanted) * steps, desc="AdaRound", unit="step") as bar:
        for name in wanted:
            layer, inputs = model.get_submodule(name), traffic(model, batch, [name])[name][0]
            grid = grid_of(layer.weight, bits, per=per)
            rounded = _learn_rounding(layer, grid, inputs, wanted[name], steps, generator, bar)
            with torch.no_grad():
                layer.weight.copy_(rounded)
    return model


def _learn_rounding(layer, grid: Grid, inputs: Tensor, wanted: Tensor, steps: int, generator, bar) -> Tensor:
    scaled = layer.weight.detach() / grid.scale
    below = scaled.floor()
    part = (scaled - below).clamp(0.01, 0.99)
    v = ((part + 0.1) / 1.2).logit().requires_grad_()  # h(v) is the fraction itself: the start is the float weight
    optimizer = torch.optim.Adam([v], lr=0.02)
    for step in range(steps):
        at = torch.randint(len(inputs), (32,), generator=generator)
        up = rectified_sigmoid(v)
        output = torch.func.functional_call(layer, {"weight": _on_grid(below + up, grid)}, (inputs[at],))
        loss = (output - wanted[at]).square().transpose(0, 1).flatten(1).mean(1).sum()
        progress = step / steps
        if progress > 0.2:  # first the outputs alone, then more and more the decision: β falls from 20 to 2
            beta = 2 + 18 * (1 + torch.tensor(torch.pi * (progress - 0.2) / 0.8).cos()) / 2
            loss = loss + 0.01 * (1 - (2 * up - 1).abs().pow(beta)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        bar.update()
    return _on_grid(below + (rectified_sigmoid(v.detach()) >= 0.5), grid)


def _on_grid(q: Tensor, grid: Grid) -> Tensor:
    return q.clamp(grid.low, grid.high) * grid.scale
