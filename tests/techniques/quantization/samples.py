"""Random tensors and granularities for the tests of quantisation."""

import torch

PER = (("tensor", None), ("channel", None), ("group", 4), ("group", 5))


def tensor(seed, *shape):
    """Numbers of very different sizes, ties and zeros among them."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=g) * 10 ** (4 * torch.rand((), generator=g) - 2)
    return torch.where(torch.rand(shape, generator=g) < 0.1, 0.0, x)
