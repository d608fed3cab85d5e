"""Lesson 03: the best first rates for networks, data and batch sizes; the best peak of each schedule; their race."""

import math
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import torch

from nnopt_lab.course.recordings import experiment
from nnopt_lab.techniques.training import lr_range_test, schedules
from nnopt_lab.workbench import data, models, recipes, training
from nnopt_lab.workbench.cores import usable_cores
from nnopt_lab.workbench.progress_bar import progress_bar

SEEDS = (0, 1, 2)
PARTS = 3  # per epoch; 8 of them are a third of the 8 epochs of the article's recipe
BUDGET = 8  # parts
BATCH = 64
# The best peak of each schedule, as `nnopt record learning_rate_peaks` found it.
PEAKS = {
    "constant": 0.025,
    "exponential": 0.1,
    "step": 0.05,
    "polynomial": 0.05,
    "cosine": 0.05,
    "warm restarts": 0.05,
    "warm-up + cosine": 0.05,
    "plateau": 0.1,
    "triangular": 0.05,
    "triangular2": 0.05,
    "exp_range": 0.05,
    "one-cycle": 0.05,
    "Pegasos": 0.1,
}
FIRST_RATES = tuple(0.01 * 2**k for k in range(6))
GUESSING = round(math.log(10), 4)  # the loss of guessing among ten classes


class Parts:
    """A batch sampler that yields a part of an epoch per pass, so that validation and plateaus come more often.

    Args:
        count: pictures.
        batch_size: pictures per batch; the last batch of a part may be smaller.
        parts: per epoch, at least 1.
        seed: for the order, which differs from epoch to epoch.
    """

    def __init__(self, count: int, batch_size: int, *, parts: int = PARTS, seed: int = 0):
        self.count, self.batch_size, self.parts = count, batch_size, parts
        self._generator, self._left = torch.Generator().manual_seed(seed), []

    def __iter__(self) -> Iterator[list[int]]:
        if not self._left:
            self._left = list(torch.randperm(self.count, generator=self._generator).chunk(self.parts))
        yield from (batch.tolist() for batch in self._left.pop(0).split(self.batch_size))

    def __len__(self) -> int:
        return math.ceil(math.ceil(self.count / self.parts) / self.batch_size)


def fit_in_parts(
    schedule: str, optimizer, pictures: data.Pictures, *, parts: int = PARTS, batch_size: int = BATCH, seed: int = 0
):
    """Train a new `MyNet` for 8 parts of an epoch; with thirds, that is a third of the article's 8 epochs.

    Args:
        schedule: a name of `schedules.SCHEDULES`.
        optimizer: function parameters → optimizer; its rate is the schedule's peak.
        parts: per epoch.
        seed: for the weights and the order.

    Returns:
        (model, history); the history has an entry per part.
    """
    torch.manual_seed(seed)
    model, batches = models.MyNet(), Parts(len(pictures.train), batch_size, parts=parts, seed=seed)
    history = training.fit(
        model,
        pictures,
        epochs=BUDGET,
        batches=batches,
        optimizer=optimizer,
        scheduler=schedules.SCHEDULES[schedule](BUDGET * len(batches)),
        seed=seed,
        description=schedule,
    )
    return model, history


def sgd(rate: float):
    """The article's optimizer with another rate, as a function parameters → optimizer."""
    return lambda parameters: torch.optim.SGD(parameters, lr=rate, momentum=0.9)


def best_recipe(parameters) -> torch.optim.Optimizer:
    """The optimizer of the best short recipe that we found, for one-cycle at batch 32."""
    return torch.optim.AdamW(parameters, lr=4e-3, weight_decay=0.02)


@experiment
def learning_rate_peaks() -> dict:
    """Search each schedule's peak: from 0.05 up and down by factors of 2, for as long as the validation loss falls.

    SGD with momentum 0.9, batch 64, one epoch (the race is longer), one seed that the race does not use.

    Returns:
        {schedule: {rate: validation loss}}; a run that diverged counts as guessing, ln 10.
    """
    pictures = data.load("fashion")
    result = {}
    with progress_bar(total=4 * len(schedules.SCHEDULES), desc="peak rates", unit="run") as bar:
        for name in schedules.SCHEDULES:

            def loss(rate: float, name: str = name) -> float:
                bar.update()
                try:
                    _, history = fit_in_parts(name, sgd(rate), pictures, parts=BUDGET, seed=100)
                    return round(min(history.validation_loss[-1], GUESSING), 4)
                except ValueError:  # the loss became infinite
                    return GUESSING

            tried = {0.05: loss(0.05)}
            for factor in (2, 0.5):
                rate = 0.05
                while tried[rate] == min(tried.values()):
                    rate = round(rate * factor, 6)
                    tried[rate] = loss(rate)
            result[name] = {f"{rate:g}": tried[rate] for rate in sorted(tried)}
    return result


@experiment
def learning_rate_race() -> dict:
    """Race all schedules in a third of the article's epochs at their best peaks; and the article's recipe and ours.

    It makes one run per processor at a time, each on one thread, which is faster for a network this small.

    Returns:
        {"seeds": [K], "epochs": [8] at which each run is validated, "baseline": test accuracies of the article's
        recipe [K], "schedules": {name: {"peak": rate, "validation": [K][8], "test": [K]}}, "best": the same for AdamW
        with one-cycle at batch 32}; accuracies in percent.
    """
    names = ("baseline", "best", *PEAKS)
    tasks = [(name, seed) for name in names for seed in SEEDS]
    entries = {name: {"validation": [], "test": []} for name in names}
    with (
        ProcessPoolExecutor(usable_cores(), multiprocessing.get_context("spawn"), _be_quiet) as pool,
        progress_bar(total=len(tasks), desc="race", unit="run") as bar,
    ):
        for (name, _), (validation, test) in zip(tasks, pool.map(_race, tasks), strict=True):
            entries[name]["validation"].append(validation)
            entries[name]["test"].append(test)
            bar.update()
    return {
        "seeds": list(SEEDS),
        "epochs": [round((i + 1) / PARTS, 3) for i in range(BUDGET)],
        "baseline": entries["baseline"]["test"],
        "schedules": {name: {"peak": peak} | entries[name] for name, peak in PEAKS.items()},
        "best": {"peak": 4e-3} | entries["best"],
    }


def _be_quiet() -> None:
    torch.set_num_threads(1)
    os.environ["TQDM_DISABLE"] = "1"  # the bars of several processes would overwrite each other


def _race(task: tuple[str, int]) -> tuple[list[float], float]:
    """Validation accuracy after each part and test accuracy of one run, in percent."""
    name, seed = task
    pictures = data.load("fashion")
    if name == "baseline":
        torch.manual_seed(seed)
        model = models.MyNet()
        history = training.fit(model, pictures, **models.ARTICLE_RECIPE, seed=seed)
    elif name == "best":
        model, history = fit_in_parts("one-cycle", best_recipe, pictures, batch_size=32, seed=seed)
    else:
        model, history = fit_in_parts(name, sgd(PEAKS[name]), pictures, seed=seed)
    validation = [round(accuracy, 2) for accuracy in history.validation_accuracy]
    return validation, recipes.test_accuracy(model, pictures)


@experiment
def first_rates() -> dict:
    """Measure the loss after a short training at constant rates, over widths, depths, amounts of data and batch sizes.

    SGD with momentum 0.9. By default: channels (16, 32), 3,000 pictures, 2 passes and batch 64, which is 94 steps.

    Returns:
        {"rates": [R], "settings": {name: {"group": "width", "depth", "data, same steps", "data, same passes" or
        "batch", "size": its number, "loss": [R] (mean of two seeds; at most ln 10), "steepest": a rate,
        "tenth_of_minimum": a rate}}}.
    """
    pictures = data.load("fashion")
    settings = [{"group": "width", "size": width, "channels": (width, 2 * width)} for width in (8, 16, 32)]
    depths = {1: (16,), 2: (16, 32), 3: (16, 32, 32)}
    settings += [{"group": "depth", "size": depth, "channels": channels} for depth, channels in depths.items()]
    settings += [{"group": "data, same steps", "size": size, "count": size} for size in (750, 3_000, 12_000)]
    settings += [
        {"group": "data, same passes", "size": size, "count": size, "steps": 2 * -(-size // BATCH)}
        for size in (750, 3_000, 12_000)
    ]
    settings += [
        {"group": "batch", "size": size, "batch_size": size, "steps": 2 * -(-3_000 // size)}
        for size in (16, 32, 64, 128, 256)
    ]
    done = {}
    with progress_bar(total=len(settings), desc="first rates", unit="setting") as bar:
        for setting in settings:
            group, size = setting.pop("group"), setting.pop("size")
            run = {"channels": (16, 32), "count": 3_000, "steps": 94, "batch_size": 64} | setting
            key = str(run)
            if key not in done:  # several groups share the common setting
                done[key] = _first_rate(pictures, **run)
            setting |= {"group": group, "size": size} | done[key]
            bar.update()
    names = ("group", "size", "loss", "steepest", "tenth_of_minimum")
    return {
        "rates": list(FIRST_RATES),
        "settings": [{name: setting[name] for name in names} for setting in settings],
    }


def _first_rate(pictures: data.Pictures, channels: tuple, count: int, steps: int, batch_size: int) -> dict:
    some = pictures.train[:count]
    losses = [
        sum(_short_run(pictures, some, channels, steps, batch_size, rate, seed) for seed in (0, 1)) / 2
        for rate in FIRST_RATES
    ]
    torch.manual_seed(0)
    test = lr_range_test.range_test(
        models.MyNet(channels), pictures, train=some, batch_size=batch_size, optimizer=sgd(1.0), steps=80
    )
    return {
        "loss": [round(loss, 4) for loss in losses],
        "steepest": round(test.steepest, 6),
        "tenth_of_minimum": round(test.tenth_of_minimum, 6),
    }


def _short_run(pictures, some, channels, steps: int, batch_size: int, rate: float, seed: int) -> float:
    torch.manual_seed(seed)
    model, batches = models.MyNet(channels), _Steps(len(some), batch_size, steps, seed)
    try:
        history = training.fit(model, pictures, epochs=1, train=some, batches=batches, optimizer=sgd(rate), seed=seed)
    except ValueError:  # the loss became infinite
        return GUESSING
    return min(history.validation_loss[-1], GUESSING)


class _Steps:
    """A batch sampler of a fixed number of batches, whether less than a pass or several passes."""

    def __init__(self, count: int, batch_size: int, steps: int, seed: int):
        self.passes, self.steps = Parts(count, batch_size, parts=1, seed=seed), steps

    def __iter__(self) -> Iterator[list[int]]:
        left = self.steps
        while left:
            for batch in self.passes:
                yield batch
                left -= 1
                if not left:
                    return
