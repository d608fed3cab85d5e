"""What a sandbox for learners' code is: its kinds, its limits, and its life.

    judge ──job──▶ fork server ──fork──▶ worker (no network, no files, no processes, limits)
          ◀──────────────── values ─────────┘

A sandbox holds a fork server: a process that has imported torch and forks a worker for each job. The servers of a batch
are forked from one template, which imports torch for them all. It is made by
`bubblewrap` where that is installed, otherwise by `unshare` of util-linux (see `namespaces`); `container` stands for
Docker or Podman (see `container`); `none` has to be asked for by the teacher.
"""

import os
import shutil
import sys
import threading
import time
from dataclasses import dataclass, replace

from nnopt_lab.grading.sandboxed import exchange

PAUSES = (2, 10)  # seconds before a sandbox that did not start is tried again
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
    """How a job ended.

    Attributes:
        state: one of those of `exchange.run`.
        reply: for a bundle, that of the jobs which had one; else empty for all states but "replied".
        follows: whether other jobs ran before in the same worker, and may have changed what this one met there.
        took_down: whether the sandbox had to be started again after it, or is lost.
    """

    state: str
    reply: bytes = b""
    reason: str = ""
    follows: bool = False
    took_down: bool = False


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

    Use it as a context manager, or close it. A kind of sandbox defines `_start`, `wait`, `_exchange` and `_end`. A
    sandbox is ready after a second or two; `wait` waits for that. It runs one job, or one bundle of jobs, at a time.

    Attributes:
        is_lost: whether a job took it down and it did not start again; `repair` may bring it back.
    """

    def __init__(self, kind: str, limits: Limits):
        self.kind, self.limits, self.is_lost = kind, limits, False
        self._ending, self._closed = threading.Lock(), False
        self._start()

    def run(self, job: bytes) -> JobResult:
        """Run a job in a new worker, for at most `limits.seconds`.

        A job that takes the sandbox down has crashed, and the next one runs in a new sandbox. If none can be started,
        all further jobs have crashed too, until `repair` succeeds.

        Raises:
            SandboxError: the sandbox was closed.
        """
        if self.is_lost:
            return JobResult("crashed", reason="its sandbox was lost before, and does not start again")
        ended = self._exchange(job)
        if ended is not None:
            return ended
        reason = "its worker could not be ended in time, and was taken down with its sandbox"
        try:
            self._restart()
        except SandboxError:
            if self._closed:
                raise
            self.is_lost = True
            reason += ", which does not start again"
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
        """Start the sandbox again if it is lost.

        Raises:
            SandboxError: it does not start, not even after a pause.
        """
        if self.is_lost:
            self._restart()
            self.is_lost = False

    def _last_words(self) -> str:
        """The last line of its error output, a file."""
        try:
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").strip().splitlines()
        except ValueError:  # another thread closed it
            lines = []
        return lines[-1] if lines else "it ended without a word"

    def _restart(self) -> None:
        """End it and start another one; where that fails, again after a pause, in which what crowds the machine ends.

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
            if self._closed:  # another thread closed it during a job: nothing may start after that
                raise SandboxError("The grader is being stopped.")
            self._end()
            self._start()
        self.wait()

    def _give_up(self) -> str:
        """End what did not start, and return its last words."""
        said = self._last_words()
        with self._ending:
            self._end()
        return said

    def close(self) -> None:
        """End it for good, with every process inside."""
        with self._ending:
            self._closed = True
            self._end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
