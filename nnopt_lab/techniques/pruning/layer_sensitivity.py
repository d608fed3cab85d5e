"""Find the layers that pruning hurts most."""

from collections.abc import Callable

import torch
from torch import nn

from nnopt_lab.techniques.network_checks import require_plain
from nnopt_lab.techniques.pruning.masks import magnitude_mask
from nnopt_lab.techniques.pruning.unstructured import prunable


def sensitivity(
    model: nn.Module, evaluate: Callable[[nn.Module], float], sparsities: tuple[float, ...] = (0.5, 0.8, 0.9, 0.95)
) -> dict[str, list[float]]:
    """Prune each layer alone at each sparsity and evaluate the model, to find fragile layers.

    Args:
        model: without masks; left unchanged.
        evaluate: a function model → number, such as the accuracy in percent.
        sparsities: shares of the layer's weights to set to zero, in [0, 1].

    Returns:
        For each layer's name, one result of `evaluate` per sparsity.

    Raises:
        ValueError: a layer's weight is computed (by a mask, weight_norm or a parametrisation).
    """
    require_plain(model, prunable(model), parameters=["weight"])
    results = {}
    for name, layer in prunable(model).items():
        dense = layer.weight.detach().clone()
        results[name] = []
        try:
            for sparsity in sparsities:
                mask = magnitude_mask(dense.abs(), round((1 - sparsity) * dense.numel()))
                with torch.no_grad():
                    layer.weight.copy_(dense * mask)
                results[name].append(evaluate(model))
        finally:
            with torch.no_grad():
                layer.weight.copy_(dense)
    return results
