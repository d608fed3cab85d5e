"""Where a search remembers its trials: an optuna study, in memory or in a database that processes can share."""

import hashlib
import importlib
from functools import partial
from pathlib import Path

import torch

from nnopt_lab.techniques.search.points import Goal
from nnopt_lab.techniques.search.tasks import Task

SAMPLERS = ("gp", "tpe", "random")
STARTUP_TRIALS = 8  # random ones, the starts among them, before a Gaussian process proposes


def open_study(storage: Path | str | None, sampler: str, seed: int):
    """An optuna study of two objectives, accuracy and cost.

    Args:
        storage: a file (SQLite), or a database's URL; None for memory.
        sampler: one of `SAMPLERS`.
        seed: of the sampler, where the study is in memory.
    """
    optuna = importlib.import_module("optuna")
    url = storage if storage is None or "://" in str(storage) else f"sqlite:///{Path(storage)}"
    # A call that goes on, or a second process, must not draw what the first one drew.
    seed = seed if storage is None else None
    samplers = {
        "gp": partial(optuna.samplers.GPSampler, n_startup_trials=STARTUP_TRIALS),
        "tpe": optuna.samplers.TPESampler,
        "random": optuna.samplers.RandomSampler,
    }
    return optuna.create_study(
        storage=url,
        sampler=samplers[sampler](seed=seed),
        study_name="nnopt",
        directions=["maximize", "minimize"],
        load_if_exists=True,
    )


def networks_folder(storage: Path | str | None) -> Path | None:
    """The folder beside a storage in which a search keeps networks; None where the storage is no file."""
    if storage is None:
        return None
    path = str(storage).removeprefix("sqlite:///")
    return None if "://" in path else Path(f"{path}.networks")


def fingerprint(task: Task, goal: Goal) -> str:
    """Sixteen hexadecimal digits that differ for another network, other labels, another training or another goal."""
    seen = hashlib.sha256(repr((str(task.model), goal, task.epochs, task.rate, task.batch_size, task.seed)).encode())
    for tensor in (*task.model.state_dict().values(), task.pictures.train.labels, task.pictures.validation.labels):
        seen.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return seen.hexdigest()[:16]
