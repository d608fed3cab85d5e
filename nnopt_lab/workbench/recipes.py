"""Training recipes for lessons whose subject is something else: AdamW under a one-cycle rate, lesson 03's winner."""

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


def train_teacher(
    model: nn.Module, pictures: data.Pictures, *, epochs: int, batch_size: int, seed: int = 0, smoothing: float = 0.0
) -> nn.Module:
    """Train a teacher in place, on flipped and shifted pictures, and return it.

    Args:
        smoothing: of the labels. Where students are to learn from it, 0: smoothing wipes out how alike the wrong
            classes are (Müller, Kornblith & Hinton 2019, "When Does Label Smoothing Help?").
    """
    return one_cycle(
        model,
        pictures,
        epochs=epochs,
        batch_size=batch_size,
        peak=4e-3,
        weight_decay=0.02,
        loss=nn.CrossEntropyLoss(label_smoothing=smoothing),
        augment=data.random_flips_and_shifts(seed),
        seed=seed,
    )


def test_accuracy(model: nn.Module, pictures: data.Pictures) -> float:
    """Accuracy on the test pictures as recordings hold it: percent, two decimals."""
    return round(training.evaluate(model, pictures.test, pictures).accuracy, 2)
