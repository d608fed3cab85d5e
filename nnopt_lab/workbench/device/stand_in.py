"""A stand-in for an accelerator, which computes on the CPU and keeps an accelerator's time.

Its clock is made of three kinds of events: a launch takes the host `launch_seconds` and puts work into the queue of the
current stream, a stream does its work in order, and only who waits moves the host's clock to the end of the work. So a
host that forgets to wait reads nearly zero, as it would on a real accelerator.
"""

import contextlib
from collections.abc import Iterator

import torch

DEVICE = torch.device("cpu", 0)  # tensors on it are on the CPU, and no other device is equal to it

_active: "StandIn | None" = None


class StandIn:
    """An accelerator that is not there; made by `stand_in`.

    Attributes:
        name: as `describe` tells it.
        capability: (major, minor), as of an NVIDIA GPU.
        launches: since it was made.
        waits: how often the host waited for work.
    """

    def __init__(self, name: str, capability: tuple[int, int], launch_seconds: float, bytes_per_second: float):
        self.name, self.capability = name, capability
        self.launch_seconds, self.bytes_per_second = launch_seconds, bytes_per_second
        self.launches = self.waits = 0
        self.stream = StandInStream(self)
        self._streams, self._host, self._recorded = [self.stream], 0.0, None

    def clock(self) -> float:
        """The host's clock, in seconds."""
        return self._host

    def launch(self, seconds: float) -> None:
        """Put work of so many seconds into the queue of the current stream."""
        if self._recorded is not None:
            self._recorded.append(seconds)
            return
        self._host += self.launch_seconds
        self.launches += 1
        self.stream.end = max(self.stream.end, self._host) + seconds

    def pass_time(self, seconds: float) -> None:
        """Let the host be busy with something else for so many seconds."""
        self._host += seconds

    def wait(self, until: float | None = None) -> None:
        """Let the host wait for all streams, or until a moment."""
        self.waits += 1
        self._host = max(self._host, max(s.end for s in self._streams) if until is None else until)

    @contextlib.contextmanager
    def as_one_launch(self) -> Iterator[None]:
        """Count what the block launches as one launch of all its work, as the replay of a graph is."""
        self._recorded = []
        try:
            yield
        finally:
            seconds, self._recorded = sum(self._recorded), None
        self.launch(seconds)

    def new_stream(self) -> "StandInStream":
        """Another stream, whose work runs beside that of the others."""
        self._streams.append(StandInStream(self))
        return self._streams[-1]


class StandInStream:
    """A queue of a stand-in: the part of `torch.Stream` that this package uses."""

    def __init__(self, owner: StandIn):
        self.owner, self.end, self._before = owner, 0.0, []

    def wait_stream(self, other: "StandInStream") -> None:
        """Start what is launched from now on after what the other stream has in its queue."""
        self.end = max(self.end, other.end)

    def __enter__(self):
        self._before.append(self.owner.stream)
        self.owner.stream = self
        return self

    def __exit__(self, *_):
        self.owner.stream = self._before.pop()


class StandInEvent:
    """A moment on a stream of a stand-in: the part of `torch.Event` that this package uses."""

    def __init__(self, owner: StandIn):
        self.owner, self.moment = owner, None

    def record(self, stream: StandInStream | None = None) -> None:
        """Mark the end of what the stream (the current one) has in its queue."""
        self.moment = max((stream or self.owner.stream).end, self.owner.clock())

    def synchronize(self) -> None:
        """Wait for it."""
        self.owner.wait(self.moment)

    def elapsed_time(self, later: "StandInEvent") -> float:
        """Milliseconds to a later event; as on an accelerator, both must have happened."""
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

    `find("accelerator")` gives its device; tensors moved there are tensors on the CPU, and torch computes them at once.
    Only `StandIn.launch` and `upload` take its time.

    Args:
        name, capability: as `describe` tells them.
        launch_seconds: that a launch takes the host.
        bytes_per_second: of copies to it.
    """
    global _active
    before, _active = _active, StandIn(name, capability, launch_seconds, bytes_per_second)
    try:
        yield _active
    finally:
        _active = before


def active() -> StandIn | None:
    """The stand-in in use; None outside of `stand_in`."""
    return _active


def stands_in(device: torch.device) -> StandIn | None:
    """The stand-in behind a device; None where it is a real one."""
    return _active if device == DEVICE else None
