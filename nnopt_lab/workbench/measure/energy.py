"""Energy per call on devices with an energy counter: NVIDIA's GPUs, through NVML (`pip install nvidia-ml-py`)."""

import contextlib
import importlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from nnopt_lab.workbench import device, smoke
from nnopt_lab.workbench.language import _
from nnopt_lab.workbench.measure.modes import inference


@dataclass(frozen=True)
class Energy:
    """Energy that a device used per call.

    Attributes:
        joules: energy per call of the whole device, including idle power; None if unknown.
        seconds: time per call.
        calls: number of calls measured.
        reason: why `joules` is None; empty otherwise.
    """

    joules: float | None
    seconds: float
    calls: int
    reason: str = ""

    @property
    def watts(self) -> float | None:
        """Mean power; None if unknown."""
        return None if self.joules is None else self.joules / self.seconds

    def __str__(self) -> str:
        if self.joules is None:
            return _("energy unknown: {reason}", reason=self.reason)
        return _("{joules} J per call ({watts} W)", joules=f"{self.joules:.3g}", watts=f"{self.watts:.0f}")


class _Untold(Exception):
    """The energy of a device can't be read; the message says why."""


def energy(model: Callable[[Tensor], object], example: Tensor, seconds: float = 2.0) -> Energy:
    """Measure the energy of `model(example)` with the energy counter of its device.

    The counter updates every few hundredths of a second and includes other programs on the device, so measure for two
    seconds or longer, on a device of your own. The host's energy isn't included.

    Args:
        model: a network or any function, run in evaluation mode without autograd; its mode is restored.
        example: [N, ...], passed to the model.
        seconds: duration of the measurement, above 0.

    Returns:
        The `Energy` per call, with a reason instead of joules if the device has no counter.

    Raises:
        ValueError: `seconds` is not above 0.
    """
    if not seconds > 0:
        raise ValueError(f"seconds={seconds} must be above 0.")
    with inference(model):
        here = device.of(example, model, model(example))
        one = _seconds(model, example, here, 10) / 10
        calls = max(1, math.ceil(smoke.cap(seconds, 0.01) / max(one, 1e-6)))
        try:
            with _counter(here) as joules:
                before = joules()
                took = _seconds(model, example, here, calls)
                return Energy((joules() - before) / calls, took / calls, calls)
        except _Untold as untold:
            return Energy(None, one, 10, str(untold))


def _seconds(model: Callable, example: Tensor, here: torch.device, calls: int) -> float:
    device.synchronize(here)
    started = device.host_clock(here)
    for _call in range(calls):
        model(example)
    device.synchronize(here)
    return device.host_clock(here) - started


@contextlib.contextmanager
def _counter(here: torch.device) -> Iterator[Callable[[], float]]:
    """A function that reads the joules that a device has used since its driver was loaded."""
    seen = device.describe(here)
    if seen.kind != "cuda" or seen.capability is None:
        raise _Untold(f"only NVIDIA's GPUs have a counter that can be read, and this is {seen.name}.")
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError as error:
        raise _Untold("NVML is not installed: `pip install nvidia-ml-py`.") from error
    try:
        nvml.nvmlInit()
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(device.uuid(here))
            yield lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        raise _Untold(f"NVML can't read it on {seen.name} ({error}).") from error
