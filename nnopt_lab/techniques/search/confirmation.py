"""Measure an exported network again: its own file in a new process, in turns with the original."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nnopt_lab.techniques.deployment.engine import Engine, EngineUnavailable
from nnopt_lab.techniques.deployment.torch_engines import write_program
from nnopt_lab.techniques.search import evaluation, exported_files
from nnopt_lab.techniques.search.comparison import Comparison, Usage
from nnopt_lab.techniques.search.fresh_process import FreshProcess
from nnopt_lab.techniques.search.points import EAGER
from nnopt_lab.techniques.search.tasks import Task
from nnopt_lab.workbench import data, device, measure, smoke
from nnopt_lab.workbench.cores import usable_cores

BATCHES = (1, 32)  # timed beside the goal's
LONGEST_SECONDS = 1.0  # the original's longest batch that is timed, unless the goal asks for it
ENERGY_SECONDS = 2.0


@dataclass(frozen=True)
class ExportedNetwork:
    """An exported network that can be run.

    Attributes:
        engine: the engine in this process, which runs if there is no file.
        folder, kind: of the engine's own file, see `standalone.FILES`; `kind` is None if it has none for load.py.
    """

    engine: Engine
    folder: Path
    kind: str | None

    @contextlib.contextmanager
    def running(self) -> Iterator[Callable[[Tensor], Tensor]]:
        """A function from float32 [N, ...] to logits: a `FreshProcess` if there is a file."""
        if self.kind is None:
            yield self.engine
        else:
            with FreshProcess(self.folder, self.kind, torch.get_num_threads()) as network:
                yield network

    def thread_counts(self) -> list[int]:
        """The numbers of threads to time: this process's first, then one and all cores if a file can be run so."""
        counts = [torch.get_num_threads()]
        if self.kind is not None:
            counts += [1, usable_cores()]
        return list(dict.fromkeys(counts))


def confirm(task: Task, batch: int, seconds: float, baseline: Engine, network: ExportedNetwork) -> Comparison:
    """Run the original and an exported network on the validation pictures, and measure both.

    Args:
        task: the task of the search.
        batch: the goal's pictures per batch.
        seconds: the original's time for such a batch.
        baseline: the original in eager torch.
        network: the exported one.

    Raises:
        EngineUnavailable: the exported network cannot be run.
    """
    split, mine = smoke.few(task.pictures.validation), torch.get_num_threads()
    batches = sorted({batch} | {count for count in BATCHES if count * seconds / batch <= LONGEST_SECONDS})
    inputs = {count: task.inputs(count).to(task.device) for count in batches}
    times = {}
    with network.running() as run:
        answers = [_answers(engine, split, task) for engine in (baseline, run)]
        usage = _usage(task, baseline, run, inputs[batch])
        # The file runs without this package's checks of each call, so the original does, too.
        plain = task.model if isinstance(run, FreshProcess) else baseline
        for threads in network.thread_counts():
            with _threads(threads, run):
                for count, x in inputs.items():
                    times[count, threads] = evaluation.timings({"original": plain, "new": run}, x)
    return Comparison(split.labels, *answers, task.class_names or (), dict(sorted(times.items())), (batch, mine), usage)


def _answers(engine: Callable, split: data.Split, task: Task) -> Tensor:
    return torch.cat([engine(inputs).argmax(1).cpu() for inputs, _ in data.loader(split, task.pictures, 256)])


def _usage(task: Task, baseline: Engine, run: Callable, x: Tensor) -> Usage:
    memory, why = _memory(task, baseline, run, x)
    energy = [measure.energy(baseline, x, ENERGY_SECONDS)]
    if energy[0].joules is not None:
        energy.append(measure.energy(run, x, ENERGY_SECONDS))
    return Usage(memory, why, tuple(one.joules for one in energy), energy[0].reason)


def _memory(task: Task, baseline: Engine, run: Callable, x: Tensor) -> tuple[tuple[int | None, ...], str]:
    """Peak bytes of both, and how they were measured or why not."""
    if device.is_accelerator(task.device):
        try:
            both = tuple(measure.peak_memory(engine, x) for engine in (baseline, run))
        except ValueError as error:
            return (), str(error)
        return both, "memory that a call allocates on the device, without the weights"
    if not isinstance(run, FreshProcess):
        return (), "the exported network has no file that a new process could run."
    try:
        both = _original_memory(task, x, run.threads), run.peak_memory(x)
    except EngineUnavailable as unavailable:
        return (), str(unavailable)
    if None in both:
        return (), "only Linux keeps the peak of a process's memory."
    return both, "resident memory for the weights and a call in a new process, beyond what its runtime needs"


def _original_memory(task: Task, x: Tensor, threads: int) -> int | None:
    with tempfile.TemporaryDirectory() as folder:
        exported_files.write_loader(Path(folder), {})
        write_program(Path(folder, "model.pt2"), EAGER, task.model, task.calibration)
        with FreshProcess(Path(folder), "torch", threads) as original:
            return original.peak_memory(x)


@contextlib.contextmanager
def _threads(count: int, run: Callable) -> Iterator[None]:
    before = torch.get_num_threads()
    if isinstance(run, FreshProcess) and run.threads != count:
        run.set_threads(count)
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
