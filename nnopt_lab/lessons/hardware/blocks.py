"""Matrices with blocks of zeros, and whether torch can multiply them without the zeros."""

import torch
from torch import Tensor

from nnopt_lab.techniques.deployment.logs import quiet


def with_zero_blocks(share: float, size: int = 1024, block: int = 32) -> Tensor:
    """Normal random numbers, float32 [size, size], in which this share of the blocks is zero; always the same ones.

    Args:
        share: from 0 to 1; rounded up to whole blocks.
        size, block: the sides of the matrix and of a block in values; `size` is a multiple of `block`.
    """
    generator, blocks = torch.Generator().manual_seed(0), size // block
    values = torch.randn(size, size, generator=generator)
    # A random order instead of draws, so that exactly this share of the blocks becomes zero.
    order = torch.rand(blocks**2, generator=generator).argsort().reshape(blocks, blocks)
    kept = (order >= share * blocks**2).to(values)
    return values * kept.repeat_interleave(block, 0).repeat_interleave(block, 1)


def block_product_here() -> bool:
    """Whether torch can multiply a block-sparse matrix on this processor; it needs MKL for that."""
    try:
        with quiet():
            torch.eye(4).to_sparse_bsr((2, 2)) @ torch.ones(4, 2)
    except RuntimeError:
        return False
    return True
