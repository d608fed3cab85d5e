"""Probe a sandbox: before any learner's code runs, a worker of ours tries everything that is forbidden."""

import os
from functools import cache
from pathlib import Path

from nnopt_lab.grading.sandbox import Sandbox, SandboxError
from nnopt_lab.grading.sandboxed import codec
from nnopt_lab.grading.view import view
from nnopt_lab.workbench.paths import PACKAGE, root

# It runs like a learner's answer, so it can't use the course. It returns the forbidden actions that succeeded.
_SOURCE = """
import ctypes, importlib.util, os, resource, socket, threading

libc = ctypes.CDLL(None, use_errno=True)
held = ctypes.create_string_buffer(24)

def succeeds(action):
    try:
        return action() is not False
    except (OSError, MemoryError):
        return False

def fork():
    if os.fork() == 0:
        os._exit(0)

def write_to(folder):
    with open(os.path.join(folder, "nnopt-probe"), "w"):
        pass
    os.unlink(os.path.join(folder, "nnopt-probe"))

def flood():
    with open(os.path.join(scratch, "flood"), "wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))

def probe(hidden, folders, foreign_processes, megabytes):
    tries = {
        "open a socket": lambda: socket.socket(),
        "start a process": fork,
        "make a namespace": lambda: libc.unshare(0x10000000) == 0,
        "mount a file system": lambda: libc.mount(b"x", scratch.encode(), b"tmpfs", 0, None) == 0,
        "gain privileges": lambda: libc.prctl(39, 0, 0, 0, 0) != 1,  # PR_GET_NO_NEW_PRIVS
        "use privileges": lambda: libc.capget(b"\\x22\\x05\\x08\\x20" + bytes(4), held) != 0 or any(held.raw),
        "take more memory than allowed": lambda: bytearray((megabytes + 64) << 20) and True,
        "write more than allowed": flood,
        "use the processor without end": lambda: resource.getrlimit(resource.RLIMIT_CPU)[1] < 0,
        "import the course": lambda: importlib.util.find_spec("nnopt_lab") is not None,
    }
    tries |= {f"see {path}": lambda path=path: os.path.isfile(path) or os.listdir(path) != [] for path in hidden}
    tries |= {f"write to {folder}": lambda folder=folder: write_to(folder) for folder in folders}
    tries |= {f"signal process {pid}": lambda pid=pid: os.kill(pid, 0) for pid in foreign_processes}
    if os.getppid():
        tries["signal the process it comes from"] = lambda: os.kill(os.getppid(), 0)
    tries["be traced"] = lambda: libc.ptrace(0, 0, 0, 0) == 0  # last: whatever is sent to a traced process stops it
    return [what for what, action in tries.items() if succeeds(action)]

scratch = os.environ.get("TMPDIR", "/")
"""


def check(sandbox: Sandbox) -> None:
    """Probe a sandbox from the inside.

    Raises:
        SandboxError: a worker can do something forbidden; the message says what.
    """
    case = (list(secrets(sandbox.kind)), ["/", "/usr/lib", "/sandboxed"], [os.getpid()], sandbox.limits.megabytes)
    job = {"preamble": "", "source": _SOURCE, "name": "probe", "seed": 0}
    job["arguments"] = ["hidden", "folders", "foreign_processes", "megabytes"]
    ended = sandbox.run(codec.pack(job, [case]))
    trouble = ended.reason
    if ended.state == "replied":
        header, values = codec.unpack(ended.reply)
        told = header.get("outcomes") == [{}]
        trouble = f"a worker can {', '.join(values[0][0])}" * bool(values[0][0]) if told else f"it replies {header}"
    if trouble:
        raise SandboxError(f"The sandbox ({sandbox.kind}) has a hole: {trouble}. Nothing was graded.")


@cache
def secrets(kind: str) -> tuple[str, ...]:
    """Return the paths with the course, the teacher's files, or information about other processes.

    They are the same for every sandbox of a batch; finding them before a sandbox is ready saves time.
    """
    if kind == "container":  # it has its own /proc and /etc, without anything from this machine
        return str(PACKAGE), str(root())
    shown = [Path(target) for _, target in view().binds]
    own = [path for folder in (Path.home(), Path.cwd()) for path in sorted(folder.glob("*"))[:50]]
    # A parent of a visible folder is visible too, but contains nothing else.
    own = [path for path in own if not any(s.is_relative_to(path) or path.is_relative_to(s) for s in shown)]
    every = (PACKAGE, root() / "solutions", "/proc", "/sys", "/etc/passwd", *own)
    return tuple(dict.fromkeys(map(str, every)))
