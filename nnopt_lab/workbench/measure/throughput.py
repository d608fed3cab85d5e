"""Throughput including the copies to the device: plain, from pinned memory, or overlapped with the work."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from nnopt_lab.workbench import device, smoke
from nnopt_lab.workbench.measure.modes import inference
from nnopt_lab.workbench.measure.timing import Timing

COPIES = ("none", "plain", "pinned", "overlapped")


def throughput(
    model: Callable[[Tensor], object],
    pictures: Tensor,
    batch_size: int = 256,
    *,
    copies: str = "overlapped",
    rounds: int = 6,
    budget_seconds: float = 10.0,
) -> Timing:
    """Time passes over many pictures, batch by batch, including the copies to the model's device.

    Args:
        model: a network or an engine; its outputs stay on its device, and its mode is restored.
        pictures: [N, ...] on the CPU, N at least 1.
        batch_size: pictures per batch, at least 1; the last batch may be smaller.
        copies: "none" (all pictures are on the device from the start), "plain" (the host copies each batch from
            ordinary memory and waits), "pinned" (each copy starts from pinned memory, without waiting, in the same
            stream as the work) or "overlapped" (as "pinned", in a second stream: the device copies the next batch while
            it computes this one). On the CPU nothing is copied, and all four do the same.
        rounds: timed passes, at least 1; one more pass warms up.
        budget_seconds: no further pass starts after this time, above 0.

    Returns:
        A `Timing` of whole passes, whose `throughput` is pictures per second, copies included.

    Raises:
        ValueError: an argument is out of its range, or the device has no second stream.
    """
    if copies not in COPIES:
        raise ValueError(f"copies={copies!r} must be one of {', '.join(COPIES)}.")
    if pictures.dim() < 1 or len(pictures) < 1 or pictures.device.type != "cpu":
        raise ValueError(f"pictures is {list(pictures.shape)} on {pictures.device}; it must be [N, ...] on the CPU.")
    if batch_size < 1 or rounds < 1 or not budget_seconds > 0:
        raise ValueError(
            f"batch_size={batch_size} and rounds={rounds} must be at least 1, budget_seconds={budget_seconds} above 0."
        )
    here, rounds = device.of(model), smoke.cap(rounds, 1)
    batches = _in_memory(pictures, here, copies).split(batch_size)
    one_pass = _overlapped if copies == "overlapped" and device.is_accelerator(here) else _in_turn
    samples, started = [], time.perf_counter()
    with inference(model):
        one_pass(model, batches, here, copies)
        while len(samples) < rounds and (not samples or time.perf_counter() - started < budget_seconds):
            device.synchronize(here)
            with device.Stopwatch(here) as watch:
                one_pass(model, batches, here, copies)
            samples.append(watch.seconds)
    return Timing(tuple(samples), len(pictures))


def _in_memory(pictures: Tensor, here: torch.device, copies: str) -> Tensor:
    """Put the pictures where the copies start: on the device, in pinned memory, or leave them."""
    if copies == "none":
        return device.upload(pictures, here, wait=True)
    return pictures if copies == "plain" else device.pin(pictures, here)


def _in_turn(model: Callable, batches: tuple[Tensor, ...], here: torch.device, copies: str) -> None:
    for batch in batches:
        copied = copies != "none" and device.is_accelerator(here)
        model(device.upload(batch, here, wait=copies == "plain") if copied else batch)


def _overlapped(model: Callable, batches: tuple[Tensor, ...], here: torch.device, copies: str) -> None:
    """Use two buffers: while the device reads one, the next batch is copied into the other."""
    copier, worker = device.side_stream(here), device.current_stream(here)
    if copier is None:
        raise ValueError(f"copies={copies!r} needs a second stream, which torch does not offer on {here.type}.")
    buffers = [torch.empty_like(batches[0], device=here) for _ in range(2)]

    def start(i: int) -> None:
        # The work that reads this buffer is among the launches so far: the copy must not overwrite it before.
        copier.wait_stream(worker)
        with device.beside(copier):
            device.upload(batches[i], here, out=buffers[i % 2][: len(batches[i])])

    start(0)
    for i, batch in enumerate(batches):
        worker.wait_stream(copier)
        if i + 1 < len(batches):
            start(i + 1)
        model(buffers[i % 2][: len(batch)])
