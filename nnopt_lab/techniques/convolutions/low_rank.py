"""Low-rank factorisation: replace a trained layer by two thin ones.

A matrix [m, n] of rank r is a product [m, r]·[r, n] with r(m + n) numbers instead of mn. Trained weights don't have a
low rank, but they have a few large singular values and many small ones. Dropping the small ones gives the closest
matrix of rank r (theorem of Eckart & Young, 1936). The factorised matrix is

- the weight itself, for linear layers and 1×1 convolutions (Denton et al. 2014, https://arxiv.org/abs/1404.0736);
- [in·k, k·out] for k×k convolutions, whose factors are a k×1 and a 1×k convolution: spatial SVD (Jaderberg et al.
  2014, scheme 2, https://arxiv.org/abs/1405.3866; its closed form: Tai et al. 2016, https://arxiv.org/abs/1511.06067).
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.convolutions import spectra
from nnopt_lab.techniques.network_checks import (
    copied,
    current_value,
    parameter_like,
    replace_module,
)
from nnopt_lab.techniques.tracing import why_not_replaceable


def factorisable(model: nn.Module) -> dict[str, nn.Module]:
    """Find the layers that can be factorised, by name: linear ones and ungrouped, undilated, zero-padded convolutions.

    Layers whose parameters are shared with or read by another module (as in `nn.MultiheadAttention`,
    `nn.TransformerEncoderLayer`, or wherever torch.fx shows it), layers with hooks, and layers whose forward is not
    torch's are left out; `why_not_factorisable` names the reason. A layer that is used in several places appears under
    its first name.
    """
    return {name: model.get_submodule(name) for name, reason in why_not_factorisable(model).items() if not reason}


def why_not_factorisable(model: nn.Module) -> dict[str, str]:
    """Find out why linear layers and two-dimensional convolutions can't be factorised.

    Returns:
        A clause per layer by its first name, "" if it can be factorised, and one per further name.
    """
    layers = why_not_replaceable(model, lambda layer: isinstance(layer, nn.Linear | nn.Conv2d))
    return {name: reason or _why_not_alone(model.get_submodule(name)) for name, reason in layers.items()}


def _why_not_alone(layer: nn.Module) -> str:
    if isinstance(layer, nn.Linear):
        return ""
    if layer.groups > 1:
        return f"its channels are in {layer.groups} groups"
    if layer.dilation != (1, 1):
        return "it is dilated"
    if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
        return "its padding is not a number of zeros"
    return ""


def rank_for_energy(singular_values: Tensor, energy: float) -> int:
    """Find the smallest rank whose singular values have at least the share `energy` of the sum of all squares.

    Args:
        singular_values: float [n], descending, n at least 1.
        energy: above 0, at most 1.

    Raises:
        ValueError: `energy` is out of its range.
    """
    if not 0 < energy <= 1:
        raise ValueError(f"energy={energy} must be above 0 and at most 1.")
    held = singular_values.double().square().cumsum(0)
    return min(int((held < energy * held[-1] * (1 - 1e-12)).sum()) + 1, len(held))


def choose_ranks(
    model: nn.Module,
    *,
    energy: float | None = None,
    parameters: int | None = None,
    layers: Iterable[str] | None = None,
) -> dict[str, int]:
    """Choose a rank for each layer where factorisation saves parameters, by energy or by a budget of parameters.

    Args:
        model: left unchanged.
        energy: share of the sum of squared singular values to keep in each layer, above 0, at most 1.
        parameters: instead of `energy`, the most parameters that the whole model may have. All layers get the same
            energy, the highest that stays within this budget.
        layers: names of the layers; default all of `factorisable(model)`.

    Returns:
        Ranks by layer, without the layers where factorisation saves nothing.

    Raises:
        ValueError: not exactly one of `energy` and `parameters` is given, one is out of its range, or a layer can't be
            factorised; the message says why.
    """
    if (energy is None) == (parameters is None):
        raise ValueError(f"energy={energy} and parameters={parameters}: give exactly one of them.")
    chosen = _chosen(model, layers)
    values = {name: spectra.singular_values(_finite(name, layer)) for name, layer in chosen.items()}

    def saved(name: str, rank: int) -> int:
        return _parameters(chosen[name]) - rank * sum(_matrix(chosen[name]).shape)

    def ranks(energy: float) -> dict[str, int]:
        found = {name: rank_for_energy(spectrum, energy) for name, spectrum in values.items()}
        return {name: rank for name, rank in found.items() if saved(name, rank) > 0}

    def total(energy: float) -> int:
        return sum(p.numel() for p in model.parameters()) - sum(saved(*item) for item in ranks(energy).items())

    if energy is not None:
        return ranks(energy)
    low, high = 1e-9, 1.0
    if not total(low) <= parameters <= sum(p.numel() for p in model.parameters()):
        raise ValueError(
            f"parameters={parameters} must be between {total(low)}, the number at rank 1, and the model's number, "
            f"{sum(p.numel() for p in model.parameters())}."
        )
    if total(high) <= parameters:
        return ranks(high)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if total(middle) <= parameters else (low, middle)
    return ranks(low)


def low_rank(model: nn.Module, ranks: dict[str, int], *, fill: bool = True) -> nn.Module:
    """Return a copy of `model` with the layers in `ranks` factorised, each into an `nn.Sequential` of two layers.

    At full rank, the copy computes the same function up to rounding; below, each layer has the closest weights of its
    rank. The factorised weight is the one in use, under a mask or weight norm. The factors of a frozen weight are
    frozen. A layer that is used in several places is replaced in all of them.

    Args:
        model: left unchanged.
        ranks: rank by layer name, from 1 to the layer's full rank, from `choose_ranks` or your own choice.
        fill: False leaves the factors at zero, without the time of a decomposition, for trained weights to be loaded.

    Raises:
        ValueError: a layer can't be factorised, or a rank is out of its range, or a weight is NaN or infinite.
    """
    chosen = _chosen(model, ranks)
    model = copied(model)
    for name, layer in chosen.items():
        full = min((_finite(name, layer) if fill else _matrix(layer)).shape)
        if not 1 <= ranks[name] <= full:
            raise ValueError(f"ranks[{name!r}]={ranks[name]} must be 1 to {full}.")
        split = _split_linear if isinstance(layer, nn.Linear) else _split_convolution
        model = replace_module(model, name, split(layer, ranks[name], fill).train(layer.training))
    return model


def _chosen(model: nn.Module, layers: Iterable[str] | None) -> dict[str, nn.Module]:
    reasons = why_not_factorisable(model)
    found = {name: model.get_submodule(name) for name, reason in reasons.items() if not reason}
    chosen = list(found) if layers is None else list(layers)
    for name in chosen:
        if name not in found:
            reason = f" ({reasons[name]})" if name in reasons else ""
            choice = ", ".join(found) or "none"
            raise ValueError(f"{name!r} is not a layer that can be factorised{reason}: choose from {choice}.")
    return {name: found[name] for name in chosen}


def _finite(name: str, layer: nn.Module) -> Tensor:
    matrix = _matrix(layer)
    if not torch.isfinite(matrix).all():
        raise ValueError(f"model's layer {name!r} has weights that are NaN or infinite.")
    return matrix


def _parameters(layer: nn.Module) -> int:
    """Number of parameters behind a layer's weight; a weight norm has more than one per weight."""
    bias = 0 if layer.bias is None else layer.bias.numel()
    return sum(parameter.numel() for parameter in layer.parameters()) - bias


def _matrix(layer: nn.Module) -> Tensor:
    """The matrix to factorise: [out, in], or for convolutions [in·height, out·width]."""
    weight = current_value(layer)
    weight = weight.float() if weight.dtype in (torch.float16, torch.bfloat16) else weight  # torch has no SVD of these
    if weight.ndim == 2:
        return weight
    outputs, inputs, height, width = weight.shape
    return weight.permute(1, 2, 0, 3).reshape(inputs * height, outputs * width)


def _factors(layer: nn.Module, rank: int, fill: bool) -> tuple[Tensor, Tensor]:
    matrix = _matrix(layer)
    if fill:
        return spectra.closest_factors(matrix, rank)
    return matrix.new_zeros(matrix.shape[0], rank), matrix.new_zeros(rank, matrix.shape[1])


def _split_linear(layer: nn.Linear, rank: int, fill: bool) -> nn.Sequential:
    second, first = _factors(layer, rank, fill)
    parts = nn.Linear(layer.in_features, rank, bias=False), nn.Linear(rank, layer.out_features, layer.bias is not None)
    return _filled(layer, parts, first, second)


def _split_convolution(layer: nn.Conv2d, rank: int, fill: bool) -> nn.Sequential:
    first, second = _factors(layer, rank, fill)
    (height, width), (down, across), (top, left) = layer.kernel_size, layer.stride, layer.padding
    parts = (
        nn.Conv2d(layer.in_channels, rank, (height, 1), (down, 1), (top, 0), bias=False),
        nn.Conv2d(rank, layer.out_channels, (1, width), (1, across), (0, left), bias=layer.bias is not None),
    )
    first = first.T.reshape(parts[0].weight.shape)
    second = second.reshape(rank, layer.out_channels, width).transpose(0, 1).unsqueeze(2)
    return _filled(layer, parts, first, second)


def _filled(layer: nn.Module, parts: tuple[nn.Module, nn.Module], first: Tensor, second: Tensor) -> nn.Sequential:
    value = current_value(layer)
    for part, weight in zip(parts, (first, second), strict=True):
        part.weight = parameter_like(weight.to(value).contiguous(), layer)  # else a convolution's output isn't either
    if layer.bias is not None:
        parts[1].bias = parameter_like(current_value(layer, "bias"), layer, "bias")
    return Factors(*parts)


class Factors(nn.Sequential):
    """The two factors of a layer. They also have the layer's weight and bias, because some networks read them."""

    @property
    def weight(self) -> Tensor:
        """The product of the factors, in the shape of the layer's weight."""
        first, second = self[0].weight, self[1].weight
        if first.ndim == 2:
            return second @ first
        return torch.einsum("rih,orw->oihw", first.squeeze(3), second.squeeze(2))

    @property
    def bias(self) -> Tensor | None:
        """The layer's bias."""
        return self[1].bias
