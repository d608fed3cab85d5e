"""New processes for exported networks, forked from one that has imported torch, which takes seconds each time.

`test_fresh_process.py` starts them as the library does.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys

# What load.py and torch.export.load import, except onnxruntime: it starts a thread, whose locks a fork would inherit.
IMPORTS = """
import contextlib, numpy, torch
with contextlib.suppress(ImportError):
    import torch._export.serde.serialize, torch.fx.experimental.symbolic_shapes
"""
# Like `python -c`, each fork runs a program of its own in a folder, and nothing of this package is imported.
SERVER = f"""
{IMPORTS}
import json, os, socket, sys, traceback
orders = socket.socket(fileno=int(sys.argv[1]))
while True:
    text, files, *_ = socket.recv_fds(orders, 1 << 20, 3)
    if not text:
        break
    pid = os.fork()
    if not pid:
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.closerange(3, 100)
        program, sys.argv[1:], folder = json.loads(text)
        os.chdir(folder)
        try:
            exec(program, {{"__name__": "__main__"}})
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    for file in files:
        os.close(file)
    orders.send(str(pid).encode())
"""


class Server:
    """Its `Popen` stands in for `subprocess.Popen` where that runs `python -c`."""

    def __init__(self):
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-c", SERVER, str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])

    def Popen(self, command, *, stdin, stdout, stderr, cwd):
        (asked, ask), (answer, answered) = os.pipe(), os.pipe()
        order = json.dumps([command[2], command[3:], str(cwd)]).encode()
        socket.send_fds(self._orders, [order], [asked, answered, stderr.fileno()])
        pid = int(self._orders.recv(100))
        os.close(asked)
        os.close(answered)
        return Fork(pid, ask, answer)

    def close(self):
        self._orders.close()
        self._process.kill()
        self._process.wait()


class Fork:
    """What `fresh_process` uses of a `Popen`."""

    def __init__(self, pid: int, stdin: int, stdout: int):
        self.stdin, self.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")
        self._process = os.pidfd_open(pid)  # its server does not wait for it, so the number stays its own

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def wait(self) -> str:
        select.select([self._process], [], [])
        return "unknown"

    def __del__(self):
        os.close(self._process)
