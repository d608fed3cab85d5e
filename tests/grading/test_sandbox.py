"""Sandboxes: without one nothing is graded, and a sentence says what to do."""

import shutil
import sys

import pytest

from nnopt_lab import cli
from nnopt_lab.grading.sandbox import SandboxError, available
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
