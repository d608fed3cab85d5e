"""The command line as a whole: help at once, and one sentence for what can not be done."""

import os
import subprocess
import sys

import pytest

from nnopt_lab.workbench import paths
from tests.cli.common import a_sentence


def test_help_comes_at_once_and_from_any_folder(tmp_path):
    """In a process of its own: nothing that it needs may come from the current folder."""
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nnopt_lab", "--help"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(paths.PACKAGE.parent)},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0
    for command in ("lab", "reset", "run", "build", "test", "train", "record", "make-data", "progress"):
        assert f" {command} " in answer.stdout
    assert "| torch" not in answer.stderr and "| jupytext" not in answer.stderr


def test_without_a_command_there_is_help(nnopt):
    _, out, err = nnopt()
    assert "Usage: nnopt" in out + err and "progress" in out + err


@pytest.mark.parametrize("command", ["run", "build", "reset", "record", "train"])
def test_an_unknown_name_is_answered_with_one_sentence_and_status_2(nnopt, command):
    status, _, err = nnopt(command, "nope")
    first, *names = err.splitlines(keepends=True)
    assert status == 2 and a_sentence(first) and "nope" in first and all(name.startswith("  ") for name in names)


def test_an_unknown_lesson_has_no_traceback_in_a_process_of_its_own_either():
    answer = subprocess.run([sys.executable, "-m", "nnopt_lab", "run", "nope"], capture_output=True, text=True)
    assert answer.returncode == 2 and "Traceback" not in answer.stderr
    assert answer.stderr.splitlines()[:2] == ["lesson='nope' is not a lesson; there are:", "  00_start_here"]
