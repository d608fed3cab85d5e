"""A sandbox in a container of Docker or Podman, for machines without Linux namespaces and for extra caution.

The same fork server runs inside. A socket can't be passed into a container, so jobs and replies go through its standard
input and output, framed by `sandboxed.relay`, which does inside what `NamespaceSandbox` does outside.
"""

import contextlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from importlib.metadata import version

from nnopt_lab.grading.sandbox import SPOKEN, JobResult, Limits, Sandbox, SandboxError
from nnopt_lab.grading.sandboxed.exchange import END_SECONDS, FOLLOWING_SECONDS, MAX_REPLY, jobs_in
from nnopt_lab.grading.view import PACKAGES, SANDBOXED

START_SECONDS = 180
BUILD_SECONDS = 1800


def engine() -> str:
    """Find Docker or Podman, whichever responds.

    Raises:
        SandboxError: neither does.
    """
    for name in ("docker", "podman"):
        if shutil.which(name):
            found = subprocess.run([name, "version"], capture_output=True, text=True)
            if found.returncode == 0:
                return name
    raise SandboxError("Neither Docker nor Podman responds here: install and start one of them.")


def image(name: str) -> str:
    """Find or build the image with Python and the workers' packages, in the versions installed here.

    It is built once, which needs a network.

    Raises:
        SandboxError: it could not be built.
    """
    packages = " ".join(f"{package}=={version(package).partition('+')[0]}" for package in PACKAGES)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    tag = f"nnopt-worker:{python}-{version('torch').partition('+')[0]}-{version('onnxruntime')}"
    if subprocess.run([name, "image", "inspect", tag], capture_output=True).returncode == 0:
        return tag
    recipe = f"FROM python:{python}-slim\nRUN pip install --no-cache-dir {packages}\n"
    built = subprocess.run(
        [name, "build", "-t", tag, "-"], input=recipe, text=True, capture_output=True, timeout=BUILD_SECONDS
    )
    if built.returncode:
        said = (built.stderr.strip() or built.stdout.strip() or "no reason given").splitlines()[-1]
        raise SandboxError(f"The image {tag} could not be built: {said}.")
    return tag


class ContainerSandbox(Sandbox):
    """A sandbox in a container."""

    def __init__(self, limits: Limits, name: str | None = None, tag: str | None = None):
        self._engine = name or engine()
        self._tag = tag or image(self._engine)
        super().__init__("container", limits)

    def _start(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in _end()
        command = run_command(self._engine, self._tag, self.limits)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, bufsize=0
        )

    def wait(self) -> None:
        """Wait until it is ready.

        Raises:
            SandboxError: it did not start.
        """
        if self._receive(START_SECONDS) is None:
            raise SandboxError(f"The container did not start: {self._give_up()}.")

    def _exchange(self, job: bytes) -> JobResult | None:
        with contextlib.suppress(OSError):  # if it is gone, there will be no reply
            self._process.stdin.write(struct.pack(">I", len(job)) + job)
        following = len(jobs_in(job)) - 1
        answer = self._receive(self.limits.seconds + following * FOLLOWING_SECONDS + END_SECONDS)
        if answer is None:
            return None
        head, reply = answer
        return JobResult(head["state"], reply, head["reason"])

    def _receive(self, seconds: float) -> tuple[dict, bytes] | None:
        """Receive a frame: the length of a JSON head, the length of a body, both; None if none arrives in time."""
        found: list = []

        def read() -> None:
            lengths = self._exactly(8)
            if lengths:
                first, second = struct.unpack(">II", lengths)
                head = self._exactly(min(first, 1 << 16))
                body = self._exactly(second) if second <= MAX_REPLY + 8 else None
                if head and body is not None:
                    found.append((json.loads(head), body))

        reader = threading.Thread(target=read, daemon=True)  # pipes have no timeout on Windows
        reader.start()
        reader.join(seconds)
        return found[0] if found else None

    def _exactly(self, count: int) -> bytes | None:
        parts = b""
        while len(parts) < count:
            try:
                part = self._process.stdout.read(count - len(parts))
            except (OSError, ValueError):
                return None
            if not part:
                return None
            parts += part
        return parts

    def _end(self) -> None:
        try:
            self._process.stdin.close()
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()


def run_command(name: str, tag: str, limits: Limits) -> list[str]:
    """The command that starts the container, without network or writable files, with few rights and processes."""
    settings = {
        "mode": "users",
        "memory": limits.megabytes << 20,
        "seconds": limits.seconds,
        "readable": ["/usr", "/lib", "/lib64", "/sandboxed", "/dev/null", "/dev/zero", "/dev/urandom"],
        "paths": [],
        "scratch": "/",  # not writable, so that no worker can leave anything for the next one
    }
    return [
        *(name, "run", "--rm", "--interactive", "--init"),
        *("--network", "none", "--ipc", "none", "--read-only", "--pids-limit", "64"),
        *("--memory", f"{limits.megabytes + 1024}m", "--memory-swap", f"{limits.megabytes + 1024}m"),
        # The three rights needed to make each worker another user, who has no rights.
        *("--cap-drop", "ALL", "--cap-add", "SETUID", "--cap-add", "SETGID", "--cap-add", "KILL"),
        *("--security-opt", "no-new-privileges"),
        *("--env", "OMP_NUM_THREADS=1", "--env", "MKL_NUM_THREADS=1", "--env", "HOME=/"),
        *(part for name, value in SPOKEN.items() for part in ("--env", f"{name}={value}")),
        # torch's optimizers import its compiler, which needs a folder for its cache even if it never writes to it.
        *("--env", "TORCHINDUCTOR_CACHE_DIR=/"),
        *("--volume", f"{os.path.abspath(SANDBOXED)}:/sandboxed:ro"),
        *(tag, "python", "-I", "/sandboxed/relay.py", json.dumps(settings)),
    ]
