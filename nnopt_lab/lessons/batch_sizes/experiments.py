"""Lesson 04: a race between batch sizes, sizes that change during training, and smaller pictures."""

from functools import partial
from itertools import chain, repeat

import torch
from torch import nn

from nnopt_lab.course.recordings import experiment, over_seeds
from nnopt_lab.techniques.training import batch_samplers, cropping, noise_scale
from nnopt_lab.workbench import data, measure, models, recipes, training
from nnopt_lab.workbench.progress_bar import progress_bar

RACE_SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
RACE_FACTORS = (1, 0.5, 2)  # times the first learning rate tried, 0.04 · B/64 or at most 0.08
RACE_SEEDS = (1, 2, 3)
RACE_TARGET = 86.0  # percent of the validation pictures
RACE_LIMIT = 150_000  # pictures after which a run is stopped
POLICY_SEEDS = {"constant": 5, "random sizes": 5, "decaying rate": 3, "growing batches": 3, "noise scale": 3}
POLICY_EPOCHS = 6
CROP_WAYS = ("full pictures", "crops, padded back", "smaller crops", "progressive resizing")
CROP_SEEDS = (0, 1, 2)
CROP_EPOCHS = 4


@experiment
def batch_size_race() -> dict:
    """Count the steps and pictures that `MyNet` needs to reach 86 % validation accuracy, for each batch size.

    Each size has its own learning rate: the one of three, a factor of 2 apart, that needs the fewest pictures with seed
    0, which is not used again. Accuracy is measured every 2,000 pictures. A run has reached the target when the mean of
    two consecutive measurements has. Time is not measured, since the lesson measures each size's speed on the reader's
    machine.

    Returns:
        {"sizes": [S], "seeds": [K], "rates": [S], "tuning": [S] of {rate: pictures with seed 0, until it reached the
        target or was stopped}, "reached": [S][K] bool, "steps", "examples" (pictures), "noise_scale" (at the end of the
        run): [S][K]}.
    """
    pictures = data.load("fashion")
    kinds = ("reached", "steps", "examples", "noise_scale")
    result = {"sizes": list(RACE_SIZES), "seeds": list(RACE_SEEDS), "rates": [], "tuning": []}
    result |= {kind: [] for kind in kinds}
    runs = len(RACE_SIZES) * (len(RACE_FACTORS) + len(RACE_SEEDS))
    with progress_bar(total=runs, desc="batch size race", unit="run") as bar:
        for size in RACE_SIZES:
            needed = {}
            for factor in RACE_FACTORS:
                rate = factor * min(0.04 * size / 64, 0.08)
                limit = min([RACE_LIMIT, *needed.values()])  # stopped as soon as another rate is known to be faster
                needed[rate] = _race(pictures, size, rate, 0, limit)["examples"]
                bar.update()
            result["tuning"].append({f"{rate:g}": needed[rate] for rate in sorted(needed)})
            result["rates"].append(min(needed, key=needed.get))
            rows = []
            for seed in RACE_SEEDS:
                rows.append(_race(pictures, size, result["rates"][-1], seed, RACE_LIMIT))
                bar.update()
            for kind in kinds:
                result[kind].append([row[kind] for row in rows])
    return result


def _race(pictures: data.Pictures, batch_size: int, rate: float, seed: int, limit: int) -> dict:
    torch.manual_seed(seed)
    model = models.MyNet().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    loader = data.loader(pictures.train, pictures, batch_size, shuffle=True, seed=seed)
    accuracies, examples, steps = [0.0], 0, 0
    for inputs, labels in chain.from_iterable(repeat(loader)):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        examples += len(inputs)
        steps += 1
        if examples // 2_000 >= len(accuracies):
            accuracies.append(training.evaluate(model, pictures.validation, pictures).accuracy)
        reached = sum(accuracies[-2:]) / 2 >= RACE_TARGET
        if reached or examples >= limit:
            break
    return {
        "reached": reached,
        "steps": steps,
        "examples": examples,
        "noise_scale": round(noise_scale.measured(noise_scale.gradient_of(model, pictures), 18_000).simple, 1),
    }


@experiment
def batch_policies() -> dict:
    """Train `MyNet` for 6 epochs under five policies, starting at batch 64 and rate 0.04; test accuracy and updates.

    "constant" changes nothing. "random sizes" draws sizes from 16 to 112. "decaying rate" divides the rate by 4 after 3
    and after 5 epochs, and "growing batches" multiplies the batch size by 4 instead. "noise scale" measures the noise
    scale at the start of each epoch and uses it as the size, limited to 32 to 1,024.

    Returns:
        {"accuracy": {policy: [K] percent}, "updates": {policy: [K]}, "chosen": [K][6] sizes by noise scale,
        "difference": [5][3] random sizes minus constant, per seed: estimate, low and high end in points}.
    """
    pictures = data.load("fashion")
    result = {kind: {name: [] for name in POLICY_SEEDS} for kind in ("accuracy", "updates")}
    result |= {"chosen": [], "difference": []}
    right = {}
    with progress_bar(total=sum(POLICY_SEEDS.values()), desc="batch policies", unit="run") as bar:
        for name, seeds in POLICY_SEEDS.items():
            for seed in range(seeds):
                test, updates, batches = _policy(name, pictures, seed)
                right[name, seed] = test.correct
                result["accuracy"][name].append(round(test.accuracy, 2))
                result["updates"][name].append(updates)
                if name == "noise scale":
                    result["chosen"].append(batches.chosen)
                bar.update()
    for seed in range(POLICY_SEEDS["random sizes"]):
        difference = measure.proportion_difference(right["constant", seed], right["random sizes", seed])
        result["difference"].append([round(x, 2) for x in (difference.estimate, difference.low, difference.high)])
    return result


def _policy(name: str, pictures: data.Pictures, seed: int):
    torch.manual_seed(seed)
    model, count = models.MyNet(), len(pictures.train)
    gradient = noise_scale.gradient_of(model, pictures)
    factor = [1, 1, 1, 4, 4, 16]
    batches = batch_samplers.EpochBatches(count, lambda epoch: 64, seed=seed)
    if name == "random sizes":
        batches = batch_samplers.RandomBatchSizes(count, 16, 112, seed)
    if name == "growing batches":
        batches = batch_samplers.EpochBatches(count, lambda epoch: 64 * factor[epoch], seed=seed)
    if name == "noise scale":
        batches = batch_samplers.EpochBatches(
            count, lambda epoch: noise_scale.measured(gradient, count, seed=epoch).simple, 32, 1024, seed
        )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.04, momentum=0.9)
    decay = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5] if name == "decaying rate" else [], gamma=1 / 4)
    training.fit(
        model,
        pictures,
        epochs=POLICY_EPOCHS,
        optimizer=optimizer,
        scheduler=lambda optimizer: decay,
        schedule_per="epoch",
        batches=batches,
        seed=seed,
    )
    updates = sum(len(batches.sizes(epoch)) for epoch in range(POLICY_EPOCHS))
    return training.evaluate(model, pictures.test, pictures), updates, batches


@experiment
def batch_crops() -> dict:
    """Train a network that accepts any picture size, on full and on smaller pictures; test accuracy.

    Returns:
        {"seeds": [K], "accuracy": {way: [K] percent}}.
    """
    pictures = data.load("fashion")
    runs = {way: partial(_with_crops, way, pictures) for way in CROP_WAYS}
    return {"seeds": list(CROP_SEEDS), "accuracy": over_seeds(runs, CROP_SEEDS, "crops")}


def any_size_net() -> nn.Sequential:
    """A small network for pictures of 4×4 pixels or more: three convolutions, a global mean, one linear layer."""
    layers = []
    for width_in, width_out in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(width_in, width_out, 3, padding=1, bias=False), nn.BatchNorm2d(width_out), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if width_out < 64 else []
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def _with_crops(way: str, pictures: data.Pictures, seed: int) -> float:
    from torchvision.transforms import v2  # takes a second to import, and only this needs it

    torch.manual_seed(seed)
    model = any_size_net()
    augment = cropping.RandomCrops(20, 28, seed=seed) if way == "crops, padded back" else None
    loader = data.loader(pictures.train, pictures, 64, shuffle=True, seed=seed, augment=augment)
    if way == "smaller crops":
        crops = cropping.RandomCrops(16, 32, pad=False, seed=seed)
        loader = cropping.SmallerPictures(loader, lambda epoch: crops)
    if way == "progressive resizing":
        loader = cropping.SmallerPictures(loader, lambda epoch: v2.Resize((16, 20, 24, 32)[epoch]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    training.fit(
        model,
        pictures,
        epochs=CROP_EPOCHS,
        optimizer=optimizer,
        scheduler=lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 5e-3, total_steps=CROP_EPOCHS * len(loader)),
        loader=loader,
        seed=seed,
    )
    return recipes.test_accuracy(model, pictures)
