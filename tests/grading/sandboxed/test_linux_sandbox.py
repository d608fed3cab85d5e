"""What the kernel is asked to limit, tried in processes of their own."""

import subprocess
import sys

import pytest

from nnopt_lab.grading.view import SANDBOXED
from tests.grading.classroom import CROWD, linux
from tests.grading.engine import as_root

START = f"import os, sys\nsys.path.insert(0, {str(SANDBOXED)!r})\nimport linux_sandbox\n"


def printed(*lines: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", START + "\n".join(lines)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


WATCHED = """
import os, select, socket
mine, theirs = socket.socketpair()
if (pid := os.fork()) == 0:
    linux_sandbox.give_up_new_privileges()
    handle = linux_sandbox.watch_starts()
    socket.send_fds(theirs, [b"x"], [handle])
    os.close(handle)
    print(f(20), flush=True)
    os._exit(0)
_, (handle,), _, _ = socket.recv_fds(mine, 1, 1)
answered, poll = 0, select.poll()
poll.register(handle, select.POLLIN)
while poll.poll()[0][1] & select.POLLIN:
    linux_sandbox.answer_start(handle, answered < ALLOWED)
    answered += 1
print(answered)
"""


@linux
@pytest.mark.parametrize(("allowed", "started", "asked"), [(100, "20", "20"), (7, "7", "8"), (0, "0", "1")])
def test_whoever_holds_the_handle_decides_on_each_start(allowed, started, asked):
    assert printed(CROWD, f"ALLOWED = {allowed}", WATCHED) == [started, asked]


@linux
def test_a_second_handle_for_the_same_process_is_refused():
    lines = (
        "linux_sandbox.give_up_new_privileges()",
        "linux_sandbox.watch_starts()",
        "try: linux_sandbox.watch_starts()",
    )
    assert printed(*lines, "except OSError: print('refused')") == ["refused"]


@as_root
def test_where_starts_can_t_be_watched_the_kernel_counts_a_users_tasks(monkeypatch):
    become = "os.setresgid(23456, 23456, 23456); os.setresuid(23456, 23456, 23456)"
    count = "print(f(200))"
    assert printed(CROWD, "linux_sandbox.limit_tasks(50)", become, count) == ["49"]
    assert printed(
        CROWD, "linux_sandbox.platform.release = lambda: '5.10.0-9'", "linux_sandbox.limit_tasks(50)", become, count
    ) == ["200"]


@as_root
def test_without_a_watch_an_answer_still_runs_with_the_kernels_limit():
    lines = (
        "import __main__ as server, importlib.util",
        f"spec = importlib.util.spec_from_file_location('server', {str(SANDBOXED / '__main__.py')!r})",
        "server = importlib.util.module_from_spec(spec); spec.loader.exec_module(server)",
        "def fails(): raise OSError('busy')",
        "linux_sandbox.watch_starts = fails",
        "os.setresuid(23457, 23457, 23457)",
        "server._have_starts_counted(linux_sandbox, None, MODE)",
        "print(f(2_000))",
    )
    assert printed(CROWD, "MODE = 'users'", *lines) == ["999"]
    assert printed(CROWD, "MODE = 'none'", *lines) == ["2000"]
