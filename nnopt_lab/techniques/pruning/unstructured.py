"""Mask single weights of a model, by magnitude, at random, or by scores of your own.

A pruned weight is a weight under a mask: masks are kept with `torch.nn.utils.prune`, so everything here works together
with torch's own functions (`prune.is_pruned`, `prune.remove`, further pruning).
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from nnopt_lab.techniques.network_checks import current_value, require_plain
from nnopt_lab.techniques.pruning.masks import check_keep, magnitude_mask
from nnopt_lab.techniques.pruning.scores import importance

PRUNABLE = (nn.Conv1d, nn.Conv2d, nn.Linear)


def prunable(model: nn.Module) -> dict[str, nn.Module]:
    """The layers whose weights are pruned: convolutions and linear layers, by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, PRUNABLE)}


def count_weights(model: nn.Module) -> tuple[int, int]:
    """(weights that the masks leave, weights in all) over the prunable layers; biases are not counted."""
    layers = prunable(model).values()
    left = sum(layer.weight_mask.sum().item() if _masked(layer) else layer.weight.numel() for layer in layers)
    return int(left), sum(layer.weight.numel() for layer in layers)


def magnitude_prune(model: nn.Module, keep: int, *, scope: str = "global", norm: int = 1) -> nn.Module:
    """Mask all but `keep` weights of `model`, in place, the smallest magnitudes first.

    What an earlier call masked stays masked.

    Args:
        keep: weights left over all prunable layers together, biases not counted.
        scope: "global" compares weights across layers; "layer" takes the same share from every layer.
        norm: 1 or 2. For single weights both sort alike, which is a theorem of lesson 01.

    Returns:
        The same model.

    Raises:
        ValueError: `keep` is more than what is left, or `scope` or `norm` is none of these.
    """
    scores = {name: importance(_weight(layer), norm) for name, layer in prunable(model).items()}
    return prune_by_scores(model, scores, keep, scope=scope)


def random_prune(model: nn.Module, keep: int, *, scope: str = "global", seed: int = 0) -> nn.Module:
    """Mask all but `keep` weights of `model`, in place, at random: the baseline that every criterion must beat."""
    generator = torch.Generator().manual_seed(seed)
    scores = {
        name: torch.rand(layer.weight.shape, generator=generator).to(layer.weight.device)
        for name, layer in prunable(model).items()
    }
    return prune_by_scores(model, scores, keep, scope=scope)


def prune_by_scores(model: nn.Module, scores: dict[str, Tensor], keep: int, *, scope: str = "global") -> nn.Module:
    """Mask all but the `keep` highest-scored weights, in place; weights masked earlier never come back.

    Args:
        scores: for each prunable layer's name a tensor in the shape of its weight.
        keep: weights left over all these layers together.
        scope: "global" or "layer".

    Raises:
        ValueError: `keep` is more than what is left, `scope` is none of these, or `scores` does not fit the layers.
    """
    layers = prunable(model)
    left, _ = count_weights(model)
    check_keep(keep, left)
    _check_scores(scores, layers)
    scores = {
        name: scores[name].masked_fill(layer.weight_mask == 0, -torch.inf) if _masked(layer) else scores[name]
        for name, layer in layers.items()
    }
    for name, mask in _masks(scores, keep, left, scope).items():
        if _masked(layers[name]):
            prune.remove(layers[name], "weight")
        prune.custom_from_mask(layers[name], "weight", mask.to(layers[name].weight))
        layers[name].weight = layers[name].weight.detach()  # with its graph it could not be copied; forward remakes it
    return model


def make_permanent(model: nn.Module) -> nn.Module:
    """Write the masks into the weights and drop them, in place: an ordinary model with zeros in it."""
    for layer in prunable(model).values():
        if _masked(layer):
            prune.remove(layer, "weight")
    return model


def _masks(scores: dict[str, Tensor], keep: int, left: int, scope: str) -> dict[str, Tensor]:
    if scope == "global":
        flat = magnitude_mask(torch.cat([s.flatten() for s in scores.values()]), keep)
        parts = flat.split([s.numel() for s in scores.values()])
        return {name: part.reshape(scores[name].shape) for name, part in zip(scores, parts, strict=True)}
    if scope == "layer":
        available = {name: int((s > -torch.inf).sum()) for name, s in scores.items()}
        shares = _proportional(available, keep, left)
        return {name: magnitude_mask(s, shares[name]) for name, s in scores.items()}
    raise ValueError(f"scope={scope!r} must be 'global' or 'layer'.")


def _proportional(available: dict[str, int], keep: int, left: int) -> dict[str, int]:
    """Integers that add up to `keep`, each within one of its layer's fair share."""
    shares, taken, seen = {}, 0, 0
    for name, count in available.items():
        seen += count
        shares[name] = keep * seen // max(left, 1) - taken
        taken += shares[name]
    return shares


def _masked(layer: nn.Module) -> bool:
    return hasattr(layer, "weight_mask")  # prune.is_pruned is also true where torch pruned the bias alone


def _weight(layer: nn.Module) -> Tensor:
    # Under a mask `layer.weight` is only what the last forward pass left, on the device where that ran.
    return layer.weight_orig * layer.weight_mask if _masked(layer) else layer.weight


def _check_scores(scores: dict[str, Tensor], layers: dict[str, nn.Module]) -> None:
    given = {name: list(score.shape) for name, score in scores.items()}
    wanted = {name: list(layer.weight.shape) for name, layer in layers.items()}
    if given != wanted:
        raise ValueError(f"scores has the shapes {given}; the prunable layers need {wanted}.")
