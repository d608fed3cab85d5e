"""A search's storage of trials: an optuna study, in memory or in a database that processes can share."""

import contextlib
import importlib
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from nnopt_lab.techniques.network_checks import first_sentence
from nnopt_lab.techniques.search.points import Goal
from nnopt_lab.techniques.search.tasks import Task
from nnopt_lab.workbench import fingerprints
from nnopt_lab.workbench.device import CPU

SAMPLERS = ("gp", "tpe", "random")
TRIALS = "a point per engine"  # the kind of trials that this version stores; those of another kind are another search
OPENING_TRIES = 20  # when several processes make the same tables at the same moment
STARTUP_TRIALS = 8  # starts and random trials before the Gaussian process proposes any


def open_study(storage: Path | str | None, sampler: str, seed: int):
    """Open or create an optuna study with two objectives, accuracy and cost.

    Args:
        storage: a file (SQLite) or a database URL; None for memory.
        sampler: one of `SAMPLERS`.
        seed: of the sampler, if the study is in memory.

    Raises:
        ValueError: the file's folder is missing, or the storage cannot be used.
    """
    optuna = importlib.import_module("optuna")
    samplers = {
        "gp": partial(optuna.samplers.GPSampler, n_startup_trials=STARTUP_TRIALS),
        "tpe": optuna.samplers.TPESampler,
        "random": optuna.samplers.RandomSampler,
    }
    create = partial(
        optuna.create_study,
        storage=_url(storage),
        sampler=samplers[sampler](seed=_seed(storage, seed)),
        study_name="nnopt",
        directions=["maximize", "minimize"],
        load_if_exists=True,
    )
    with _storage_errors(storage, ImportError):  # a database's driver may be missing
        for _ in range(OPENING_TRIES):
            with contextlib.suppress(_MadeByAnother), _made_by_another():
                return create()
            time.sleep(random.uniform(0.05, 0.3))
        return create()


def _seed(storage: Path | str | None, seed: int) -> int | None:
    """None with a storage, where a later call or a second process must not repeat the first one's samples."""
    return seed if storage is None else None


class _MadeByAnother(Exception):
    """Another process made the same table or row first."""


@contextlib.contextmanager
def _made_by_another() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        causes = " ".join(str(e) for e in (error, error.__cause__, error.__context__) if e)
        if any(sign in causes for sign in ("UNIQUE constraint", "already exists", "IntegrityError")):
            raise _MadeByAnother from error
        raise


class StoredStudy:
    """An optuna study whose storage errors are a ValueError of one sentence; nothing else is done in between.

    Args:
        storage, sampler, seed: as in `open_study`.
    """

    def __init__(self, storage: Path | str | None, sampler: str, seed: int):
        self.study, self.storage = open_study(storage, sampler, seed), storage
        self.seed = _seed(storage, seed)

    def agree(self, name: str, value):
        """Return the value that the first process stored under a name; `value`, if this process is the first."""
        with _storage_errors(self.storage):
            if name not in self.study.user_attrs:
                self.study.set_user_attr(name, value)
            return self.study.user_attrs[name]

    def agreed(self, name: str):
        """Return what `agree` stored under a name; None if nothing."""
        with _storage_errors(self.storage):
            return self.study.user_attrs.get(name)

    def trials(self) -> list:
        """All trials, of all processes; they must not be changed."""
        with _storage_errors(self.storage):
            return self.study.get_trials(deepcopy=False)

    def ask(self, space: dict, params: dict | None = None):
        """Begin a trial: one that was scheduled, else one with `params`, else one of the sampler."""
        with _storage_errors(self.storage):
            if params is not None:
                self.study.enqueue_trial(params)
            return self.study.ask(space)

    def schedule(self, params: dict) -> None:
        """Make the trial that begins next have `params`."""
        with _storage_errors(self.storage):
            self.study.enqueue_trial(params)

    def note(self, trial, /, **attributes) -> None:
        """Store attributes of a trial, in their order."""
        with _storage_errors(self.storage):
            for name, value in attributes.items():
                trial.set_user_attr(name, value)

    def end(self, trial, values: Sequence[float] | None, excess: dict[str, float] | None = None) -> None:
        """End a trial with its values, or as failed; `excess` says how far it exceeds each limit, at most 0 if not."""
        optuna = importlib.import_module("optuna")
        with _storage_errors(self.storage):
            for name, by in (excess or {}).items():
                trial.set_constraint(name, by)
            self.study.tell(trial, values, state=None if values else optuna.trial.TrialState.FAIL)


@contextlib.contextmanager
def _storage_errors(storage: Path | str | None, *more: type[Exception]) -> Iterator[None]:
    """Turn errors of a storage (locked, damaged, of unknown kind) into a ValueError of one sentence.

    The storage keeps its contents.
    """
    optuna, sqlalchemy = importlib.import_module("optuna"), importlib.import_module("sqlalchemy")
    kinds = (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, *more)
    try:
        yield
    except kinds as error:
        if storage is None:
            raise
        while isinstance(error, optuna.exceptions.StorageInternalError) and error.__cause__:
            error = error.__cause__  # optuna's own message is for its developers
        why = first_sentence(getattr(error, "orig", None) or error)
        raise ValueError(f"storage={str(storage)!r} cannot be used ({why}).") from error


def _url(storage: Path | str | None) -> str | None:
    if storage is None or "://" in str(storage):
        return storage
    path = Path(storage).absolute()
    if not path.parent.is_dir():
        raise ValueError(f"storage={str(storage)!r}: its folder {str(path.parent.name)!r} is missing; make it first.")
    if path.is_dir():
        raise ValueError(f"storage={str(storage)!r} must be a file, but is a folder.")
    # A URI inside the URL quotes "?", "%", "#" and braces in the name, which not every SQLAlchemy does itself.
    url = importlib.import_module("sqlalchemy").URL.create("sqlite", database=path.as_uri(), query={"uri": "true"})
    return url.render_as_string()


def networks_folder(storage: Path | str | None) -> Path | None:
    """The folder beside a storage file in which a search keeps networks; None if the storage is not a file."""
    if storage is None:
        return None
    path = str(storage).removeprefix("sqlite:///")
    return None if "://" in path else Path(f"{path}.networks")


def fingerprint(task: Task, goal: Goal, engine_names: Sequence[str] = ()) -> str:
    """Return 16 hexadecimal digits that depend on the network, data, training, target, engines and kind of device.

    The network includes its weights, activations and forward, the data its `to_input`. The goal's limits don't count:
    trials stay valid if a limit changes.
    """
    pictures = task.pictures
    training = task.epochs, task.rate, task.batch_size, task.seed
    if task.device != CPU:
        training += (task.device.type,)
    splits = [(split.images, split.labels) for split in (pictures.train, pictures.validation)]
    purpose = goal.target, goal.batch, sorted(set(engine_names))
    return fingerprints.fingerprint(TRIALS, task.model, purpose, training, splits, pictures.to_input)
