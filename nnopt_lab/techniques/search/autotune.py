"""A search for the best way to make a given classifier smaller or faster: which techniques, how much of each, where.

The article's section 5.1. A sampler (optuna's Gaussian processes) proposes configurations (`candidates`), each is
trained briefly and measured (`searcher`), and a `result.Search` holds what was found. The search begins with what
manual tuning would try, and cheap `estimates` spare trials that cannot end on the front.

Sources: Daulton et al. 2020, "Differentiable Expected Hypervolume Improvement"; Ozaki et al. 2022, "Multiobjective
Tree-Structured Parzen Estimator"; Akiba et al. 2019, "Optuna"; He et al. 2018, "AMC: AutoML for Model Compression and
Acceleration on Mobile Devices" (one share per layer, by search).
"""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.logs import quiet
from nnopt_lab.techniques.deployment.registry import check_names
from nnopt_lab.techniques.network_checks import copied
from nnopt_lab.techniques.search.points import EAGER, Goal
from nnopt_lab.techniques.search.result import Search
from nnopt_lab.techniques.search.searcher import Searcher
from nnopt_lab.techniques.search.study import SAMPLERS, storage_errors
from nnopt_lab.techniques.search.tasks import GivenPictures, Task, as_split, require_classifier
from nnopt_lab.workbench.device import find, is_accelerator

DEFAULT_ENGINES = (
    EAGER,
    "channels-last float32",
    "ONNX Runtime float32",
    "ONNX Runtime int8",
    "OpenVINO float32",
    "OpenVINO int8",
)
# Compiled engines are left out, since they add seconds to every trial.
ACCELERATOR_DEFAULTS = (
    EAGER,
    "channels-last bf16",
    "CUDA graph float32",
    "CUDA graph tf32",
    "CUDA graph bf16",
    "CUDA graph fp16",
)


def default_engines(here: torch.device) -> tuple[str, ...]:
    """Return the names of the engines that a search on a device chooses from by default."""
    return ACCELERATOR_DEFAULTS if is_accelerator(here) else DEFAULT_ENGINES


def optimize(
    model: nn.Module,
    train,
    validation,
    *,
    goal: Goal | str = "latency",
    to_input: Callable[[Tensor], Tensor] | None = None,
    trials: int = 40,
    seconds: float | None = None,
    storage: Path | str | None = None,
    engine_names: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
    epochs: int = 2,
    rate: float = 1e-3,
    batch_size: int = 128,
    sampler: str = "gp",
    manual_starts: bool = True,
    stop_early: bool = True,
    seed: int = 0,
) -> Search:
    """Search for smaller or faster versions of a classifier. Ctrl-C ends the search and keeps what it has found.

    Times are those of as many threads as torch has. With one (`torch.set_num_threads(1)`), other programs on the
    machine do not falsify them.

    Args:
        model: any trained classifier [N, ...] → logits float32 [N, classes]; left as it was. What is frozen in it
            stays frozen.
        train, validation: what candidates learn from, and what they are judged by: a `data.Split`, (pictures, labels),
            or a data set of (picture, label). All is held in memory. Keep pictures back for the final judgement.
        goal: a `Goal`, or its target: "latency" or "bytes".
        to_input: pictures → float32 [N, ...], such as `pictures.to_input`; None where they are that already.
        trials: in all, those of earlier calls with the same storage included.
        seconds: after this time no further trial starts.
        storage: a file (SQLite), or a database's URL, in which the search goes on, and which several processes and
            machines may share; networks worth exporting are kept in a folder beside a file. None for memory.
        engine_names: of engines of the device to choose from, see `deployment.engines_on`, where latency is the target;
            each adds its building time to a trial. `default_engines` where it is None. For those that cannot run this
            model, a sentence in the result's `notes` says why.
        device: where candidates are timed: "cpu", "accelerator" (whichever the machine has), or a torch device such as
            "cuda:0". Times don't include copies. Candidates are always trained on the accelerator if there is one.
        epochs, rate, batch_size: of each candidate's training, as in `tasks.Task`; from two epochs on, trials
            can be stopped between them.
        sampler: "gp" (Gaussian processes) or "tpe" (tree-structured Parzen estimator), or "random" as a control.
        manual_starts: begin with what manual tuning would try, see `search_space.Space.starts`.
        stop_early: stop trials that cannot end on the front, or will break a limit by the estimates.
        seed: of the training; in memory also of the sampler. (With a storage, every call draws anew.)

    Raises:
        ValueError: an argument is not as said here, the device is not there, the storage holds another search or cannot
            be used, or no trial succeeded.
    """
    goal = Goal(goal) if isinstance(goal, str) else goal
    if not isinstance(model, nn.Module):
        raise ValueError(f"model is {type(model).__name__}; it must be a classifier, a torch.nn.Module.")
    here = find(device)
    engine_names = default_engines(here) if engine_names is None else engine_names
    check_names(engine_names, here)
    if batch_size < 1 or not rate > 0:
        raise ValueError(f"batch_size={batch_size} must be at least 1, and rate={rate} above 0.")
    if trials < 1 or epochs < 1 or sampler not in SAMPLERS:
        raise ValueError(f"trials={trials} and epochs={epochs} must be at least 1, sampler={sampler!r} of {SAMPLERS}.")
    transform = to_input or (lambda images: images)
    pictures = GivenPictures(as_split(train, "train"), as_split(validation, "validation"), transform)
    task = Task(copied(model).cpu().eval(), pictures, epochs, rate, batch_size, seed, here)
    require_classifier(task, goal.batch)
    importlib.import_module("optuna")  # it sets the level of its own log when it is imported
    with quiet("optuna"), storage_errors(storage):
        searcher = Searcher(task, goal, engine_names, storage, sampler, stop_early)
        if manual_starts:
            searcher.begin_with_starts(max(trials // 2, 1))
        return searcher.run(trials, seconds)
