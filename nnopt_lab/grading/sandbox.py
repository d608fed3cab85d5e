"""The fence around learners' code, seen from the judge: starts warm processes, hands them jobs, keeps the clock.

    judge  ──job──▶  warm process ──fork──▶ worker (no network, no files, no processes, limits)
           ◀─────────────── values ──────────┘

How the fence is made: `bubblewrap` where it is installed, else `unshare` of util-linux; `container` for Docker or
Podman (see `container`); `none` on the teacher's own word.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass

from nnopt_lab.grading.sandboxed import exchange
from nnopt_lab.grading.view import SANDBOXED, View, python, view

KINDS = ("bubblewrap", "unshare", "container", "none")
START_SECONDS = 120
UNPROTECTED = (
    "Isolation is off: the learners' code runs with your rights. It can read your files and the solutions, use the "
    "network, and outlive the grader."
)
_NAMESPACES = (
    *("--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts"),
    *("--fork", "--kill-child"),
)
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Limits:
    """What one answer may use.

    Attributes:
        seconds: of wall-clock and of processor time.
        megabytes: of memory, beyond what the warm process holds.
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
    """The fence can't be put up, or does not stand; the text says why and what can be done."""


def available(wanted: str = "auto") -> str:
    """The kind of fence to use.

    Raises:
        SandboxError: there is none on this machine; or the wanted one is not installed.
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
            "The fence around learners' code needs Linux. Use --isolation container (Docker or Podman); or, if you "
            "trust every learner, --isolation none."
        )
    tools = {"bubblewrap": "bwrap", "unshare": "unshare"}
    kinds = [kind for kind in tools if wanted in ("auto", kind)]
    found = next((kind for kind in kinds if shutil.which(tools[kind])), None)
    if found is None:
        raise SandboxError(f"{' and '.join(kinds)} can't be found: install bubblewrap, or use --isolation container.")
    return found


class Sandbox:
    """A process that holds learners' code, and its life: started at once, started again if lost, ended for good once.

    Use it as a context manager, or close it. A kind of fence gives `_start`, `wait`, `run` and `_end`; it takes a
    second or two to be ready, for which `wait` waits.
    """

    def __init__(self, kind: str, limits: Limits):
        self.kind, self.limits = kind, limits
        self._ending, self._closed = threading.Lock(), False
        self._start()

    def _said(self) -> str:
        """The last line that it wrote to its error output, a file."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it ended without a word"

    def _restart(self) -> None:
        with self._ending:
            if self._closed:  # by another thread, in the middle of a job: nothing may be started after that
                raise SandboxError("The grader is being stopped.")
            self._end()
            self._start()
        self.wait()

    def close(self) -> None:
        """End it for good, and with it every process inside."""
        with self._ending:
            self._closed = True
            self._end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class NamespaceSandbox(Sandbox):
    """A warm process inside its fence; runs one job at a time."""

    def _start(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in _end()
        self._control, theirs = socket.socketpair()
        with theirs:
            command, scratch = _command(self.kind, theirs.fileno(), self.limits)
            self._process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                env=_ENVIRONMENT | {"HOME": scratch, "TMPDIR": scratch},
            )

    def wait(self) -> None:
        """Until it is ready.

        Raises:
            SandboxError: it did not start.
        """
        if exchange.listen(self._control, START_SECONDS) is None:
            said = self._said()
            self.close()
            raise SandboxError(
                f"The fence ({self.kind}) can't be put up here: {said}. Use --isolation container (Docker or Podman); "
                "or, if you trust every learner, --isolation none."
            )

    def run(self, job: bytes) -> JobResult:
        """Fork a worker for a job and wait for its reply, at most `limits.seconds`."""
        ended = exchange.run(self._control, job, self.limits.seconds)
        if ended is None:
            self._restart()
            return JobResult(
                "crashed", reason="its worker could not be ended in time, and was taken down with its fence"
            )
        return JobResult(*ended)

    def _end(self) -> None:
        self._control.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


def _command(kind: str, control: int, limits: Limits) -> tuple[list[str], str]:
    settings = {
        "control": control,
        "mode": "none" if kind == "none" else "namespaces",
        "memory": limits.megabytes << 20,
        "seconds": limits.seconds,
        "readable": ["/"],  # what is not for a worker's eyes is not there
    }
    seen = view()
    settings["paths"], settings["scratch"] = list(seen.paths), seen.scratch
    run = [python(), "-I", "-S"]
    if kind == "none":
        settings["scratch"] = tempfile.gettempdir()
        command = [*run, str(SANDBOXED)]
    elif kind == "bubblewrap":
        command = [*_bubblewrap(seen), *run, "/sandboxed"]
    else:
        settings["view"] = {"binds": seen.binds, "empty": seen.empty, "links": seen.links, "scratch": seen.scratch}
        command = ["unshare", *_NAMESPACES, *run, str(SANDBOXED)]
    return [*command, json.dumps(settings)], settings["scratch"]


def _bubblewrap(seen: View) -> list[str]:
    command = [
        "bwrap",
        "--die-with-parent",
        "--unshare-all",
        "--unshare-user",
        "--uid",
        "0",
        "--gid",
        "0",
        "--cap-add",
        "ALL",
    ]
    for to, path in seen.links:
        command += ["--symlink", to, path]
    for source, target in seen.binds:
        device = "--dev-bind" if target.startswith("/dev/") else "--ro-bind"
        command += ["--tmpfs", target] if target in seen.empty else [device, source, target]
    return [*command, "--dir", seen.scratch, "--remount-ro", "/", "--chdir", "/"]
