"""What a sandbox for learners' code is: its kinds, its limits, and its life.

    judge ──job──▶ fork server ──fork──▶ worker (no network, no files, no processes, limits)
          ◀──────────────── values ─────────┘

A sandbox holds a fork server: a process that has imported torch and forks a worker for each job. It is made by
`bubblewrap` where that is installed, otherwise by `unshare` of util-linux (see `namespaces`); `container` stands for
Docker or Podman (see `container`); `none` has to be asked for by the teacher.
"""

import os
import shutil
import sys
import threading
from dataclasses import dataclass

KINDS = ("bubblewrap", "unshare", "container", "none")
UNPROTECTED = (
    "Isolation is off: the learners' code runs with your rights. It can read your files and the solutions, use the "
    "network, and outlive the grader."
)


@dataclass(frozen=True)
class Limits:
    """Limits of one answer.

    Attributes:
        seconds: of wall-clock time, and of processor time.
        megabytes: of memory, beyond what the fork server holds.
    """

    seconds: int = 10
    megabytes: int = 1024


@dataclass(frozen=True)
class JobResult:
    """How a job ended; `reply` is empty for all states but "replied". The states are those of `exchange.run`."""

    state: str
    reply: bytes = b""
    reason: str = ""


class SandboxError(OSError):
    """A sandbox does not start or has a hole; the text says why and what can be done."""


def available(wanted: str = "auto") -> str:
    """The kind of sandbox to use.

    Raises:
        SandboxError: there is none on this machine, or the wanted one is not installed.
    """
    if wanted not in ("auto", *KINDS):
        raise ValueError(f"isolation={wanted!r} must be auto, {', '.join(KINDS[:-1])} or none.")
    if wanted == "container":
        return wanted
    if wanted == "none":
        if not hasattr(os, "fork"):
            raise SandboxError("Answers can't be run on Windows itself: use --isolation container (Docker or Podman).")
        return wanted
    if sys.platform != "linux":
        raise SandboxError(
            "The sandbox for learners' code needs Linux. Use --isolation container (Docker or Podman); or, if you "
            "trust every learner, --isolation none."
        )
    tools = {"bubblewrap": "bwrap", "unshare": "unshare"}
    kinds = [kind for kind in tools if wanted in ("auto", kind)]
    found = next((kind for kind in kinds if shutil.which(tools[kind])), None)
    if found is None:
        raise SandboxError(f"{' and '.join(kinds)} can't be found: install bubblewrap, or use --isolation container.")
    return found


class Sandbox:
    """A fork server in its sandbox: started when made, started again when lost, and closed for good.

    Use it as a context manager, or close it. A kind of sandbox defines `_start`, `wait`, `run` and `_end`. A sandbox is
    ready after a second or two; `wait` waits for that. It runs one job at a time.
    """

    def __init__(self, kind: str, limits: Limits):
        self.kind, self.limits = kind, limits
        self._ending, self._closed = threading.Lock(), False
        self._start()

    def _last_words(self) -> str:
        """The last line of its error output, a file."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it ended without a word"

    def _restart(self) -> None:
        with self._ending:
            if self._closed:  # another thread closed it during a job: nothing may start after that
                raise SandboxError("The grader is being stopped.")
            self._end()
            self._start()
        self.wait()

    def close(self) -> None:
        """End it for good, with every process inside."""
        with self._ending:
            self._closed = True
            self._end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
