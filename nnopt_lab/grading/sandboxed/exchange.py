"""One job with a fork server over its control socket: hand it a socket, send the job, read the reply, watch the time.

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
WRITE_FAULTS = ("signal 11", "signal 10")  # how a reason names the end at a write to protected memory; macOS: 10


def new_server(template: socket.socket) -> tuple[socket.socket, socket.socket]:
    """A new fork server: its control socket, on which it says when it is ready, and one whose closing ends it.

    Where the template is gone, the control socket is closed at its other end.
    """
    (control, theirs), (life, held) = socket.socketpair(), socket.socketpair()
    with theirs, held, contextlib.suppress(OSError):
        socket.send_fds(template, [b"S"], [theirs.fileno(), held.fileno()])
    return control, life


def run(control: socket.socket, job: bytes, seconds: int) -> tuple[str, bytes, str] | None:
    """(state, reply, reason) of a job: "replied", "timed out", "out of memory" or "crashed".

    None where the fork server itself is gone or stuck: it can't be used any more.
    """
    deadline = time.monotonic() + seconds
    mine, theirs = socket.socketpair()
    with mine:
        with theirs:
            try:
                socket.send_fds(control, [b"F"], [theirs.fileno()])
            except OSError:
                return None
        state, reply = _exchange(mine, job, deadline)
    if state == "silent" and not select.select([control], [], [], 0.5)[0]:
        state = "closed"  # the process is still there, and has only hung up
    try:
        control.sendall(b"K")
    except OSError:
        return None
    end = listen(control, END_SECONDS)
    if end is None:
        return None
    if state == "silent":
        return _died(end, seconds)
    reason = {
        "timed out": f"it did not end within {seconds} s",
        "closed": "it closed its connection to the judge",
        "too long": f"its results are longer than {MAX_REPLY >> 20} MiB",
    }.get(state, "")
    return ("crashed" if state in ("closed", "too long") else state), reply, reason


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


def _exchange(channel: socket.socket, job: bytes, deadline: float) -> tuple[str, bytes]:
    try:
        channel.settimeout(max(0.01, deadline - time.monotonic()))
        channel.sendall(job)
        channel.shutdown(socket.SHUT_WR)
        (length,) = struct.unpack(">Q", _receive(channel, 8, deadline))
        return ("replied", _receive(channel, length, deadline)) if length <= MAX_REPLY else ("too long", b"")
    except TimeoutError:
        return "timed out", b""
    except (EOFError, OSError):
        return "silent", b""


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
