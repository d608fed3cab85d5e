"""How networks are trained where it is not the subject: AdamW under a one-cycle rate, lesson 03's winner."""

import torch
from torch import nn

from nnopt_lab.workbench import data, training


def one_cycle(
    model: nn.Module,
    pictures: data.Pictures,
    *,
    epochs: int,
    peak: float,
    batch_size: int = 128,
    weight_decay: float = 0.01,
    steps_per_epoch: int | None = None,
    extra: nn.Module | None = None,
    **options,
) -> nn.Module:
    """Train `model` in place and return it.

    Args:
        peak: the highest learning rate, above 0.
        steps_per_epoch: where another split or loader than the set's own is trained on.
        extra: a module that learns along with it, such as the adapter of a hint.
        options: further arguments of `training.fit`.
    """
    steps = epochs * (steps_per_epoch or -(-len(pictures.train) // batch_size))
    others = list(extra.parameters()) if extra else []
    training.fit(
        model,
        pictures,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=lambda parameters: torch.optim.AdamW([*parameters, *others], lr=peak, weight_decay=weight_decay),
        scheduler=lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=steps),
        **options,
    )
    return model
