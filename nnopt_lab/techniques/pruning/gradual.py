"""Prune in steps, with training between them.

Sources: Han et al. 2015, "Learning both Weights and Connections", https://arxiv.org/abs/1506.02626 (iterative magnitude
pruning); Zhu & Gupta 2017, "To prune, or not to prune", https://arxiv.org/abs/1710.01878 (the cubic schedule).
"""

from collections.abc import Callable, Iterator

from torch import nn

from nnopt_lab.techniques.pruning.masks import check_keep
from nnopt_lab.techniques.pruning.unstructured import count_weights, magnitude_prune


def cubic_sparsity(step: int, steps: int, final: float, initial: float = 0.0) -> float:
    """Sparsity after `step` of `steps` pruning steps: s_f + (s_i − s_f)(1 − step/steps)³ (Zhu & Gupta 2017, eq. 1).

    It prunes fast at first, while many weights are redundant, and slowly near the end.

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


def prune_in_levels(
    model: nn.Module,
    keep: int,
    *,
    count: int = 10,
    finetune: Callable[[nn.Module], object] | None = None,
    scope: str = "global",
    norm: int = 1,
) -> Iterator[int]:
    """Run the article's procedure: score, sort into levels, drop the lowest, fine-tune, repeat until `keep` are left.

    A generator: each step prunes one level and yields the number of weights left, so that the caller can inspect the
    model in between. Every step recomputes the scores, because fine-tuning changes the weights.

    Args:
        model: pruned in place.
        keep: number of weights to keep, at least 0 and at most as many as are left.
        count: number of levels into which each step sorts the remaining weights, at least 2. More levels mean smaller
            steps.
        finetune: called with the model after each step.
        scope, norm: as in `magnitude_prune`.

    Raises:
        ValueError: an argument is out of its range.
    """
    if count < 2:
        raise ValueError(f"count={count} must be at least 2: dropping the only level would drop everything.")
    left, _ = count_weights(model)
    check_keep(keep, left)
    while left > keep:
        left = max(keep, left - -(-left // count))
        magnitude_prune(model, left, scope=scope, norm=norm)
        if finetune is not None:
            finetune(model)
        yield left
