"""Sandboxes for learners' code: kinds, limits, and life cycle.

    judge ──job──▶ fork server ──fork──▶ worker (no network, no files, no processes, limits)
          ◀──────────────── values ─────────┘

A sandbox contains a fork server: a process that has imported torch and forks a worker for each job. The servers of a
batch are forked from one template, which imports torch for all of them. The sandbox is made by `bubblewrap` if that is
installed, otherwise by `unshare` of util-linux (see `namespaces`); the kind `container` means Docker or Podman (see
`container`), and a teacher must request `none` explicitly.
"""

import os
import shutil
import sys
import threading
import time
from dataclasses import dataclass, replace

from nnopt_lab.grading.sandboxed import exchange
from nnopt_lab.workbench.language import ENGLISH, VARIABLE

PAUSES = (2, 10)  # seconds between attempts to restart a sandbox
SPOKEN = {VARIABLE: ENGLISH}  # variables of every kind, so that no answer depends on the teacher's locale
KINDS = ("bubblewrap", "unshare", "container", "none")
UNPROTECTED = (
    "Isolation is off: learners' code runs with your rights. It can read your files and the solutions, use the "
    "network, and keep running after the grader has ended."
)


@dataclass(frozen=True)
class Limits:
    """Limits of one answer.

    Attributes:
        seconds: of wall-clock time, and of processor time.
        megabytes: of memory, beyond the fork server's own.
    """

    seconds: int = 10
    megabytes: int = 1024


@dataclass(frozen=True)
class JobResult:
    """The end of a job.

    Attributes:
        state: a state of `exchange.run`.
        reply: for a bundle, the replies of its finished jobs; otherwise empty unless the state is "replied".
        reason: why it has this state; empty if it replied.
        follows: whether other jobs ran earlier in the same worker, and may have changed its state.
        took_down: whether the sandbox had to be restarted after it, or is lost.
    """

    state: str
    reply: bytes = b""
    reason: str = ""
    follows: bool = False
    took_down: bool = False


class SandboxError(OSError):
    """A sandbox does not start or has a hole; the message says why and what to do."""


def available(wanted: str = "auto") -> str:
    """Choose the kind of sandbox to use.

    Args:
        wanted: "auto" or one of `KINDS`.

    Raises:
        SandboxError: this machine has none, or the wanted one is not installed.
        ValueError: `wanted` is none of these.
    """
    if wanted not in ("auto", *KINDS):
        raise ValueError(f"isolation={wanted!r} must be auto, {', '.join(KINDS[:-1])} or none.")
    if wanted == "container":
        return wanted
    if wanted == "none":
        if not hasattr(os, "fork"):
            raise SandboxError("Answers can't run on Windows itself: use --isolation container (Docker or Podman).")
        return wanted
    if sys.platform != "linux":
        raise SandboxError(
            "The sandbox for learners' code needs Linux. Use --isolation container (Docker or Podman); or, if you "
            "trust all learners, --isolation none."
        )
    tools = {"bubblewrap": "bwrap", "unshare": "unshare"}
    kinds = [kind for kind in tools if wanted in ("auto", kind)]
    found = next((kind for kind in kinds if shutil.which(tools[kind])), None)
    if found is None:
        raise SandboxError(f"{' and '.join(kinds)} can't be found: install bubblewrap, or use --isolation container.")
    return found


class Sandbox:
    """A fork server in its sandbox, which starts on creation and restarts if it is lost, until it is closed.

    Use it as a context manager, or close it. A subclass defines `_start`, `wait`, `_exchange` and `_end`. A sandbox is
    ready after a second or two; `wait` waits for that. It runs one job, or one bundle of jobs, at a time.

    Attributes:
        is_lost: whether a job took it down and it did not restart; `repair` may bring it back.
    """

    def __init__(self, kind: str, limits: Limits):
        self.kind, self.limits, self.is_lost = kind, limits, False
        self._ending, self._closed = threading.Lock(), False
        self._start()

    def run(self, job: bytes) -> JobResult:
        """Run a job in a new worker, for at most `limits.seconds`.

        A job that takes the sandbox down counts as crashed, and the next one runs in a new sandbox. If that can't be
        started, all further jobs count as crashed too, until `repair` succeeds.

        Raises:
            SandboxError: the sandbox was closed.
        """
        if self.is_lost:
            return JobResult("crashed", reason="its sandbox was lost earlier and could not be restarted")
        ended = self._exchange(job)
        if ended is not None:
            return ended
        reason = "its worker could not be ended in time, so its whole sandbox was ended"
        try:
            self._restart()
        except SandboxError:
            if self._closed:
                raise
            self.is_lost = True
            reason += " and could not be restarted"
        return JobResult("crashed", reason=reason, took_down=True)

    def run_all(self, jobs: list[bytes]) -> list[JobResult]:
        """Run jobs of one learner, one after the other in one new worker, to the first that has no reply.

        Returns:
            How the first jobs ended, at least one.
        """
        if len(jobs) > 1:
            ended = self.run(exchange.bundle(jobs))
            if not ended.took_down:
                results = [JobResult("replied", r, follows=n > 0) for n, r in enumerate(exchange.parts(ended.reply))]
                return results + [replace(ended, reply=b"", follows=bool(results))] * (ended.state != "replied")
        return [self.run(jobs[0])]  # after a bundle that took the sandbox down, by whichever job, too

    def repair(self) -> None:
        """Restart the sandbox if it is lost.

        Raises:
            SandboxError: it does not start, even after pauses.
        """
        if self.is_lost:
            self._restart()
            self.is_lost = False

    def _last_words(self) -> str:
        """The last line of its error output."""
        try:
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").strip().splitlines()
        except ValueError:  # another thread closed it
            lines = []
        return lines[-1] if lines else "it ended without a message"

    def _restart(self) -> None:
        """End the sandbox and start another one, if necessary after pauses, in which other load may end.

        Raises:
            SandboxError: it does not start, or was closed meanwhile.
        """
        for pause in (*PAUSES, None):
            try:
                self._start_anew()
                return
            except OSError as error:
                if pause is None or self._closed:
                    raise error if isinstance(error, SandboxError) else SandboxError(str(error)) from None
            time.sleep(pause)

    def _start_anew(self) -> None:
        with self._ending:
            if self._closed:  # another thread closed it during a job, so nothing may start any more
                raise SandboxError("The grader is being stopped.")
            self._end()
            self._start()
        self.wait()

    def _give_up(self) -> str:
        """End a sandbox that did not start, and return its last message."""
        said = self._last_words()
        with self._ending:
            self._end()
        return said

    def close(self) -> None:
        """End the sandbox for good, with every process inside."""
        with self._ending:
            self._closed = True
            self._end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
