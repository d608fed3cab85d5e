"""Low-rank factorisation: a trained layer as a product of two or three thin ones.

A matrix [m, n] of rank r is a product [m, r]·[r, n], with r(m + n) numbers in the place of mn. Trained weights have no
small rank, but a few large singular values and many small ones, and by the theorem of Eckart & Young (1936) cutting the
small ones off is the nearest that rank r comes. Which matrix is cut, in the order of the functions below:

- linear layers and 1×1 convolutions: the weight itself (Denton et al. 2014);
- k×k convolutions, "spatial": [in·k, k·out], which becomes k×1 and 1×k (Jaderberg et al. 2014, scheme 2);
- k×k convolutions, "tucker": the channels on both sides, which become 1×1, k×k and 1×1 (Kim et al. 2016).
"""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

METHODS = ("spatial", "tucker")
Rank = int | tuple[int, int]


def factorisable(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that can be factorised, by name: linear ones, and ungrouped, undilated convolutions."""

    def can(layer: nn.Module) -> bool:
        plain = isinstance(layer, nn.Conv2d) and layer.groups == 1 and layer.dilation == (1, 1)
        return isinstance(layer, nn.Linear) or (plain and layer.padding_mode == "zeros" and layer.padding != "same")

    return {name: layer for name, layer in model.named_modules() if can(layer)}


def rank_for_energy(singular_values: Tensor, energy: float) -> int:
    """The smallest rank whose largest singular values hold the share `energy` of the sum of their squares.

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
    method: str = "spatial",
    layers: Iterable[str] | None = None,
) -> dict[str, Rank]:
    """A rank for each layer where a factorisation saves parameters: by energy, or for a set number of parameters.

    Args:
        energy: share of each layer's energy to keep, above 0, at most 1.
        parameters: in place of `energy`: at most so many parameters in the whole model. Of all energies that reach it
            the highest is taken, the same for all layers.
        method: "spatial" or "tucker", for the k×k convolutions.
        layers: names of the layers; all that can be factorised where it is None.

    Returns:
        By layer, r, or (r_out, r_in) for k×k convolutions with "tucker"; without the layers where nothing is saved.

    Raises:
        ValueError: not exactly one of `energy` and `parameters` is given, one is out of its range, a layer cannot be
            factorised, or `method` is none of these.
    """
    if (energy is None) == (parameters is None):
        raise ValueError(f"energy={energy} and parameters={parameters}: give exactly one of them.")
    chosen = _chosen(model, layers, method)
    spectra = {name: [torch.linalg.svdvals(m) for m in _matrices(layer, method)] for name, layer in chosen.items()}
    if energy is not None:
        return _ranks(chosen, spectra, energy)
    total = sum(p.numel() for p in model.parameters())

    def size(energy: float) -> int:
        ranks = _ranks(chosen, spectra, energy)
        return total - sum(chosen[name].weight.numel() - factors_size(chosen[name], r) for name, r in ranks.items())

    low, high = 1e-9, 1.0
    if not size(low) <= parameters <= total:
        raise ValueError(f"parameters={parameters} must be between {size(low)}, rank 1 everywhere, and {total}.")
    if size(high) <= parameters:
        return _ranks(chosen, spectra, high)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if size(middle) <= parameters else (low, middle)
    return _ranks(chosen, spectra, low)


def low_rank(model: nn.Module, ranks: dict[str, Rank], method: str = "spatial") -> nn.Module:
    """A copy of `model` with the layers in `ranks` factorised: each becomes an `nn.Sequential` of two or three layers.

    At full rank it computes the same function, to rounding; below, the nearest of that rank in each layer's weights.

    Args:
        model: left as it was.
        ranks: from `choose_ranks` or your own choice, in the same form.
        method: the one that the ranks were chosen for.

    Raises:
        ValueError: a layer cannot be factorised, a rank is out of its range, or `method` is none of these.
    """
    chosen = _chosen(model, ranks, method)
    model = copy.deepcopy(model)
    for name, layer in chosen.items():
        _check_rank(name, layer, ranks[name], method)
        model.set_submodule(name, _factorised(layer, ranks[name]).train(layer.training))
    return model


def factors_size(layer: nn.Module, rank: Rank) -> int:
    """Parameters of a layer's factors at a rank, biases not counted."""
    outputs, inputs, *kernel = layer.weight.shape
    if isinstance(rank, tuple):
        return outputs * rank[0] + rank[0] * rank[1] * kernel[0] * kernel[1] + rank[1] * inputs
    height, width = kernel or (1, 1)
    return rank * (inputs * height + outputs * width)


def _chosen(model: nn.Module, layers: Iterable[str] | None, method: str) -> dict[str, nn.Module]:
    if method not in METHODS:
        raise ValueError(f"method={method!r} must be 'spatial' or 'tucker'.")
    found = factorisable(model)
    for name in layers or ():
        if name not in found:
            raise ValueError(f"{name!r} is not a layer that can be factorised: choose from {', '.join(found)}.")
    return found if layers is None else {name: found[name] for name in layers}


def _matrices(layer: nn.Module, method: str) -> list[Tensor]:
    """The matrices whose singular values decide a layer's ranks: one, or for "tucker" outputs' and inputs'."""
    weight = layer.weight.detach()
    if weight.ndim == 2 or weight.shape[2:] == (1, 1):
        return [weight.flatten(1)]
    if method == "tucker":
        return [weight.flatten(1), weight.transpose(0, 1).flatten(1)]
    return [_vertical_by_horizontal(weight)]


def _vertical_by_horizontal(weight: Tensor) -> Tensor:
    outputs, inputs, height, width = weight.shape
    return weight.permute(1, 2, 0, 3).reshape(inputs * height, outputs * width)


def _ranks(layers: dict[str, nn.Module], spectra: dict[str, list[Tensor]], energy: float) -> dict[str, Rank]:
    ranks = {}
    for name, layer in layers.items():
        found = tuple(rank_for_energy(values, energy) for values in spectra[name])
        rank = found if len(found) == 2 else found[0]
        if factors_size(layer, rank) < layer.weight.numel():
            ranks[name] = rank
    return ranks


def _check_rank(name: str, layer: nn.Module, rank: Rank, method: str) -> None:
    matrices = _matrices(layer, method)
    given = rank if isinstance(rank, tuple) else (rank,)
    highest = [min(m.shape) for m in matrices]
    if len(given) != len(highest) or not all(1 <= r <= most for r, most in zip(given, highest, strict=True)):
        raise ValueError(f"ranks[{name!r}]={rank} must be {' and '.join(f'1 to {most}' for most in highest)}.")


def _factorised(layer: nn.Module, rank: Rank) -> nn.Sequential:
    if isinstance(rank, tuple):
        return _tucker(layer, *rank)
    weight, bias = layer.weight.detach(), layer.bias is not None
    if isinstance(layer, nn.Linear):
        second, first = _halves(weight, rank)
        parts = nn.Linear(weight.shape[1], rank, bias=False), nn.Linear(rank, weight.shape[0], bias=bias)
        return _filled(layer, parts, (first, second))
    outputs, inputs, height, width = weight.shape
    first, second = _halves(_vertical_by_horizontal(weight), rank)
    (down, across), (top, left) = layer.stride, layer.padding if layer.padding != "valid" else (0, 0)
    parts = (
        nn.Conv2d(inputs, rank, (height, 1), (down, 1), (top, 0), bias=False),
        nn.Conv2d(rank, outputs, (1, width), (1, across), (0, left), bias=bias),
    )
    first = first.T.reshape(rank, inputs, height, 1)
    second = second.reshape(rank, outputs, width).permute(1, 0, 2).unsqueeze(2)
    return _filled(layer, parts, (first, second))


def _tucker(layer: nn.Conv2d, outputs: int, inputs: int) -> nn.Sequential:
    """By the higher-order SVD: both channel axes in the basis of their own leading singular vectors."""
    weight = layer.weight.detach()
    u_out, u_in = (torch.linalg.svd(m, full_matrices=False).U for m in _matrices(layer, "tucker"))
    u_out, u_in = u_out[:, :outputs], u_in[:, :inputs]
    core = torch.einsum("oihw,or,is->rshw", weight, u_out, u_in)
    parts = (
        nn.Conv2d(layer.in_channels, inputs, 1, bias=False),
        nn.Conv2d(inputs, outputs, layer.kernel_size, layer.stride, layer.padding, bias=False),
        nn.Conv2d(outputs, layer.out_channels, 1, bias=layer.bias is not None),
    )
    return _filled(layer, parts, (u_in.T[:, :, None, None], core, u_out[:, :, None, None]))


def _halves(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """[m, r] and [r, n] whose product is the nearest matrix of rank r; each takes the root of the singular values."""
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    root = s[:rank].sqrt()
    return u[:, :rank] * root, root[:, None] * vh[:rank]


def _filled(layer: nn.Module, parts: Iterable[nn.Module], weights: Iterable[Tensor]) -> nn.Sequential:
    parts = nn.Sequential(*parts).to(layer.weight)
    with torch.no_grad():
        for part, weight in zip(parts, weights, strict=True):
            part.weight.copy_(weight)
        if layer.bias is not None:
            parts[-1].bias.copy_(layer.bias)
    return parts
