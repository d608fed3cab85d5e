"""Training recipes for lessons about other subjects: AdamW with a one-cycle schedule, the winner of lesson 03."""

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
    """Train `model` in place with AdamW and a one-cycle schedule, and return it.

    Smith & Topin 2019, "Super-Convergence", https://arxiv.org/abs/1708.07120

    Args:
        model: the network; see `training.fit` for its input and output.
        pictures: the data set.
        epochs: passes over the training pictures, at least 1.
        peak: the highest learning rate, above 0.
        batch_size: pictures per step.
        weight_decay: of AdamW.
        steps_per_epoch: needed if `options` replaces the training split or the loader.
        extra: another module to train along with the model, such as the adapter of a hint loss.
        options: further arguments of `training.fit`. With `cuda_graph`, the schedule leaves AdamW's betas alone, since
            a graph records them as constants.
    """
    accumulate = options.get("accumulate", 1)
    steps = epochs * (steps_per_epoch or -(-len(pictures.train) // (batch_size * accumulate)))
    others = list(extra.parameters()) if extra else []
    training.fit(
        model,
        pictures,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=lambda parameters: torch.optim.AdamW([*parameters, *others], lr=peak, weight_decay=weight_decay),
        scheduler=lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, peak, total_steps=steps, cycle_momentum=not options.get("cuda_graph")
        ),
        **options,
    )
    return model


def train_teacher(
    model: nn.Module, pictures: data.Pictures, *, epochs: int, batch_size: int, seed: int = 0, smoothing: float = 0.0
) -> nn.Module:
    """Train a teacher in place, on flipped and shifted pictures, and return it.

    Args:
        model: the teacher.
        pictures: the data set.
        epochs: passes over the training pictures, at least 1.
        batch_size: pictures per step.
        seed: of the augmentation and the training.
        smoothing: label smoothing, 0 to 1. Use 0 if students will learn from this teacher: smoothing erases how
            similar the wrong classes are (Müller, Kornblith & Hinton 2019, "When Does Label Smoothing Help?",
            https://arxiv.org/abs/1906.02629).
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
    """Accuracy on the test pictures in percent, rounded to two decimals as in the recordings."""
    return round(training.evaluate(model, pictures.test, pictures).accuracy, 2)
