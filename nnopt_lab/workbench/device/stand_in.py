"""A stand-in for an accelerator: it computes on the CPU and simulates an accelerator's clock.

A launch costs the host `launch_seconds` and adds work to the queue of the current stream. A stream executes its work in
order, and the host's clock moves to the end of the work only if the host waits. A program that forgets to wait measures
nearly zero, as on a real accelerator.
"""

import contextlib
from collections.abc import Iterator

import torch

DEVICE = torch.device("cpu", 0)  # its tensors are on the CPU, and it differs from torch.device("cpu")

_active: "StandIn | None" = None


class StandIn:
    """Simulated accelerator, made by `stand_in`.

    Attributes:
        name: name in its description.
        capability: compute capability (major, minor), like an NVIDIA GPU's.
        launches: number of launches so far.
        waits: number of times the host has waited for work.
    """

    def __init__(self, name: str, capability: tuple[int, int], launch_seconds: float, bytes_per_second: float):
        self.name, self.capability = name, capability
        self.launch_seconds, self.bytes_per_second = launch_seconds, bytes_per_second
        self.launches = self.waits = 0
        self.stream = StandInStream(self)
        self._streams, self._host, self._recorded = [self.stream], 0.0, None

    def clock(self) -> float:
        """Read the host's clock in seconds."""
        return self._host

    def launch(self, seconds: float) -> None:
        """Add work of `seconds` to the queue of the current stream."""
        if self._recorded is not None:
            self._recorded.append(seconds)
            return
        self._host += self.launch_seconds
        self.launches += 1
        self.stream.end = max(self.stream.end, self._host) + seconds

    def pass_time(self, seconds: float) -> None:
        """Keep the host busy with something else for `seconds`."""
        self._host += seconds

    def wait(self, until: float | None = None) -> None:
        """Make the host wait for all streams, or until a given time."""
        self.waits += 1
        self._host = max(self._host, max(s.end for s in self._streams) if until is None else until)

    @contextlib.contextmanager
    def as_one_launch(self) -> Iterator[None]:
        """Merge the block's launches into a single launch, as replaying a graph does."""
        self._recorded = []
        try:
            yield
        finally:
            seconds, self._recorded = sum(self._recorded), None
        self.launch(seconds)

    def new_stream(self) -> "StandInStream":
        """Make another stream, whose work overlaps with that of the others."""
        self._streams.append(StandInStream(self))
        return self._streams[-1]


class StandInStream:
    """Queue of a stand-in, with the part of `torch.Stream` that this package uses."""

    def __init__(self, owner: StandIn):
        self.owner, self.end, self._before = owner, 0.0, []

    def wait_stream(self, other: "StandInStream") -> None:
        """Delay future launches until the other stream has finished its queue."""
        self.end = max(self.end, other.end)

    def __enter__(self):
        self._before.append(self.owner.stream)
        self.owner.stream = self
        return self

    def __exit__(self, *_):
        self.owner.stream = self._before.pop()


class StandInEvent:
    """Point in time on a stream of a stand-in, with the part of `torch.Event` that this package uses."""

    def __init__(self, owner: StandIn):
        self.owner, self.moment = owner, None

    def record(self, stream: StandInStream | None = None) -> None:
        """Mark the end of the stream's queue; default the current stream."""
        self.moment = max((stream or self.owner.stream).end, self.owner.clock())

    def synchronize(self) -> None:
        """Wait for the event."""
        self.owner.wait(self.moment)

    def elapsed_time(self, later: "StandInEvent") -> float:
        """Compute the milliseconds to a later event; as on an accelerator, both must have happened."""
        if later.moment is None or later.moment > self.owner.clock():
            raise RuntimeError("The later event has not happened yet: synchronize first.")
        return 1e3 * (later.moment - self.moment)


@contextlib.contextmanager
def stand_in(
    name: str = "stand-in",
    capability: tuple[int, int] = (9, 0),
    launch_seconds: float = 1e-5,
    bytes_per_second: float = 1e9,
) -> Iterator[StandIn]:
    """Use a stand-in as the accelerator inside the block, for tests and for lessons on machines without one.

    `find("accelerator")` returns its device. Tensors moved there stay on the CPU, and torch computes with them at once.
    Only `StandIn.launch` and `upload` take simulated time.

    Args:
        name, capability: see `Description`.
        launch_seconds: host time per launch.
        bytes_per_second: rate of copies to the stand-in.
    """
    global _active
    before, _active = _active, StandIn(name, capability, launch_seconds, bytes_per_second)
    try:
        yield _active
    finally:
        _active = before


def active() -> StandIn | None:
    """Return the stand-in in use; None outside `stand_in`."""
    return _active


def stands_in(device: torch.device) -> StandIn | None:
    """Return the stand-in behind a device; None for a real device."""
    return _active if device == DEVICE else None
