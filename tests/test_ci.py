"""The files for continuous integration, pre-commit, citation and licence: they parse, and agree with the project."""

import os
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from typer.main import get_command

from nnopt_lab import __version__
from nnopt_lab.cli import app
from nnopt_lab.workbench.paths import PACKAGE

CLONE = PACKAGE.parent
PROJECT = tomllib.loads((CLONE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TEXT = (CLONE / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
JOBS = yaml.safe_load(TEXT)["jobs"]
HOOKS = yaml.safe_load((CLONE / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]


def runs(job):
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


def test_linux_runs_everything_on_each_python_from_the_oldest():
    versions = JOBS["linux"]["strategy"]["matrix"]["python-version"]
    assert versions == ["3.11", "3.12", "3.13"] and runs("linux") == [".ci/run"]
    assert all(isinstance(v, str) and SpecifierSet(PROJECT["requires-python"]).contains(v) for v in versions)
    assert os.name == "nt" or os.access(CLONE / ".ci" / "run", os.X_OK)


def test_the_other_systems_set_up_and_run_a_lesson():
    assert JOBS["set-up"]["strategy"]["matrix"]["os"] == ["macos-latest", "windows-latest"]
    commands = [shlex.split(line)[3:] for line in runs("set-up")]
    for name, *arguments in commands:
        get_command(app).commands[name].make_context(name, arguments)
    assert ["run", "00"] in commands


def test_actions_are_pinned_may_not_write_and_wheels_are_cached():
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", action) for action in re.findall(r"uses: *(\S+)", TEXT))
    assert yaml.safe_load(TEXT)["permissions"] == {"contents": "read"} and "write" not in TEXT
    for job in JOBS.values():
        assert any("cache" in step.get("uses", "") or "cache" in step.get("with", {}) for step in job["steps"])


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_before_a_commit_is_what_ci_runs(hook):
    words = shlex.split(hook["entry"])
    if words[0] == "ruff":
        ci = (CLONE / ".ci" / "run").read_text(encoding="utf-8")
        assert f"ruff {words[1]}" in ci and hook["language"] == "python"
    else:
        get_command(app).commands[words[3]].make_context(words[3], words[4:])
        assert not hook["pass_filenames"]
        assert re.search(hook["files"], "solutions/01_pruning.py") and not re.search(hook["files"], "README.md")


def test_the_licence_goes_into_the_wheel():
    files = [path for pattern in PROJECT["license-files"] for path in CLONE.glob(pattern)]
    texts = [path.read_text(encoding="utf-8") for path in files]
    assert PROJECT["license"] == "MIT" and any(text.startswith("MIT License") for text in texts)
    assert CLONE / "data" / "fashion-LICENSE.txt" in files


def test_the_citation_is_of_this_version():
    cited = yaml.safe_load((CLONE / ".github" / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == PROJECT["version"] == __version__ and cited["license"] == PROJECT["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    changelog = (CLONE / ".github" / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {__version__}" in changelog


def test_the_guide_names_only_what_there_is():
    text = (CLONE / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for name in re.findall(r"nnopt (\w+)", text):
        assert name in get_command(app).commands
    assert Path(CLONE / ".ci" / "run").exists() and ".pre-commit-config.yaml" in os.listdir(CLONE)
