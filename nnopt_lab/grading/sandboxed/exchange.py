"""Run one job on a fork server over its control socket: pass a socket, send the job, read the reply, watch the time.

Several jobs of one learner may be bundled, to run one after the other in one worker. The judge uses this module
directly, or in a container, the relay does.
"""

import contextlib
import json
import select
import socket
import struct
import time

MAX_REPLY = 16 << 20
END_SECONDS = 20
FOLLOWING_SECONDS = 2  # per job of a bundle after the first; a slower job runs again in its own worker
_BUNDLE = b"\xffbundle"  # no packed value begins with this
WRITE_FAULTS = ("signal 11", "signal 10")  # in the reason after a write to protected memory; 10 on macOS


def new_server(template: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Start a fork server; returns its control socket, on which it reports, and a socket whose closing ends it.

    If the template is gone, the control socket is closed at its other end.
    """
    (control, theirs), (life, held) = socket.socketpair(), socket.socketpair()
    with theirs, held, contextlib.suppress(OSError):
        socket.send_fds(template, [b"S"], [theirs.fileno(), held.fileno()])
    return control, life


def bundle(jobs: list[bytes]) -> bytes:
    """Combine several jobs in a bundle."""
    return _BUNDLE + b"".join(map(_framed, jobs))


def jobs_in(data: bytes) -> list[bytes]:
    """The jobs of a bundle, or the single job that is not a bundle."""
    return parts(data[len(_BUNDLE) :]) if data.startswith(_BUNDLE) else [data]


def parts(data: bytes) -> list[bytes]:
    """The replies to the jobs of a bundle, in order."""
    found, start = [], 0
    while start < len(data):
        (length,) = struct.unpack_from(">Q", data, start)
        start += 8 + length
        found.append(data[start - length : start])
    return found


def _framed(data: bytes) -> bytes:
    return struct.pack(">Q", len(data)) + data


def run(control: socket.socket, job: bytes, seconds: float) -> tuple[str, bytes, str] | None:
    """Run a job; returns (state, reply, reason) with the state "replied", "timed out", "out of memory" or "crashed".

    A bundle ends at the first job without a reply, whose state is returned, with the replies until then, see `parts`.
    Every job after the first has at most `FOLLOWING_SECONDS`.

    Returns None if the fork server itself is gone or stuck, so that it can't be used any more.
    """
    deadline = time.monotonic() + seconds
    mine, theirs = socket.socketpair()
    with mine:
        with theirs:
            try:
                socket.send_fds(control, [b"F"], [theirs.fileno()])
            except OSError:
                return None
        state, replies = _exchange(mine, job, deadline, min(seconds, FOLLOWING_SECONDS))
    if state == "silent" and not select.select([control], [], [], 0.5)[0]:
        state = "closed"  # the process still runs, and has only closed its connection
    try:
        control.sendall(b"K")
    except OSError:
        return None
    end = listen(control, END_SECONDS)
    if end is None:
        return None
    reply = b"".join(map(_framed, replies) if job.startswith(_BUNDLE) else replies)
    if state == "silent":
        state, reason = _died(end, seconds)
        return state, reply, reason
    reason = {
        "timed out": f"it did not end within {seconds} s",
        "closed": "it closed its connection to the judge",
        "too long": f"its results are longer than {MAX_REPLY >> 20} MiB",
    }.get(state, "")
    return ("crashed" if state in ("closed", "too long") else state), reply, reason


def listen(control: socket.socket, seconds: float) -> dict | None:
    """Read the fork server's next line; None if none arrives in time."""
    control.settimeout(seconds)
    line = b""
    try:
        while not line.endswith(b"\n"):
            received = control.recv(4096)
            if not received:
                return None
            line += received
        return json.loads(line)
    except (OSError, ValueError):
        return None


def _exchange(channel: socket.socket, job: bytes, deadline: float, each: float) -> tuple[str, list[bytes]]:
    """The end of a job, and its replies; each after the first has `each` seconds."""
    replies, left = [], MAX_REPLY
    try:
        channel.settimeout(max(0.01, deadline - time.monotonic()))
        channel.sendall(job)
        channel.shutdown(socket.SHUT_WR)
        for _ in jobs_in(job):
            (length,) = struct.unpack(">Q", _receive(channel, 8, deadline))
            left -= length + 8 * bool(replies)
            if left < 0:
                return "too long", replies
            replies.append(_receive(channel, length, deadline))
            deadline = time.monotonic() + each
        return "replied", replies
    except TimeoutError:
        return "timed out", replies
    except (EOFError, OSError):
        return "silent", replies


def _receive(channel: socket.socket, length: int, deadline: float) -> bytes:
    parts, missing = [], length
    while missing:
        channel.settimeout(max(0.001, deadline - time.monotonic()))
        part = channel.recv(min(missing, 1 << 20))
        if not part:
            raise EOFError
        if time.monotonic() > deadline:  # also for a reply that trickles in
            raise TimeoutError
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _died(end: dict, seconds: float) -> tuple[str, str]:
    code = end["code"]
    if end["cpu"] >= seconds:
        return "timed out", f"it used more than {seconds} s of processor time"
    if code == -9:
        return "out of memory", "the system ended it, most likely because of its memory"
    why = f"signal {-code}" if code < 0 else f"exit status {code}"
    return "crashed", f"its process ended by itself ({why}) before there was a result"
