"""Mask single weights of a model, by magnitude, at random, or by custom scores.

The masks are those of `torch.nn.utils.prune`, so everything here works with torch's own functions (`prune.is_pruned`,
`prune.remove`, further pruning). Layers that share a weight have the same mask, and the weight counts once.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from nnopt_lab.techniques.network_checks import current_value, require_plain, tied_parameters
from nnopt_lab.techniques.pruning.masks import check_keep, magnitude_mask
from nnopt_lab.techniques.pruning.scores import importance

PRUNABLE = (nn.Conv1d, nn.Conv2d, nn.Linear)
_MASKABLE = (*PRUNABLE, nn.Embedding, nn.EmbeddingBag)  # an embedding may share a weight with a prunable layer


def prunable(model: nn.Module) -> dict[str, nn.Module]:
    """Find the layers whose weights are pruned, by name: convolutions and linear layers."""
    return {name: module for name, module in model.named_modules() if isinstance(module, PRUNABLE)}


def count_weights(model: nn.Module) -> tuple[int, int]:
    """Count (weights left by the masks, all weights) over the prunable layers; biases are not counted.

    A weight that several layers share counts once, and as left if one of them uses it.
    """
    left = total = 0
    for places in _places(model).values():
        masks = [_mask(model.get_submodule(place)) for place in places]
        left += int(torch.stack(masks).amax(0).sum())
        total += masks[0].numel()
    return left, total


def magnitude_prune(model: nn.Module, keep: int, *, scope: str = "global", norm: int = 1) -> nn.Module:
    """Mask all but the `keep` weights of largest magnitude, in place; weights masked earlier stay masked.

    Args:
        model: pruned in place.
        keep: weights to keep in all prunable layers together, at least 0; biases are not counted.
        scope: "global" compares weights across layers; "layer" removes the same share from every layer.
        norm: 1 or 2; for single weights, both give the same order, as lesson 01 proves.

    Returns:
        The same model.

    Raises:
        ValueError: `keep` is more than the weights left, `scope` or `norm` is none of these, or as in
            `prune_by_scores`.
    """
    _require_maskable(model)
    scores = {name: importance(current_value(layer), norm) for name, layer in prunable(model).items()}
    return prune_by_scores(model, scores, keep, scope=scope)


def random_prune(model: nn.Module, keep: int, *, scope: str = "global", seed: int = 0) -> nn.Module:
    """Mask all but `keep` weights at random, in place: the baseline that every criterion must beat.

    Arguments and errors as in `magnitude_prune`; `seed` determines the choice.
    """
    _require_maskable(model)
    generator = torch.Generator().manual_seed(seed)
    scores = {
        name: torch.rand(layer.weight.shape, generator=generator).to(layer.weight.device)
        for name, layer in prunable(model).items()
    }
    for name, places in _places(model).items():
        scores |= {place: scores[name] for place in places if place in scores}
    return prune_by_scores(model, scores, keep, scope=scope)


def prune_by_scores(model: nn.Module, scores: dict[str, Tensor], keep: int, *, scope: str = "global") -> nn.Module:
    """Mask all but the `keep` weights of highest score, in place; weights masked earlier stay masked.

    Args:
        model: pruned in place.
        scores: for each prunable layer's name, a tensor of its weight's shape. If layers share a weight, each of its
            numbers gets the highest of their scores.
        keep: weights to keep in all these layers together; a shared one counts once.
        scope: as in `magnitude_prune`.

    Returns:
        The same model.

    Raises:
        ValueError: `keep` is more than the weights left, `scope` is none of these, `scores` does not match the layers,
            or a layer's weight is computed other than by a mask (weight_norm, a parametrisation) or shared with a
            module that can't have the same mask.
    """
    _require_maskable(model)
    layers, places = prunable(model), _places(model)
    left, _ = count_weights(model)
    check_keep(keep, left)
    _check_scores(scores, layers)
    shared = {}
    for name, together in places.items():
        highest = torch.stack([scores[place] for place in together if place in layers]).amax(0)
        shared[name] = highest.masked_fill(_mask(layers[name]) == 0, -torch.inf)
    for name, mask in _masks(shared, keep, left, scope).items():
        for place in places[name]:
            _set_mask(model.get_submodule(place), mask)
    return model


def make_permanent(model: nn.Module) -> nn.Module:
    """Write the masks into the weights and remove them, in place, which leaves a plain model with zeros.

    Raises:
        ValueError: layers share a weight under different masks.
    """
    places = _places(model)
    _require_same_masks(model, places)
    for together in places.values():
        for place in together:
            if _masked(layer := model.get_submodule(place)):
                _remove_mask(layer)
    return model


def shared_places(model: nn.Module) -> dict[str, list[str]]:
    """For each distinct weight, the first prunable layer's name, and the names of all modules with this weight.

    The modules include embeddings that are tied to a prunable layer.

    Raises:
        ValueError: a weight is computed other than by a mask (weight_norm, a parametrisation), or shared with a module
            that can't have the same mask.
    """
    _require_maskable(model)
    return _places(model)


def _places(model: nn.Module) -> dict[str, list[str]]:
    tied, places, seen = tied_parameters(model), {}, set()
    for name, layer in prunable(model).items():
        own = f"{name}.{'weight_orig' if _masked(layer) else 'weight'}".lstrip(".")
        if name not in seen:
            places[name] = [parameter.rpartition(".")[0] for parameter in (own, *tied.get(own, ()))]
            seen.update(places[name])
    return places


def _require_maskable(model: nn.Module) -> None:
    require_plain(model, prunable(model), parameters=["weight"], masks=True)
    places = _places(model)
    for name, together in places.items():
        shape = model.get_submodule(name).weight.shape
        for place in together:
            layer = model.get_submodule(place)
            if not isinstance(layer, _MASKABLE) or layer.weight.shape != shape:
                raise ValueError(f"model's layer {name!r} shares its weight with {place!r}: untie them first.")
    _require_same_masks(model, places)


def _require_same_masks(model: nn.Module, places: dict[str, list[str]]) -> None:
    for together in places.values():
        layers = {place: model.get_submodule(place) for place in together}
        first = next((place for place, layer in layers.items() if _masked(layer)), None)
        for place, layer in layers.items():
            if first is not None and not (_masked(layer) and torch.equal(_mask(layer), _mask(layers[first]))):
                pair = " and ".join(repr(other) for other in together if other in (first, place))
                raise ValueError(f"model's layers {pair} share a weight, but not its mask.")


def _mask(layer: nn.Module) -> Tensor:
    return layer.weight_mask if _masked(layer) else torch.ones_like(layer.weight)


def _set_mask(layer: nn.Module, mask: Tensor) -> None:
    if _masked(layer):
        _remove_mask(layer)
    prune.custom_from_mask(layer, "weight", mask.to(layer.weight))
    layer.weight = layer.weight.detach()  # can't be copied with its graph; forward recomputes it


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
    """Integers that sum to `keep`, each within one of its layer's fair share."""
    shares, taken, seen = {}, 0, 0
    for name, count in available.items():
        seen += count
        shares[name] = keep * seen // max(left, 1) - taken
        taken += shares[name]
    return shares


def _masked(layer: nn.Module) -> bool:
    return hasattr(layer, "weight_mask")  # prune.is_pruned is also true if only the bias is pruned


def _remove_mask(layer: nn.Module) -> None:
    memory = layer.weight_orig.data
    prune.remove(layer, "weight")  # gives the weight new memory, but another layer may share the old one
    memory.copy_(layer.weight.data)
    layer.weight.data = memory


def _check_scores(scores: dict[str, Tensor], layers: dict[str, nn.Module]) -> None:
    given = {name: list(score.shape) for name, score in scores.items()}
    wanted = {name: list(layer.weight.shape) for name, layer in layers.items()}
    if given != wanted:
        raise ValueError(f"scores has the shapes {given}; the prunable layers need {wanted}.")
