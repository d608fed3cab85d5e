"""Recorded results of experiments that take too long for a lesson: in `data/recorded/`, or live on request.

A lesson's experiments are in `nnopt_lab/lessons/NAME/experiments.py`, marked with `experiment`.
"""

import json
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import torch

from nnopt_lab.course.lesson import modules
from nnopt_lab.course.workspace import write_atomically
from nnopt_lab.workbench import device, provenance
from nnopt_lab.workbench.files import check_writable, make_folder
from nnopt_lab.workbench.language import _
from nnopt_lab.workbench.paths import data_dir, how_to_restore
from nnopt_lab.workbench.progress_bar import progress_bar

_experiments: dict[str, Callable[[], dict]] = {}


def experiment(function: Callable[[], dict]) -> Callable[[], dict]:
    """Decorator: register a lesson's experiment, a function without arguments → a dict for JSON, under its name."""
    _experiments[function.__name__] = function
    return function


def experiments() -> dict[str, Callable[[], dict]]:
    """The experiments of all lessons, by name."""
    for _module in modules("experiments"):
        pass
    return _experiments


def over_seeds(runs: dict[Hashable, Callable[[int], Any]], seeds: Sequence[int], description: str) -> dict:
    """Run several functions with every seed.

    Args:
        runs: functions of a seed, by name; each seeds its own random numbers, so that their order does not matter.
        seeds: K seeds.
        description: the progress bar's title.

    Returns:
        {name: [K] results, in the order of the seeds}.
    """
    results = {name: [] for name in runs}
    with progress_bar(total=len(runs) * len(seeds), desc=description, unit="run") as bar:
        for seed in seeds:
            for name, run in runs.items():
                results[name].append(run(seed))
                bar.update()
    return results


def recorded(name: str, *, live: bool = False) -> dict:
    """Load the recorded result of an experiment, or with `live` run it on this machine without recording it.

    Returns:
        {"result": …, "command": …, "versions": …, "processor": …}.

    Raises:
        ValueError: there is no such experiment, or its recording is damaged.
        FileNotFoundError: its recording is missing.
    """
    experiment = _experiment(name)
    if live:
        return _with_origin(name, experiment())
    path = _file(name)
    cure = how_to_restore(f"data/recorded/{path.name}", f"nnopt record {name}")
    if not path.is_file():
        raise FileNotFoundError(f"data/recorded/{path.name} is missing: {cure}.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {cure}.") from error


def live_or_recorded(name: str) -> dict | None:
    """The result of an experiment that needs an accelerator: measured here if there is one, else recorded.

    Returns:
        The result, or None with a printed sentence if the course has no recording of it.
    """
    if device.accelerator() is not None:
        return recorded(name, live=True)["result"]
    try:
        return recorded(name)["result"]
    except FileNotFoundError:
        print(_("This needs an accelerator, and no recording of it comes with the course yet."))
        print(_("`nnopt record {name}` makes one on a machine that has an accelerator.", name=name))
        return None


def record(name: str) -> dict:
    """Run an experiment and write its recording.

    Raises:
        ValueError: there is no such experiment.
        OSError: the recording can't be written; raised before the experiment runs.
    """
    experiment = _experiment(name)
    make_folder(_file(name).parent)
    check_writable(_file(name))  # before the experiment, which may take hours
    result = _with_origin(name, experiment())
    write_atomically(_file(name), json.dumps(result, indent=1) + "\n")
    return result


def _experiment(name: str) -> Callable[[], dict]:
    if name not in experiments():
        raise ValueError(f"name={name!r} is not a recorded experiment; choose one of {', '.join(experiments())}.")
    return experiments()[name]


def _with_origin(name: str, result: dict) -> dict:
    return {
        "command": f"nnopt record {name}",
        **provenance.environment(),
        "threads": torch.get_num_threads(),
        "result": result,
    }


def _file(name: str) -> Path:
    return data_dir() / "recorded" / f"{name}.json"
