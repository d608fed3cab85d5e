"""A sandbox of Linux namespaces, made by bubblewrap or unshare, in which workers see only the files in `view`."""

import json
import shutil
import socket
import subprocess
import tempfile
import threading

from nnopt_lab.grading.sandbox import SPOKEN, JobResult, Limits, Sandbox, SandboxError
from nnopt_lab.grading.sandboxed import exchange
from nnopt_lab.grading.view import SANDBOXED, View, python, view

START_SECONDS = 120
_NAMESPACES = (
    *("--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts"),
    *("--fork", "--kill-child"),
)
_ENVIRONMENT = {
    **SPOKEN,
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Huge pages, also for Python's objects: the kernel copies the page tables for every answer, which takes four times
    # as long with small pages.
    "PYTHONMALLOC": "malloc",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
_PYTHON = ("-s", "-P", "-S")  # isolated mode, except that it reads the variables above


class Template:
    """A sandboxed process that has imported torch and forks the fork servers of several sandboxes.

    It starts on creation, and restarts if it has ended when a server is needed.
    """

    def __init__(self, kind: str, limits: Limits):
        self._kind, self._limits = kind, limits
        self._lock, self._closed = threading.Lock(), False
        self._start()

    def new_server(self) -> tuple[socket.socket, socket.socket]:
        """Start a new fork server; returns the sockets of `exchange.new_server`.

        Raises:
            SandboxError: the template was closed.
        """
        with self._lock:
            if self._closed:
                raise SandboxError("The grader is being stopped.")
            if self.process.poll() is not None:
                self._end()
                self._start()
            return exchange.new_server(self._orders)

    def close(self) -> None:
        """End the template and all its servers, with every process inside."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._end()

    def _start(self) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in _end()
        # Without a sandbox, this folder's deletion removes files of workers, such as torch's compiled code.
        self._scratch = tempfile.TemporaryDirectory(prefix="nnopt-", ignore_cleanup_errors=True)
        self._orders, theirs = socket.socketpair()
        with theirs:
            command, scratch = _command(self._kind, theirs.fileno(), self._limits, self._scratch.name)
            self.process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self.errors,
                stderr=self.errors,
                env=_ENVIRONMENT | {"HOME": scratch, "TMPDIR": scratch},
            )

    def _end(self) -> None:
        self._orders.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()
        self._scratch.cleanup()


class NamespaceSandbox(Sandbox):
    """A sandbox of Linux namespaces, or for kind "none", the same processes with the grader's rights.

    Args:
        kind: "bubblewrap", "unshare" or "none".
        limits: of one answer.
        template: shared by several sandboxes, and closed after them by its creator; default its own.
    """

    def __init__(self, kind: str, limits: Limits, template: Template | None = None):
        self._own = Template(kind, limits) if template is None else None
        self._template = template or self._own
        super().__init__(kind, limits)

    def _start(self) -> None:
        self._control, self._life = self._template.new_server()
        self._errors = self._template.errors

    def wait(self) -> None:
        """Wait until the sandbox is ready.

        Raises:
            SandboxError: it did not start.
        """
        if exchange.listen(self._control, START_SECONDS) is None:
            said = self._give_up()
            raise SandboxError(
                f"The sandbox ({self.kind}) does not start here: {said}. Use --isolation container (Docker or Podman); "
                "or, if you trust all learners, --isolation none."
            )

    def _exchange(self, job: bytes) -> JobResult | None:
        ended = exchange.run(self._control, job, self.limits.seconds)
        return None if ended is None else JobResult(*ended)

    def _end(self) -> None:
        self._control.close()
        self._life.close()

    def close(self) -> None:
        """End the sandbox for good, with every process inside."""
        super().close()
        if self._own is not None:
            self._own.close()


def _command(kind: str, control: int, limits: Limits, scratch: str) -> tuple[list[str], str]:
    """The command that starts a fork server, and its temporary folder, which is `scratch` if there is no view."""
    settings = {
        "control": control,
        "mode": "none" if kind == "none" else "namespaces",
        "memory": limits.megabytes << 20,
        "seconds": limits.seconds,
        "readable": ["/"],  # forbidden files don't exist there
    }
    seen = view()
    settings["paths"], settings["scratch"] = list(seen.paths), seen.scratch
    settings["passing"] = () if kind == "none" else seen.passing
    run = [python(), *_PYTHON]
    if kind == "none":
        settings["scratch"] = scratch
        command = [*run, str(SANDBOXED)]
    elif kind == "bubblewrap":
        command = [*_bubblewrap(seen), *run, "/sandboxed"]
    else:
        settings["view"] = {"binds": seen.binds, "empty": seen.empty, "links": seen.links, "scratch": seen.scratch}
        command = ["unshare", *_NAMESPACES, *run, str(SANDBOXED)]
    # Look it up on the teacher's path, because the command runs with another one.
    return [shutil.which(command[0]) or command[0], *command[1:], json.dumps(settings)], settings["scratch"]


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
