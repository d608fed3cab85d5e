"""The sandbox as a container. No engine runs where these tests do, so a stand-in does what the real one is asked to."""

import shutil
import subprocess
import sys

import pytest

from nnopt_lab.grading import batch, container, gradebook, sources
from nnopt_lab.grading.pool import Settings
from nnopt_lab.grading.sandbox import Limits, SandboxError
from nnopt_lab.grading.sandboxed import codec
from nnopt_lab.grading.sandboxed.__main__ import STARTS
from tests.grading.classroom import CROWD, HONEST_POINTS, POOLS, hand_in, honest, job, notebook
from tests.grading.engine import as_root


@pytest.fixture
def room(tmp_path):
    hand_in(tmp_path / "in", "alice", honest())
    hand_in(tmp_path / "in", "mallory", notebook({"pruning.l1_importance": ATTACK}))
    hand_in(tmp_path / "in", "zoe", honest())
    return tmp_path / "in"


ATTACK = """
import os, socket, signal, glob
able = []
def attempt(what, action):
    try:
        if action() is not False: able.append(what)
    except OSError: pass
attempt("fork", os.fork)
attempt("socket", socket.socket)
attempt("kill", lambda: os.kill(os.getppid(), signal.SIGKILL))
for pid in range(1, 400):
    if pid != os.getpid(): attempt(f"kill {pid}", lambda: os.kill(pid, signal.SIGKILL))
attempt("root", lambda: os.setuid(0))
for place in ("/", "/usr/lib", "/sandboxed", "/tmp", "/dev/shm"):
    attempt("write " + place, lambda: open(place + "/x", "w").close())
attempt("read", lambda: bool(glob.glob("/proc/[0-9]*/cmdline")))
def l1_importance(weight):
    return str(able)
"""


@as_root
def test_the_same_worker_grades_in_a_container(tmp_path, docker, room):
    book = gradebook.Gradebook(tmp_path / "out")
    batch.grade_all(sources.find([room]), book, Settings("container", Limits(5)), jobs=1)
    found = {entry.learner: entry.graded for entry in book.entries()}
    assert sum(r.points for r in found["alice"].results) == sum(r.points for r in found["zoe"].results) == HONEST_POINTS
    attacked = next(r for r in found["mallory"].results if r.id == "pruning.l1_importance")
    assert attacked.points == 0 and attacked.got == "'[]'", attacked


def test_a_container_speaks_english_whatever_the_teacher_s_locale():
    command = container.run_command("docker", "image", Limits(5))
    assert command[command.index("NNOPT_LANGUAGE=en") - 1] == "--env"


@as_root
def test_a_container_keeps_the_clock_and_survives_a_crash(docker):
    with container.ContainerSandbox(Limits(2)) as sandbox:
        sandbox.wait()
        assert sandbox.run(job("while True: pass", 1)).state == "timed out"
        assert sandbox.run(job("import os\nos._exit(3)", 1)).state == "crashed"
        assert sandbox.run(job("def f(x): return x", 1)).state == "replied"


@as_root
def test_a_crowd_of_threads_is_refused_and_pools_of_honest_answers_are_not(docker):
    with container.ContainerSandbox(Limits(20, 512)) as sandbox:
        sandbox.wait()
        for source, given, wanted in [(CROWD, 5_000, STARTS), (POOLS, 1, 80)]:
            ended = sandbox.run(job(source, given))
            assert codec.unpack(ended.reply)[1] == [[wanted, [given]]], ended


def test_without_an_engine_a_sentence_says_so(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SandboxError, match="Neither Docker nor Podman responds"):
        container.ContainerSandbox(Limits())


def test_an_image_that_can_t_be_built_says_why(monkeypatch):
    def run(command, **_):
        failed = subprocess.CompletedProcess(command, 1, "", "no network\n")
        return failed

    monkeypatch.setattr(container.subprocess, "run", run)
    with pytest.raises(SandboxError, match="could not be built: no network"):
        container.image("docker")


def test_a_container_that_does_not_start_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr(
        container, "run_command", lambda *_: [sys.executable, "-c", "import sys; sys.exit('daemon is gone')"]
    )
    with (
        container.ContainerSandbox(Limits(), "docker", "x") as sandbox,
        pytest.raises(SandboxError, match="daemon is gone"),
    ):
        sandbox.wait()
