"""The template of fork servers, and the fork server, which forks a worker per job: one answer, or several of a learner.

The template has imported torch, but nothing of the course. It only forks servers, so that an attack on a server affects
only its own job, and a new server is ready at once. Neither of them ever sees an answer: a server gets a socket, passes
it to the fork, and reports how the fork ended. So the memory that a worker inherits contains nothing of earlier
learners.

    python -s -P . '{"control": 3, "mode": "namespaces", …}'

Orders are single bytes: to the template S (with two sockets: fork a server that the first controls, and end it when the
second closes), to a server F (with a socket: fork a worker for it) and K (kill it). A server answers in lines of JSON:
one when it is ready, one for each worker that ended.
"""

import contextlib
import fcntl
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SCRATCH_MEGABYTES = 16
FILE_BYTES = SCRATCH_MEGABYTES << 20
OPEN_FILES = 64
STARTS = 1_000  # total number of threads (without isolation, also processes) that a worker may start


def main(settings: dict) -> None:
    """Fork servers until the judge closes the control socket."""
    control = socket.socket(fileno=settings["control"])
    sys.path[:0] = [HERE, *settings["paths"]]
    import linux_sandbox

    if "view" in settings:
        linux_sandbox.show_only(**settings["view"])
        sys.path[0] = "/sandboxed"
    # No garbage collection until the first answer: it would take a third of the time and fragment the memory, and
    # workers that write into the holes would copy pages.
    gc.disable()
    import answer

    _warm_up(answer)
    if settings.get("passing"):
        linux_sandbox.hide(settings["passing"])
    linux = sys.platform == "linux"
    settings["space"] = linux_sandbox.address_space() if linux else 0
    settings["pidfd"] = os.pidfd_open(os.getpid()) if linux else -1
    if linux:
        linux_sandbox.no_more_huge_pages()  # an answer could wait seconds for its first huge page
    gc.freeze()  # so that a collection in a worker does not touch these objects and copy their pages
    gc.enable()
    servers: dict[socket.socket, int] = {}  # process ids by the sockets whose closing ends them
    while True:
        ready, _, _ = select.select([control, *servers], [], [])
        for life in set(ready) & servers.keys():
            _end_server(servers.pop(life), settings["mode"])
            life.close()
        if control in ready:
            order, handles, _, _ = socket.recv_fds(control, 1, 2)
            if not order:
                return
            life = socket.socket(fileno=handles[1])
            with socket.socket(fileno=handles[0]) as theirs:
                try:
                    servers[life] = _fork_server(linux_sandbox, answer, control, theirs, settings)
                except OSError:  # no resources for one now: the judge sees its socket close
                    life.close()


def _end_server(pid: int, mode: str) -> None:
    """End a server that is no longer needed and may be stuck."""
    if mode == "none":  # its worker would outlive it, so it gets time to end the worker
        patience = time.monotonic() + 2
        while _running(pid) and time.monotonic() < patience:
            time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _fork_server(linux_sandbox, answer, templates: socket.socket, control: socket.socket, settings: dict) -> int:
    namespaces = settings["mode"] == "namespaces"
    if namespaces:  # a server's worker ends with it
        linux_sandbox.unshare(linux_sandbox.NEW_PIDS)
    try:
        pid = os.fork()
        if pid == 0:
            try:
                templates.close()
                if sys.platform == "linux":
                    settings["pidfd"] = os.pidfd_open(os.getpid())
                _serve(linux_sandbox, answer, control, settings)
            finally:
                os._exit(0)
    finally:
        if namespaces:
            linux_sandbox.rejoin_own_pids(settings["pidfd"])
    return pid


def _serve(linux_sandbox, answer, control: socket.socket, settings: dict) -> None:
    """Fork workers until the judge closes the control socket."""
    _say(control, {"ready": True})
    count = 0
    while True:
        order, sockets, _, _ = socket.recv_fds(control, 1, 1)
        if not order:
            return
        if order == b"F":
            count += 1
            starts, theirs = socket.socketpair()
            with starts:
                with theirs:
                    pid = _fork(linux_sandbox, answer, control, (sockets[0], theirs.fileno()), settings, count)
                os.close(sockets[0])
                fact = _ended(linux_sandbox, control, starts, pid)
            if settings["mode"] == "none":
                _sweep(pid)
            _say(control, fact)


def _warm_up(answer) -> None:
    """Load once everything that the first use of torch and of the codec would otherwise load in every worker."""
    import torch
    import torch.nn.utils.prune  # lessons import it, but torch itself doesn't

    torch.set_num_threads(1)
    x = torch.rand(4, 4, generator=torch.Generator().manual_seed(0))
    x.half()  # makes torch look up the processor's features, which workers can't see
    (x @ x).abs().sum(0).topk(2).values.argsort(stable=True).long().bincount()
    job = {"seed": 0, "preamble": "", "source": "def f(x): return x + 1", "name": "f", "arguments": ["x"]}
    keep = sys.stdout, sys.stderr
    answer.codec.unpack(answer.reply_to(answer.codec.pack(job, [(x, 1)])))
    sys.stdout, sys.stderr = keep


def _fork(linux_sandbox, answer, control: socket.socket, handles: tuple, settings: dict, count: int) -> int:
    namespaces = settings["mode"] == "namespaces"
    if namespaces:
        linux_sandbox.unshare(linux_sandbox.NEW_PIDS)
    pid = os.fork()
    if pid == 0:
        try:
            control.close()
            _work(linux_sandbox, answer, handles, settings, count)
        finally:
            os._exit(70)
    if namespaces:
        linux_sandbox.rejoin_own_pids(settings["pidfd"])
    return pid


def _work(linux_sandbox, answer, handles: tuple[int, int], settings: dict, count: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    handles = [fcntl.fcntl(handle, fcntl.F_DUPFD, 10) for handle in handles]  # away from the numbers used below
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.dup2(handles[0], 3)
    os.dup2(handles[1], 4)
    os.closerange(5, 4096)
    channel, starts = socket.socket(fileno=3), socket.socket(fileno=4)
    os.chdir(settings["scratch"])
    if settings["mode"] == "none":
        os.setsid()
    else:
        _lock_in(linux_sandbox, settings, count)
    with starts:
        if sys.platform == "linux":
            _have_starts_counted(linux_sandbox, starts, settings["mode"])
    if settings["mode"] != "none":
        linux_sandbox.deny_calls()
    if sys.platform == "linux":
        linux_sandbox.limit(settings["space"] + settings["memory"], settings["seconds"] + 1, FILE_BYTES, OPEN_FILES)
    data = b"".join(iter(lambda: channel.recv(1 << 16), b""))
    for reply in answer.replies_to(data):
        channel.sendall(struct.pack(">Q", len(reply)) + reply)
    os._exit(0)


def _lock_in(linux_sandbox, settings: dict, count: int) -> None:
    if settings["mode"] == "namespaces":
        linux_sandbox.private_mounts()
        linux_sandbox.mount_scratch(settings["scratch"], SCRATCH_MEGABYTES)
        os.chdir(settings["scratch"])
    else:  # a container without the right to make namespaces: every worker is another user
        user = 20_000 + count % 40_000
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    linux_sandbox.drop_capabilities()
    if linux_sandbox.landlock_version():
        writable = [settings["scratch"]] if settings["mode"] == "namespaces" else []
        linux_sandbox.landlock(settings["readable"], writable)


def _have_starts_counted(linux_sandbox, starts: socket.socket, mode: str) -> None:
    """Let the fork server count this worker's starts, or else the kernel limit its user's tasks in the sandbox."""
    try:
        linux_sandbox.give_up_new_privileges()
        handle = linux_sandbox.watch_starts()
        socket.send_fds(starts, [b"S"], [handle])
        os.close(handle)
    except OSError:
        if mode != "none":
            linux_sandbox.limit_tasks(STARTS)


def _ended(linux_sandbox, control: socket.socket, starts: socket.socket, pid: int) -> dict:
    """Wait for a worker's end; kill it on the judge's order, or if the judge is gone."""
    if hasattr(os, "pidfd_open"):
        over = _watch(linux_sandbox, control, starts, pid)
    else:  # macOS: poll
        while not (ready := select.select([control], [], [], 0.005)[0]) and _running(pid):
            pass
        over = not ready
    if not over and control.recv(1) in (b"K", b""):
        os.kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    return {"code": os.waitstatus_to_exitcode(status), "cpu": used.ru_utime + used.ru_stime}


def _watch(linux_sandbox, control: socket.socket, starts: socket.socket, pid: int) -> bool:
    """Answer a worker's requests to start threads until it ends or the judge gives an order; returns whether it ended.

    `starts` delivers the handle of these requests, or just closes if there is none.
    """
    watched, handles, count = os.pidfd_open(pid), [], 0
    poll = select.poll()
    for source in (control, watched, starts):
        poll.register(source, select.POLLIN)
    try:
        while True:
            found = dict(poll.poll())
            if control.fileno() in found or watched in found:
                return watched in found
            if starts.fileno() in found:
                poll.unregister(starts)
                _, handles, _, _ = socket.recv_fds(starts, 1, 1)
                for handle in handles:
                    poll.register(handle, select.POLLIN)
            elif found[handles[0]] & select.POLLIN:
                linux_sandbox.answer_start(handles[0], count < STARTS)
                count += 1
            else:  # the worker is ending: a request now would wait for ever
                poll.unregister(handles[0])
    finally:
        for handle in (watched, *handles):
            os.close(handle)


def _sweep(pid: int) -> None:
    """End at least a worker's process group, because without namespaces, its processes may outlive it."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def _running(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _say(control: socket.socket, fact: dict) -> None:
    control.sendall(json.dumps(fact).encode() + b"\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    os._exit(0)  # an orderly shutdown of torch would take longer than a job
