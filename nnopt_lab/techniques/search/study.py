"""Where a search remembers its trials: an optuna study, in memory or in a database that processes can share."""

import contextlib
import importlib
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from nnopt_lab.techniques.network_checks import first_sentence
from nnopt_lab.techniques.search.points import Goal
from nnopt_lab.techniques.search.tasks import Task
from nnopt_lab.workbench import fingerprints
from nnopt_lab.workbench.device import CPU

SAMPLERS = ("gp", "tpe", "random")
STARTUP_TRIALS = 8  # random ones, the starts among them, before a Gaussian process proposes


def open_study(storage: Path | str | None, sampler: str, seed: int):
    """An optuna study of two objectives, accuracy and cost.

    Args:
        storage: a file (SQLite), or a database's URL; None for memory.
        sampler: one of `SAMPLERS`.
        seed: of the sampler, where the study is in memory.

    Raises:
        ValueError: the file's folder is not there, or the storage cannot be used.
    """
    optuna = importlib.import_module("optuna")
    # A call that goes on, or a second process, must not draw what the first one drew.
    seed = seed if storage is None else None
    samplers = {
        "gp": partial(optuna.samplers.GPSampler, n_startup_trials=STARTUP_TRIALS),
        "tpe": optuna.samplers.TPESampler,
        "random": optuna.samplers.RandomSampler,
    }
    with storage_errors(storage):
        return optuna.create_study(
            storage=_url(storage),
            sampler=samplers[sampler](seed=seed),
            study_name="nnopt",
            directions=["maximize", "minimize"],
            load_if_exists=True,
        )


@contextlib.contextmanager
def storage_errors(storage: Path | str | None) -> Iterator[None]:
    """Raise a ValueError of one sentence for whatever a storage cannot do: it is locked, damaged, or of no known kind.

    What the storage holds by then stays there.
    """
    optuna, sqlalchemy = importlib.import_module("optuna"), importlib.import_module("sqlalchemy")
    kinds = (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, ImportError)
    try:
        yield
    except kinds as error:
        if storage is None:
            raise
        while isinstance(error, optuna.exceptions.StorageInternalError) and error.__cause__:
            error = error.__cause__  # its own message tells a programmer about optuna
        why = first_sentence(getattr(error, "orig", None) or error)
        raise ValueError(f"storage={str(storage)!r} cannot be used ({why}).") from error


def _url(storage: Path | str | None) -> str | None:
    if storage is None or "://" in str(storage):
        return storage
    path = Path(storage).absolute()
    if not path.parent.is_dir():
        raise ValueError(f"storage={str(storage)!r}: its folder {str(path.parent.name)!r} is not there; make it first.")
    if path.is_dir():
        raise ValueError(f"storage={str(storage)!r} must be a file, and this is a folder.")
    # A URL inside the URL: there "?", "%", "#" and braces of a name are quoted, which not every SQLAlchemy does itself.
    url = importlib.import_module("sqlalchemy").URL.create("sqlite", database=path.as_uri(), query={"uri": "true"})
    return url.render_as_string()


def networks_folder(storage: Path | str | None) -> Path | None:
    """The folder beside a storage in which a search keeps networks; None where the storage is no file."""
    if storage is None:
        return None
    path = str(storage).removeprefix("sqlite:///")
    return None if "://" in path else Path(f"{path}.networks")


def fingerprint(task: Task, goal: Goal) -> str:
    """Sixteen hexadecimal digits that differ for another network, other data, another training, goal or kind of device.

    A network is another with other weights, another activation or another forward; data with another `to_input`.
    """
    pictures = task.pictures
    training = task.epochs, task.rate, task.batch_size, task.seed
    if task.device != CPU:
        training += (task.device.type,)
    splits = [(split.images, split.labels) for split in (pictures.train, pictures.validation)]
    return fingerprints.fingerprint(task.model, goal, training, splits, pictures.to_input)
