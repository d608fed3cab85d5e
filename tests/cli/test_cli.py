"""The command line as a whole: help at once, and one sentence for what can not be done."""

import os
import re
import subprocess
import sys

import pytest

from nnopt_lab import cli
from nnopt_lab.workbench import paths
from tests.cli.common import a_sentence

MANY_OPTIONS = ("grade", "optimize")  # 15 and more: an option takes two lines


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


def test_reading_a_notebook_builds_no_grammars_of_addresses():
    code = """
import sys
from nnopt_lab import cli
try:
    cli.main()
finally:
    import nbformat
    assert "jsonschema" in sys.modules and "lark" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, "--help"], check=True, capture_output=True)


def test_a_flag_is_shown_without_a_value_and_its_negative_only_where_it_is_on(nnopt, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = nnopt("optimize", "--help")
    assert "--dry-run" in out and "--no-" not in out and "bool" not in out
    _, out, _ = nnopt("lab", "--help")
    assert "--no-browser" in out and "bool" not in out


@pytest.mark.parametrize(("panel", "commands"), cli.COMMANDS.items())
def test_help_shows_each_group_within_24_lines_of_80_columns_and_a_command_in_one(nnopt, monkeypatch, panel, commands):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, err = nnopt("--help")
    lines = (out + err).splitlines()
    first = next(i for i, line in enumerate(lines) if re.match(rf"\W+ {panel} \W+$", line))
    group = lines[first + 1 : next(i for i, line in enumerate(lines) if i > first and line.startswith("╰"))]
    assert [line.split()[1] for line in group] == list(commands), "one line each"
    assert (
        len(group) <= 22
        and all(len(line) <= 80 for line in lines)
        and len(lines) <= 16 + sum(map(len, cli.COMMANDS.values()))
    )


@pytest.mark.parametrize("command", [name for commands in cli.COMMANDS.values() for name in commands])
def test_the_help_of_a_command_fits_a_small_terminal(nnopt, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, err = nnopt(command, "--help")
    lines = (out + err).splitlines()
    assert status == 0 and all(len(line) <= 80 for line in lines)
    assert command in MANY_OPTIONS or len(lines) <= 24


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
