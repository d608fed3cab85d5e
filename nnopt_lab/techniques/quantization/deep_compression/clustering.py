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
    exact, labels = values.detach().double(), None
    centroids = initial_centroids(exact, clusters, init, seed)
    for _ in range(ROUNDS):
        before, labels = labels, torch.bucketize(exact, (centroids[1:] + centroids[:-1]) / 2, right=True)
        if before is not None and torch.equal(before, labels):
            break
        sizes = labels.bincount(minlength=len(centroids))
        means = labels.bincount(exact, minlength=len(centroids)) / sizes
        centroids = torch.where(sizes > 0, means, centroids)
    used, labels = labels.unique(return_inverse=True)
    return centroids[used].float(), labels


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
