"""Sandboxes: without one nothing is graded, and a sentence says what to do."""

import shutil
import sys

import pytest

from nnopt_lab import cli
from nnopt_lab.grading import sandbox as sandbox_module
from nnopt_lab.grading.sandbox import JobResult, Limits, Sandbox, SandboxError, available
from tests.grading.classroom import hand_in, honest, linux


def test_without_a_tool_there_is_no_sandbox_and_a_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SandboxError, match="--isolation container"):
        available()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxError, match=r"needs Linux.*--isolation container"):
        available()
    assert available("none") == "none"
    with pytest.raises(ValueError, match="isolation='wall' must be auto, bubblewrap"):
        available("wall")


def test_a_container_can_be_asked_for_anywhere(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert available("container") == "container"


@linux
def test_the_command_refuses_to_grade_without_a_sandbox(monkeypatch, tmp_path, capsys):
    hand_in(tmp_path / "in", "alice", honest())
    command = ["nnopt", "grade", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2 and "can't be found" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(sys, "argv", [*command, "--isolation", "none"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert "learners' code runs with your rights" in " ".join(capsys.readouterr().out.split())
    assert "alice,01_pruning,4,24" in (tmp_path / "out" / "grades.csv").read_text()


class Fragile(Sandbox):
    """A sandbox without processes: a job b"break" takes it down, and it starts as often as `starts` says."""

    starts = (True,)

    def _start(self):
        first, *self.starts = self.starts
        if not first:
            raise OSError("no room")

    def wait(self):
        pass

    def _exchange(self, job):
        return None if job == b"break" else JobResult("replied", job)

    def _end(self):
        pass


@pytest.fixture
def fragile(monkeypatch):
    monkeypatch.setattr(sandbox_module, "PAUSES", (0, 0))

    def made(*starts):
        monkeypatch.setattr(Fragile, "starts", (True, *starts))
        return Fragile("none", Limits())

    return made


@pytest.mark.parametrize("starts", [(True,), (False, True), (False, False, True)])
def test_a_sandbox_that_a_job_took_down_starts_again_at_the_third_try_at_the_latest(fragile, starts):
    sandbox = fragile(*starts)
    ended = sandbox.run(b"break")
    assert ended.state == "crashed" and "its whole sandbox was ended" in ended.reason
    assert not sandbox.is_lost and sandbox.run(b"x") == JobResult("replied", b"x")


def test_a_sandbox_that_does_not_start_again_costs_this_submission_until_it_is_repaired(fragile):
    sandbox = fragile(*[False] * 6, True)
    ended = sandbox.run(b"break")
    assert ended.state == "crashed" and "could not be restarted" in ended.reason
    assert sandbox.is_lost and sandbox.run(b"x").state == "crashed"
    with pytest.raises(SandboxError, match="no room"):
        sandbox.repair()
    assert sandbox.is_lost
    sandbox.repair()
    assert not sandbox.is_lost and sandbox.run(b"x").state == "replied"


def test_a_closed_sandbox_does_not_start_again(fragile):
    sandbox = fragile(True, True)
    sandbox.close()
    with pytest.raises(SandboxError, match="is being stopped"):
        sandbox.run(b"break")
