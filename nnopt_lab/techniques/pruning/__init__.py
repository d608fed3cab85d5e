"""Parameter pruning: score, sort into levels, drop the lowest level until few enough parameters are left.

The article's section 3.1.1. A pruned weight is a weight under a mask: masks are kept with `torch.nn.utils.prune`, so
everything here works together with torch's own functions (`prune.is_pruned`, `prune.remove`, further pruning).

Sources: Han et al. 2015, "Learning both Weights and Connections" (iterative magnitude pruning); Li et al. 2017,
"Pruning Filters for Efficient ConvNets" (norms of filters); Zhu & Gupta 2017, "To prune, or not to prune" (the cubic
schedule); Mishra et al. 2021, "Accelerating Sparse Deep Neural Networks" (2:4 sparsity).
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

PRUNABLE = (nn.Conv1d, nn.Conv2d, nn.Linear)


def importance(weight: Tensor, norm: int = 1, per: str = "weight") -> Tensor:
    """Importance of the parts of one layer's weight, by their L1 or L2 norm.

    Args:
        weight: float [out, in, …].
        norm: 1 for Σ|w|, 2 for √Σw². For single weights both are |w|.
        per: "weight" → the weight's own shape; "filter" → [out], one norm for all weights that make one output
            channel; "layer" → [], one norm for the whole layer.

    Raises:
        ValueError: `norm` or `per` is none of these.
    """
    if norm not in (1, 2):
        raise ValueError(f"norm={norm!r} must be 1 or 2.")
    if per == "weight":
        return weight.detach().abs()
    if per == "filter":
        return torch.linalg.vector_norm(weight.detach().flatten(1), norm, dim=1)
    if per == "layer":
        return torch.linalg.vector_norm(weight.detach(), norm)
    raise ValueError(f"per={per!r} must be 'weight', 'filter' or 'layer'.")


def levels(scores: Tensor, count: int) -> Tensor:
    """Sort scores into `count` levels of equal size, level 0 the least important.

    Equal scores are ordered by position, so every score belongs to exactly one level, and level sizes differ by at
    most one.

    Args:
        scores: float, any shape.
        count: at least 1.

    Returns:
        int64, the shape of `scores`, values 0 to count − 1.

    Raises:
        ValueError: `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"count={count} must be at least 1.")
    return (_ranks(scores) * count) // max(scores.numel(), 1)


def magnitude_mask(scores: Tensor, keep: int) -> Tensor:
    """Mask of the `keep` highest scores: bool, the shape of `scores`, exactly `keep` of them True.

    Of equal scores the one further back in the tensor is kept.

    Raises:
        ValueError: `keep` is not between 0 and the number of scores.
    """
    _check_keep(keep, scores.numel())
    return _ranks(scores) >= scores.numel() - keep


def n_m_mask(weight: Tensor, n: int = 2, m: int = 4) -> Tensor:
    """Mask that keeps the `n` largest magnitudes in every group of `m` consecutive inputs: bool, `weight`'s shape.

    Groups run along a row of the matrix that the layer multiplies with, [out, in·kh·kw]. Of equal magnitudes the
    one further back is kept. With n = 2, m = 4 this is the pattern that sparse tensor cores run (Mishra et al. 2021).

    Raises:
        ValueError: `n` is not between 0 and `m`, or a row cannot be cut into groups of `m`.
    """
    rows = weight.detach().flatten(1)
    if not 0 <= n <= m or m < 1:
        raise ValueError(f"n={n} must be between 0 and m={m}.")
    if rows.shape[1] % m:
        raise ValueError(f"weight has {rows.shape[1]} inputs a row, which cannot be cut into groups of m={m}.")
    groups = rows.abs().reshape(-1, m)
    ranks = groups.argsort(dim=1, stable=True).argsort(dim=1)
    return (ranks >= m - n).reshape(weight.shape)


def cubic_sparsity(step: int, steps: int, final: float, initial: float = 0.0) -> float:
    """Sparsity after `step` of `steps` pruning steps: s_f + (s_i − s_f)(1 − step/steps)³ (Zhu & Gupta 2017, eq. 1).

    It prunes fast at first, where there is much to spare, and slowly near the end.

    Args:
        step: 0 to `steps`; 0 gives `initial`, `steps` gives `final`.
        steps: at least 1.
        final, initial: sparsities in [0, 1].

    Raises:
        ValueError: an argument is out of its range.
    """
    if steps < 1 or not 0 <= step <= steps:
        raise ValueError(f"step={step} must be between 0 and steps={steps}, and steps at least 1.")
    if not (0 <= final <= 1 and 0 <= initial <= 1):
        raise ValueError(f"final={final} and initial={initial} must be sparsities between 0 and 1.")
    return final + (initial - final) * (1 - step / steps) ** 3


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
    """Mask all but `keep` weights of `model`, in place, chosen by lot: the control that every criterion must beat."""
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
    _check_keep(keep, left)
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


def prune_in_levels(
    model: nn.Module,
    keep: int,
    *,
    count: int = 10,
    finetune: Callable[[nn.Module], object] | None = None,
    scope: str = "global",
    norm: int = 1,
) -> Iterator[int]:
    """The article's procedure: score, sort into levels, drop the lowest level, fine-tune, again until `keep` are left.

    A generator: each step prunes one level and yields the number of weights left, so that the caller can look at the
    model in between. Scores are taken anew in every step, because fine-tuning moves the weights.

    Args:
        model: pruned in place.
        keep: the preset number of weights, at least 0.
        count: number of levels that the weights left are sorted into at each step, at least 2. More levels are
            smaller steps.
        finetune: called with the model after each step.
        scope, norm: as in `magnitude_prune`.

    Raises:
        ValueError: an argument is out of its range.
    """
    if count < 2:
        raise ValueError(f"count={count} must be at least 2: dropping the only level would drop everything.")
    left, _ = count_weights(model)
    _check_keep(keep, left)
    while left > keep:
        left = max(keep, left - -(-left // count))
        magnitude_prune(model, left, scope=scope, norm=norm)
        if finetune is not None:
            finetune(model)
        yield left


def sensitivity(
    model: nn.Module, evaluate: Callable[[nn.Module], float], sparsities: tuple[float, ...] = (0.5, 0.8, 0.9, 0.95)
) -> dict[str, list[float]]:
    """Prune each layer alone at each sparsity and evaluate: which layers are fragile?

    Args:
        model: without masks; left as it was.
        evaluate: model → a figure such as the accuracy in percent.
        sparsities: shares of the layer's weights to zero, in [0, 1].

    Returns:
        For each layer's name one figure per sparsity.
    """
    results = {}
    for name, layer in prunable(model).items():
        dense = layer.weight.detach().clone()
        results[name] = []
        for sparsity in sparsities:
            mask = magnitude_mask(dense.abs(), round((1 - sparsity) * dense.numel()))
            with torch.no_grad():
                layer.weight.copy_(dense * mask)
            results[name].append(evaluate(model))
        with torch.no_grad():
            layer.weight.copy_(dense)
    return results


def make_permanent(model: nn.Module) -> nn.Module:
    """Write the masks into the weights and drop them, in place: an ordinary model with zeros in it."""
    for layer in prunable(model).values():
        if _masked(layer):
            prune.remove(layer, "weight")
    return model


def _ranks(scores: Tensor) -> Tensor:
    """Place of each score in ascending order, ties in order of position."""
    order = scores.detach().flatten().argsort(stable=True)
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(order.numel(), device=order.device)
    return ranks.reshape(scores.shape)


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
    """Whole numbers that add up to `keep`, each within one of its layer's fair share."""
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


def _check_keep(keep: int, left: int) -> None:
    if not 0 <= keep <= left:
        raise ValueError(f"keep={keep} must be between 0 and the {left} weights that are left.")
