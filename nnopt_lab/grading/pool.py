"""Warm processes for a batch. It imports no torch, so that they can start while the grader itself does."""

from dataclasses import dataclass

from nnopt_lab.grading.container import ContainerSandbox
from nnopt_lab.grading.sandbox import Limits, NamespaceSandbox, Sandbox


@dataclass(frozen=True)
class Settings:
    """How a batch is graded.

    Attributes:
        kind: of the fence, as `fence.available` gives it.
        limits: of one answer.
        lesson: which lesson the submissions must be of; None: what each one is of.
    """

    kind: str
    limits: Limits
    lesson: str | None = None


class WorkerPool:
    """Warm processes that start side by side and end together.

    Making it begins their start; entering it waits until each is ready and its fence has been tried.

    Raises:
        SandboxError: on entering: a fence can't be put up or does not stand.
    """

    def __init__(self, settings: Settings, count: int):
        self._processes = [start(settings) for _ in range(count)]

    def __enter__(self) -> list[Sandbox]:
        try:
            for warm in self._processes:
                ready(warm)
        except BaseException:
            self.close()
            raise
        return self._processes

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End them all."""
        for warm in self._processes:
            warm.close()


def start(settings: Settings) -> Sandbox:
    """Begin to start a warm process."""
    if settings.kind == "container":
        return ContainerSandbox(settings.limits)
    return NamespaceSandbox(settings.kind, settings.limits)


def ready(warm: Sandbox) -> Sandbox:
    """Wait until a warm process is ready and, but for "none", its fence has been tried from the inside."""
    from nnopt_lab.grading.probe import check

    try:
        warm.wait()
        if warm.kind != "none":
            check(warm)
    except BaseException:
        warm.close()
        raise
    return warm
