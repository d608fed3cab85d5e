"""Time on a device: waiting for it, and a stopwatch that times work instead of launches."""

import time

import torch

from nnopt_lab.workbench.device.found import is_accelerator
from nnopt_lab.workbench.device.stand_in import StandInEvent, stands_in
from nnopt_lab.workbench.device.streams import current_stream


def synchronize(device: torch.device) -> None:
    """Wait until a device has done all that was launched; on the CPU that is so already."""
    if fake := stands_in(device):
        fake.wait()
    elif is_accelerator(device):
        torch.accelerator.synchronize(device)


def host_clock(device: torch.device) -> float:
    """Seconds on the host's clock, which does not wait for a device."""
    fake = stands_in(device)
    return fake.clock() if fake else time.perf_counter()


class Stopwatch:
    """Times what a block launches on a device.

        with Stopwatch(device) as watch:
            model(pictures)
        watch.seconds

    Two events in the device's own queue mark begin and end, so that neither other work in the queue nor the launch of
    the first operator counts. Where a device has no events, the host's clock is read after waiting.

    Attributes:
        launch_seconds: that the host's clock showed at the end of the block, without waiting: what a program sees that
            takes launches for work.
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
        """Seconds that the work took; waits for its end."""
        if self.launch_seconds is None:
            raise ValueError("The stopwatch has not been stopped: read it after its block.")
        if self._seconds is None:
            self._end.synchronize()
            self._seconds = self._begin.elapsed_time(self._end) / 1e3
        return self._seconds


def _record(event, device: torch.device) -> None:
    stream = current_stream(device)  # of the device, which need not be the one in use
    event.record(stream) if stream is not None else event.record()


def _event(device: torch.device):
    """An event that keeps the time; None on the CPU and where a device has none."""
    if fake := stands_in(device):
        return StandInEvent(fake)
    if not is_accelerator(device):
        return None
    try:
        return torch.Event(device=device, enable_timing=True)
    except (RuntimeError, NotImplementedError):
        return None
