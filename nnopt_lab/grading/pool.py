"""Sandboxes for a batch. This module does not import torch, so that sandboxes can start while the grader does."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from nnopt_lab.grading.container import ContainerSandbox
from nnopt_lab.grading.namespaces import NamespaceSandbox, Template
from nnopt_lab.grading.sandbox import Limits, Sandbox


@dataclass(frozen=True)
class Settings:
    """Settings of a batch.

    Attributes:
        kind: of the sandbox, from `sandbox.available`.
        limits: of one answer.
        lesson: the lesson of all submissions; None to find each one's own.
    """

    kind: str
    limits: Limits
    lesson: str | None = None


class WorkerPool:
    """Sandboxes that start at the same time and end together.

    Creating the pool starts them; entering it waits until each is ready and has been probed.

    Args:
        settings: of the batch.
        count: number of sandboxes.

    Raises:
        SandboxError: on entering, a sandbox does not start or has a hole.
    """

    def __init__(self, settings: Settings, count: int):
        contained = settings.kind == "container"
        # A single process imports torch for all of them.
        self._template = None if contained else Template(settings.kind, settings.limits)
        self._sandboxes = [start(settings, self._template) for _ in range(count)]

    def __enter__(self) -> list[Sandbox]:
        with ThreadPoolExecutor(max(1, len(self._sandboxes))) as executor:
            try:
                for _ in executor.map(ready, self._sandboxes):
                    pass
            except BaseException:
                self.close()
                raise
        return self._sandboxes

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End all sandboxes."""
        for sandbox in self._sandboxes:
            sandbox.close()
        if self._template is not None:
            self._template.close()


def start(settings: Settings, template: Template | None = None) -> Sandbox:
    """Start a sandbox without waiting for it; several may share a `template`."""
    if settings.kind == "container":
        return ContainerSandbox(settings.limits)
    return NamespaceSandbox(settings.kind, settings.limits, template)


def ready(sandbox: Sandbox) -> Sandbox:
    """Wait until a sandbox is ready and, unless its kind is "none", probe it from the inside."""
    from nnopt_lab.grading import probe

    try:
        if sandbox.kind != "none":
            probe.secrets(sandbox.kind)  # looked for while it starts
        sandbox.wait()
        if sandbox.kind != "none":
            probe.check(sandbox)
    except BaseException:
        sandbox.close()
        raise
    return sandbox
