"""Jobs with a fork server over its control socket: hand it a socket, send them, read the replies, watch the time.

The judge uses it directly; in a container the relay does.
"""

import contextlib
import json
import select
import socket
import struct
import time

MAX_REPLY = 16 << 20
END_SECONDS = 20
FOLLOWING_SECONDS = 2  # for an answer that follows others in their process; it may have a process of its own later
WRITE_FAULTS = ("signal 11", "signal 10")  # how a reason names the end at a write to protected memory; macOS: 10


def new_server(template: socket.socket) -> tuple[socket.socket, socket.socket]:
    """A new fork server: its control socket, on which it says when it is ready, and one whose closing ends it.

    Where the template is gone, the control socket is closed at its other end.
    """
    (control, theirs), (life, held) = socket.socketpair(), socket.socketpair()
    with theirs, held, contextlib.suppress(OSError):
        socket.send_fds(template, [b"S"], [theirs.fileno(), held.fileno()])
    return control, life


def run(control: socket.socket, job: bytes, seconds: float) -> tuple[str, bytes, str] | None:
    """(state, reply, reason) of a job: "replied", "timed out", "out of memory" or "crashed".

    None where the fork server itself is gone or stuck: it can't be used any more.
    """
    return run_all(control, [job], seconds)[0]


def run_all(control: socket.socket, jobs: list[bytes], seconds: float) -> list[tuple[str, bytes, str] | None]:
    """What `run` gives for each of several jobs of one worker, to the first that has no reply, or to the last.

    The first has `seconds`, every other one `FOLLOWING_SECONDS` at most: who needs more gets a worker of its own.
    """
    deadline = time.monotonic() + seconds
    mine, theirs = socket.socketpair()
    with mine:
        with theirs:
            try:
                socket.send_fds(control, [b"F"], [theirs.fileno()])
            except OSError:
                return [None]
        state, replies = _exchange(mine, jobs, deadline, min(seconds, FOLLOWING_SECONDS))
    if state == "silent" and not select.select([control], [], [], 0.5)[0]:
        state = "closed"  # the process is still there, and has only hung up
    end = _end(control)
    ended = [("replied", reply, "") for reply in replies]
    if end is None:
        return [*ended[: len(jobs) - 1], None]
    if state == "replied":
        return ended
    if state == "silent":
        return [*ended, _died(end, seconds)]
    reason = {
        "timed out": f"it did not end within {seconds} s",
        "closed": "it closed its connection to the judge",
        "too long": f"its results are longer than {MAX_REPLY >> 20} MiB",
    }[state]
    return [*ended, ("timed out" if state == "timed out" else "crashed", b"", reason)]


def _end(control: socket.socket) -> dict | None:
    """End the worker; how it ended, or None where the fork server can't tell in time."""
    try:
        control.sendall(b"K")
    except OSError:
        return None
    return listen(control, END_SECONDS)


def listen(control: socket.socket, seconds: float) -> dict | None:
    """The fork server's next line, or None if none comes in time."""
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


def _exchange(channel: socket.socket, jobs: list[bytes], deadline: float, each: float) -> tuple[str, list[bytes]]:
    """How the last of several jobs ended, and the replies; each but the first has `each` seconds."""
    replies, left = [], MAX_REPLY
    try:
        channel.settimeout(max(0.01, deadline - time.monotonic()))
        channel.sendall(b"".join(struct.pack(">Q", len(job)) + job for job in jobs))
        channel.shutdown(socket.SHUT_WR)
        while len(replies) < len(jobs):
            (length,) = struct.unpack(">Q", _receive(channel, 8, deadline))
            left -= length
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
        if time.monotonic() > deadline:  # a reply that trickles in does not stretch the time
            raise TimeoutError
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _died(end: dict, seconds: int) -> tuple[str, bytes, str]:
    code = end["code"]
    if end["cpu"] >= seconds:
        return "timed out", b"", f"it used more than {seconds} s of processor time"
    if code == -9:
        return "out of memory", b"", "the system ended it, most likely for its memory"
    why = f"signal {-code}" if code < 0 else f"exit status {code}"
    return "crashed", b"", f"its process ended by itself ({why}) before there was a result"
