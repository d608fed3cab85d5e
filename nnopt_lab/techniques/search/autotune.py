"""Search for the best way to make a given classifier smaller or faster: which techniques, how much of each, and where.

The article's section 5.1. A sampler (optuna's Gaussian processes) proposes configurations (`candidates`), each is
trained briefly and measured (`searcher`), and a `result.Search` contains the results. The search begins with the
configurations that manual tuning would try, and cheap `estimates` stop trials that cannot reach the Pareto front.

Sources: Daulton et al. 2020, "Differentiable Expected Hypervolume Improvement", https://arxiv.org/abs/2006.05078;
Ozaki et al. 2022, "Multiobjective Tree-Structured Parzen Estimator", https://doi.org/10.1613/jair.1.13188; Akiba et al.
2019, "Optuna", https://arxiv.org/abs/1907.10902; He et al. 2018, "AMC: AutoML for Model Compression and Acceleration on
Mobile Devices", https://arxiv.org/abs/1802.03494 (one share per layer, by search).
"""

import importlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.logs import quiet
from nnopt_lab.techniques.deployment.registry import check_names
from nnopt_lab.techniques.search import presets
from nnopt_lab.techniques.search.checks import prepared
from nnopt_lab.techniques.search.interrupts import noticed
from nnopt_lab.techniques.search.points import EAGER, Goal
from nnopt_lab.techniques.search.result import Search
from nnopt_lab.techniques.search.searcher import Searcher
from nnopt_lab.techniques.search.study import SAMPLERS
from nnopt_lab.workbench.device import find, is_accelerator

FEW = 5  # so few trials are all manual ones, since a sampler learns nothing from fewer
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
    """Names of the engines from which a search on a device chooses by default."""
    return ACCELERATOR_DEFAULTS if is_accelerator(here) else DEFAULT_ENGINES


def optimize(
    model: nn.Module,
    train,
    validation,
    *,
    goal: Goal | str = "latency",
    to_input: Callable[[Tensor], Tensor] | None = None,
    preset: str = "balanced",
    trials: int | None = None,
    seconds: float | None = None,
    storage: Path | str | None = None,
    engine_names: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
    epochs: int | None = None,
    rate: float = 1e-3,
    batch_size: int = 128,
    sampler: str = "gp",
    manual_starts: bool = True,
    stop_early: bool = True,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
) -> Search:
    """Search for smaller or faster versions of a classifier. Ctrl-C ends the search and keeps its results so far.

    Times are measured with the number of threads that torch uses. With a single one (`torch.set_num_threads(1)`), other
    programs on the machine do not distort them.

    Args:
        model: any trained classifier [N, ...] → logits [N, classes] of one float input: pictures, signals, tables; left
            unchanged. Frozen parameters stay frozen. float16, bfloat16 and float64 become float32, see `networks`.
        train, validation: the data to train and to compare candidates on: a `data.Split`, (pictures, labels), a data
            set or a `DataLoader`, see `datasets.as_split`. They are loaded into memory, or read batch by batch if they
            are larger than a quarter of it. Keep other pictures for the final evaluation.
        goal: a `Goal`, or its target: "latency" or "bytes".
        to_input: pictures → float32 [N, ...], such as `pictures.to_input`; not needed if they are that already.
        preset: the effort: "quick" tries 8 configurations, for 1 epoch each, and starts no trial after 10 minutes;
            "balanced" tries 40 for 2 epochs; "thorough" tries 120 for 4 epochs. `trials`, `epochs` and `seconds`
            replace what the preset says.
        trials: total number of trials, at least 1, including earlier calls with the same storage.
        seconds: no further trial starts after this time, above 0; `math.inf` for no limit.
        storage: a file (SQLite) or a database URL that stores the search, so that later calls continue it and several
            processes and machines can share it. Other limits of the goal go on with the same trials. Networks of the
            front are saved in a folder beside a file. Default memory.
        engine_names: engines of the device on which every candidate is measured if latency matters, see
            `deployment.engines_on`; default `default_engines(device)`. Each adds its build time to a trial. Those that
            take 3 times as long as another for the original are left out. For those that cannot run this model, a
            sentence in the result's `notes` says why.
        device: on which candidates are timed, with pictures already there: "cpu", "accelerator", or a device of torch
            such as "cuda:0". Training uses the accelerator if there is one.
        epochs, rate, batch_size: of each candidate's training, as in `tasks.Task`; with two or more epochs, trials can
            be stopped between them.
        sampler: "gp" (Gaussian processes), "tpe" (tree-structured Parzen estimator), or "random" as a control.
        manual_starts: begin with the configurations that manual tuning would try, see `search_space.Space.starts`.
        stop_early: stop trials that cannot reach the front or, by the estimates, will exceed a limit.
        seed: of the training, and of the sampler if the search is in memory. (With a storage, every call samples
            differently.)
        class_names: of classes 0, 1, …, for reports; default those of the data set, if it has any.

    Returns:
        The trials' results, their Pareto front, and its networks.

    Raises:
        KeyboardInterrupt: Ctrl-C came before the first trial.
        ValueError: an argument is out of its range, the network does not fit the data or can't be searched (see
            `checks`), the device is missing, the storage contains another search or cannot be used, or no trial
            succeeded.
    """
    goal = Goal(goal) if isinstance(goal, str) else goal
    here = find(device)
    engine_names = default_engines(here) if engine_names is None else engine_names
    check_names(engine_names, here)
    if batch_size < 1 or not 0 < rate < math.inf:
        raise ValueError(f"batch_size={batch_size} must be at least 1, and rate={rate} above 0 and finite.")
    effort = presets.chosen(preset, trials, epochs, seconds)
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler={sampler!r} must be one of {', '.join(map(repr, SAMPLERS))}.")
    task = prepared(
        model,
        train,
        validation,
        to_input,
        goal.batch,
        class_names,
        epochs=effort.epochs,
        rate=rate,
        batch_size=batch_size,
        seed=seed,
        device=here,
    )
    importlib.import_module("optuna")  # its import sets its log level, which `quiet` must change afterwards
    with quiet("optuna"):
        try:
            with noticed():
                searcher = Searcher(task, goal, engine_names, storage, sampler, stop_early)
                if manual_starts:
                    searcher.begin_with_starts(max(effort.trials // 2, min(effort.trials, FEW)))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "The search was interrupted before its first trial, so it has no results."
            ) from None
        return searcher.run(effort.trials, effort.seconds)
