"""Cluster the weights of a layer by one-dimensional k-means.

Source: Han, Mao & Dally 2016, "Deep Compression", section 3, https://arxiv.org/abs/1510.00149 (initial centroids).
"""

import torch
from torch import Tensor

ROUNDS = 1000  # of k-means; it converges long before


def kmeans(values: Tensor, clusters: int, *, init: str = "linear", seed: int = 0) -> tuple[Tensor, Tensor]:
    """Cluster numbers by Lloyd's k-means.

    Each value belongs to the nearest centroid, each centroid is the mean of its values, and empty clusters are dropped.
    In one dimension, clusters meet halfway between their centroids, so bisection finds a value's cluster.

    Args:
        values: float [N].
        clusters: at least 1.
        init: initial centroids (section 3.2 of the paper): "linear" → evenly spaced from the smallest to the largest
            value; "density" → an equal number of values for each; "random" → randomly chosen values.
        seed: of "random".

    Returns:
        Centroids float32 [k], ascending, and the index of each value's cluster, int64 [N].

    Raises:
        ValueError: an argument is out of its range, or a value is NaN or infinite.
    """
    if clusters < 1:
        raise ValueError(f"clusters={clusters} must be at least 1.")
    if values.dim() != 1 or not values.is_floating_point():
        raise ValueError(f"values is {values.dtype} {list(values.shape)}; it must be float [N].")
    if not values.isfinite().all():
        raise ValueError("values contains numbers that are NaN or infinite, which have no nearest centroid.")
    exact, order = values.detach().double().sort()
    centroids, ends = initial_centroids(exact, clusters, init, seed), None
    if len(exact) == 0:
        return centroids.float(), order
    for _ in range(ROUNDS):
        # Of sorted values, each cluster is one piece; a value on a border belongs to the upper cluster.
        before, ends = ends, torch.searchsorted(exact, (centroids[1:] + centroids[:-1]) / 2)
        if before is not None and torch.equal(before, ends):
            break
        sizes = _sizes(ends, len(exact))
        means = torch.segment_reduce(exact, "sum", lengths=sizes) / sizes
        centroids = torch.where(sizes > 0, means, centroids)
    sizes = _sizes(ends, len(exact))
    labels = torch.empty_like(order)
    labels[order] = torch.arange(int((sizes > 0).sum()), device=order.device).repeat_interleave(sizes[sizes > 0])
    return centroids[sizes > 0].float(), labels


def _sizes(ends: Tensor, count: int) -> Tensor:
    """The sizes of the pieces of `count` values that are cut at `ends`, ascending."""
    return ends.diff(prepend=ends.new_zeros(1), append=ends.new_full((1,), count))


def initial_centroids(values: Tensor, clusters: int, init: str, seed: int) -> Tensor:
    """Initial centroids of k-means, ascending; empty if `values` is. Arguments as in `kmeans`."""
    if init not in ("linear", "density", "random"):
        raise ValueError(f"init={init!r} must be 'linear', 'density' or 'random'.")
    if len(values) == 0:
        return values
    if init == "linear":
        return torch.linspace(float(values.min()), float(values.max()), clusters).to(values)
    drawn = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))[:clusters].sort().values
    evenly = ((torch.arange(clusters) + 0.5) / clusters * len(values)).long()
    return values.sort().values[(drawn if init == "random" else evenly).to(values.device)]
