"""The files for GitHub Pages, dev containers and Binder: they parse, and their versions and commands are the project's.

Whether GitHub and Binder accept them can't be tested here.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from typer.main import get_command

from nnopt_lab.cli import app
from nnopt_lab.workbench.paths import PACKAGE

CLONE = PACKAGE.parent
PROJECT = tomllib.loads((CLONE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEVCONTAINER = json.loads((CLONE / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
BINDER = yaml.safe_load((CLONE / ".binder" / "environment.yml").read_text(encoding="utf-8"))
POST_BUILD = CLONE / ".binder" / "postBuild"
WORKFLOW_TEXT = (CLONE / ".github" / "workflows" / "book.yml").read_text(encoding="utf-8")
WORKFLOW = yaml.safe_load(WORKFLOW_TEXT)


def steps():
    return [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def commands():
    """Every line that one of the files runs, split into words."""
    lines = [value for key, value in DEVCONTAINER.items() if key.endswith("Command")]
    lines += [line for step in steps() for line in step.get("run", "").splitlines()]
    lines += [line for line in POST_BUILD.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [shlex.split(line) for line in lines if line]


def check_command(words):
    """Fail unless `nnopt` has this command with these options."""
    group = get_command(app)
    command = group.commands[words[0]]
    command.make_context(words[0], list(words[1:]))  # parses, and runs nothing


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_exists_with_its_options(words):
    if words[1:3] == ["-m", "nnopt_lab"]:
        check_command(words[3:])
    elif words[1:4] == ["-m", "pip", "install"]:
        extras = re.findall(r"\[(.*)\]", words[-1])
        assert words[-1].startswith(".") and set(extras) <= set(PROJECT["optional-dependencies"])
    else:
        assert words[0] == "set"


def test_there_are_commands_for_the_set_up_the_lessons_and_the_book():
    course = {words[3] for words in commands() if words[1:3] == ["-m", "nnopt_lab"]}
    assert course == {"progress", "lab", "book"}


def test_every_python_is_one_that_the_project_allows():
    allowed = SpecifierSet(PROJECT["requires-python"])
    found = [step["with"]["python-version"] for step in steps() if "python-version" in step.get("with", {})]
    found += re.findall(r"^python=([\d.]+)$", "\n".join(d for d in BINDER["dependencies"] if isinstance(d, str)), re.M)
    found += re.findall(r"python:\d+-([\d.]+)", DEVCONTAINER["image"])
    assert len(found) == 3 and len(set(found)) == 1
    assert all(isinstance(version, str) and allowed.contains(version) for version in found)


def test_binder_s_torch_is_the_project_s():
    wanted = {r.name: r.specifier for r in map(Requirement, PROJECT["dependencies"])}
    given = {r.name: r.specifier for r in map(Requirement, BINDER["dependencies"][2:])}
    assert given == {"pytorch-cpu": wanted["torch"], "torchvision": wanted["torchvision"]}


def test_binder_s_script_is_a_program_without_a_mistake_in_syntax():
    assert POST_BUILD.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    assert os.name == "nt" or os.access(POST_BUILD, os.X_OK)
    if bash := shutil.which("bash"):
        assert subprocess.run([bash, "-n", POST_BUILD]).returncode == 0


def test_the_container_forwards_the_port_of_the_lessons():
    port = next(p for p in get_command(app).commands["lab"].params if p.name == "port").default
    assert DEVCONTAINER["forwardPorts"] == [port] and str(port) in DEVCONTAINER["portsAttributes"]


def test_every_action_has_a_pinned_version_and_only_the_publishing_job_may_write():
    actions = re.findall(r"uses: *(\S+)", WORKFLOW_TEXT)
    assert len(actions) == 4 and all(re.fullmatch(r"actions/[\w-]+@v\d+", action) for action in actions)
    assert WORKFLOW["permissions"] == {"contents": "read"}
    writing = {name for name, job in WORKFLOW["jobs"].items() if "write" in job.get("permissions", {}).values()}
    assert writing == {"publish"} and WORKFLOW["jobs"]["publish"]["needs"] == "build"


def test_the_site_that_is_built_is_the_one_that_is_published():
    built = next(words[-1] for words in commands() if words[1:4] == ["-m", "nnopt_lab", "book"])
    uploaded = next(step["with"]["path"] for step in steps() if "upload-pages-artifact" in step.get("uses", ""))
    assert Path(built) == Path(uploaded)
