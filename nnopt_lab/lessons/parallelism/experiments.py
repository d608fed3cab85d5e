"""Lesson 10's experiments: several processes that train together, and an accelerator compared with the CPU."""

import tempfile
from pathlib import Path

import torch
from torch import nn

from nnopt_lab.course.recordings import experiment
from nnopt_lab.techniques.parallelism import launching
from nnopt_lab.workbench import data, device, measure, models

BATCH_SIZES = (1, 4, 16, 64, 256, 1024, 4096)
COPIES = ("plain", "pinned", "pinned, asynchronous")
TRAINED_ON, EPOCHS, DIES_IN, BATCH_SIZE, ROUNDS = 1_024, 3, 1, 256, 7


def save_pictures(path: Path, pictures: data.Pictures) -> Path:
    """Write training pictures as `data_parallel` reads them: transformed once, as tensors. Returns `path`."""
    some = pictures.train[:TRAINED_ON]
    torch.save({"inputs": pictures.to_input(some.images), "labels": some.labels}, path)
    return path


def two_processes(folder: Path, show=print) -> dict:
    """Two processes: equal gradients, speed, memory, an undisturbed training, and one in which a process dies.

    Args:
        folder: holds pictures.pt, from `save_pictures`.
        show: as in `launching.launch`.

    Returns:
        Results by job, as `data_parallel` gives them, and "difference": the largest between both trainings' weights.
    """
    options = {"batch-size": BATCH_SIZE, "rounds": ROUNDS, "epochs": EPOCHS, "kill": DIES_IN}
    options = [f"--{name}={value}" for name, value in (options | {"checkpoint": folder / "calm.pt"}).items()]
    jobs = ("equal", "speed", "sharded", "train", "killed")
    results = launching.launch(folder / "pictures.pt", *jobs, *options, restarts=1, show=show)
    calm, killed = (torch.load(folder / name)["model"].values() for name in ("calm.pt", "calm.pt.killed"))
    return results | {"difference": max((a - b).abs().max().item() for a, b in zip(calm, killed, strict=True))}


@experiment
def processes() -> dict:
    """`two_processes`, recorded for machines on which torchrun cannot start them."""
    with tempfile.TemporaryDirectory() as folder:
        save_pictures(Path(folder, "pictures.pt"), data.load("fashion"))
        return two_processes(Path(folder))


@experiment
def accelerator() -> dict:
    """Throughput of an accelerator: of copies to it, and of `MyNet` on it and on the CPU.

    Returns:
        {"device": name, "copy": {way: GB/s}, "sizes": [B], "accelerator": [B], "cpu": [B]}, the last two in pictures
        per second.

    Raises:
        DeviceMissing: this machine has none.
    """
    return {"device": measure.machine().accelerator} | _measured_on(device.find("accelerator"))


def _measured_on(here: torch.device) -> dict:
    batch = torch.rand(BATCH_SIZES[-1], 3, 32, 32)
    pinned = batch.pin_memory() if here.type == "cuda" else batch
    ways = {
        COPIES[0]: lambda: batch.to(here),
        COPIES[1]: lambda: pinned.to(here),
        COPIES[2]: lambda: pinned.to(here, non_blocking=True),
    }
    # Eight copies in a row: the clock waits for the device after the last one only, so the others may overlap.
    eight = {name: lambda _, copy=copy: [copy() for _ in range(8)] for name, copy in ways.items()}
    timed = measure.latency(eight, torch.zeros(1, device=here), rounds=20, budget_seconds=5)
    return {
        "copy": {name: 8 * batch.nbytes / timing.median / 1e9 for name, timing in timed.items()},
        "sizes": list(BATCH_SIZES),
        "accelerator": _throughput(models.trained("mynet").to(here), batch.to(here)),
        "cpu": _throughput(models.trained("mynet"), batch),
    }


def _throughput(net: nn.Module, pictures: torch.Tensor) -> list[float]:
    timings = (measure.latency({"": net}, pictures[:size], rounds=10, budget_seconds=2)[""] for size in BATCH_SIZES)
    return [timing.throughput for timing in timings]
