"""2:4 sparsity: two of every four consecutive weights in a row are zero, and sparse tensor cores skip them.

The format is exact for networks that were pruned to this pattern and fine-tuned. Any other network is pruned first, by
magnitude, which changes its outputs; the comparison with the original then refuses the engine, unless its `tolerance`
allows the difference. Source: Mishra et al. 2021, "Accelerating Sparse Deep Neural Networks".
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.deployment.engine import EngineUnavailable
from nnopt_lab.techniques.deployment.logs import quiet
from nnopt_lab.techniques.deployment.quantized_linear import fitting, make_linear_plain, require_fitting
from nnopt_lab.workbench import device

ROWS, COLUMNS = 32, 64  # the tile of torch's sparse 16-bit kernels (CUTLASS); cuSPARSELt's is smaller


def prune_two_four(model: nn.Module) -> nn.Module:
    """Zero the two smallest magnitudes of every four weights in a network's linear layers, in place.

    Only layers with outputs a multiple of 32 and inputs a multiple of 64 are pruned. Convolutions stay dense.

    Returns:
        The model.
    """
    with torch.no_grad():
        for layer in model.modules():
            if fitting(layer, ROWS, COLUMNS):
                layer.weight.mul_(pruning.n_m_mask(layer.weight, 2, 4))
    return model


def two_four_sparse(model: nn.Module, batches: Sequence[Tensor]) -> nn.Module:
    """Prune a network by `prune_two_four`, and convert those weights to the format of sparse tensor cores, in place.

    Args:
        model: in 16 bits, on the device of `batches`.
        batches: its inputs.

    Returns:
        The model.

    Raises:
        EngineUnavailable: the device has no sparse tensor cores, or no layer can be converted.
    """
    if why := device.unavailable(device.of(batches), "2:4 sparsity"):
        raise EngineUnavailable(why)
    require_fitting(model, "2:4 sparsity", ROWS, COLUMNS)
    make_linear_plain(model)
    with quiet():  # torch calls the format a prototype
        for layer in prune_two_four(model).modules():
            if fitting(layer, ROWS, COLUMNS):
                sparse = torch.sparse.to_sparse_semi_structured(layer.weight.detach().contiguous())
                layer.weight = nn.Parameter(sparse, requires_grad=False)
    return model
