"""2:4 sparsity: of four consecutive weights of a row two are zero, and sparse tensor cores leave them out.

An exact format for networks that were pruned this way and trained on; from any other network it takes the two smaller
magnitudes of every four first, which changes what it computes: the comparison with the original then refuses it, unless
a `tolerance` allows it. Source: Mishra et al. 2021, "Accelerating Sparse Deep Neural Networks".
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.deployment.engine import EngineUnavailable
from nnopt_lab.techniques.deployment.logs import quiet
from nnopt_lab.techniques.deployment.quantized_linear import fitting, make_linear_plain, require_fitting
from nnopt_lab.workbench import device

ROWS, COLUMNS = 32, 64  # smallest tile of torch's sparse kernels (CUTLASS) in 16 bits; cuSPARSELt takes these too


def prune_two_four(model: nn.Module) -> nn.Module:
    """Set the two smaller magnitudes of every four weights of the linear layers that fit to zero, in place.

    Layers fit whose outputs are a multiple of 32 and inputs one of 64; the others, and convolutions, stay dense.
    """
    with torch.no_grad():
        for layer in model.modules():
            if fitting(layer, ROWS, COLUMNS):
                layer.weight.mul_(pruning.n_m_mask(layer.weight, 2, 4))
    return model


def two_four_sparse(model: nn.Module, batches: Sequence[Tensor]) -> nn.Module:
    """`prune_two_four`, and those layers' weights in the format of sparse tensor cores, in place.

    Args:
        model: in 16 bits on the device of `batches`.

    Raises:
        EngineUnavailable: the device has no such tensor cores, or no layer fits.
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
