"""Wait for a device, and time its work instead of its launches."""

import time

import torch

from nnopt_lab.workbench.device.found import is_accelerator
from nnopt_lab.workbench.device.stand_in import StandInEvent, stands_in
from nnopt_lab.workbench.device.streams import current_stream


def synchronize(device: torch.device) -> None:
    """Wait until a device has finished everything launched so far; return at once on the CPU."""
    if fake := stands_in(device):
        fake.wait()
    elif is_accelerator(device):
        torch.accelerator.synchronize(device)


def host_clock(device: torch.device) -> float:
    """Read the host's clock in seconds, without waiting for the device."""
    fake = stands_in(device)
    return fake.clock() if fake else time.perf_counter()


class Stopwatch:
    """Time the work that a block launches on a device.

        with Stopwatch(device) as watch:
            model(pictures)
        watch.seconds

    Two events in the device's queue mark the beginning and the end, so work that was queued earlier doesn't count. On a
    device without events, the host's clock is read after waiting for the device.

    Attributes:
        launch_seconds: seconds on the host's clock until the end of the block, without waiting: the time that a program
            reports if it mistakes launches for work.
    """

    def __init__(self, device: torch.device):
        self.device, self.launch_seconds, self._seconds = device, None, None

    def __enter__(self):
        self._begin, self._end = _event(self.device), _event(self.device)
        if self._begin is None:
            synchronize(self.device)
        else:
            _record(self._begin, self.device)
        self._started = host_clock(self.device)
        return self

    def __exit__(self, *_):
        self.launch_seconds = host_clock(self.device) - self._started
        if self._begin is not None:
            _record(self._end, self.device)
        else:
            synchronize(self.device)
            self._seconds = host_clock(self.device) - self._started

    @property
    def seconds(self) -> float:
        """Seconds that the work took; reading them waits for its end."""
        if self.launch_seconds is None:
            raise ValueError("The stopwatch has not been stopped: read it after its block.")
        if self._seconds is None:
            self._end.synchronize()
            self._seconds = self._begin.elapsed_time(self._end) / 1e3
        return self._seconds


def _record(event, device: torch.device) -> None:
    stream = current_stream(device)  # by default an event uses the stream of the current device, which may be another
    event.record(stream) if stream is not None else event.record()


def _event(device: torch.device):
    """An event that records time; None on the CPU and on a device without reliable events."""
    if fake := stands_in(device):
        return StandInEvent(fake)
    if not is_accelerator(device) or device.type == "mps":  # whose events may never return (pytorch/pytorch#196395)
        return None
    try:
        return torch.Event(device=device, enable_timing=True)
    except (RuntimeError, NotImplementedError):
        return None
