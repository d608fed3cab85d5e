"""The hub's image and the workflow for GitHub Classroom: they parse, and what they run exists.

Building the image and GitHub's side can't be tested here.
"""

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from typer.main import get_command

from nnopt_lab.cli import app
from nnopt_lab.workbench.paths import PACKAGE
from tests.grading.classroom import LESSON, hand_in, honest, linux

CLONE = PACKAGE.parent
PROJECT = tomllib.loads((CLONE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HUB = CLONE / ".github" / "hub"
DOCKERFILE = (HUB / "Dockerfile").read_text(encoding="utf-8")
WORKFLOW_TEXT = (CLONE / ".github" / "classroom" / "classroom.yml").read_text(encoding="utf-8")
WORKFLOW = yaml.safe_load(WORKFLOW_TEXT)
STEPS = WORKFLOW["jobs"]["grade"]["steps"]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order, continuation lines joined."""
    lines = "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in lines.splitlines() if line.strip()]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    return found[max(n for n, (name, _) in enumerate(found) if name == "FROM") :]


def values(name: str, stage=None) -> list[str]:
    return [value for key, value in (stage or instructions()) if key == name]


def test_the_image_has_an_allowed_python_and_only_the_kit():
    (python,) = [value.partition("=")[2] for value in values("ARG") if value.startswith("PYTHON=")]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)
    # Nothing of the clone gets into the last stage but the settings: solutions stay in the first one.
    copied = [value.split() for value in values("COPY", last_stage())]
    assert [parts[-2] for parts in copied] == ["/opt/nnopt-lab", ".github/hub/jupyter_server_config.py"]
    assert all((CLONE / parts[-2]).exists() for parts in copied if not parts[-2].startswith("/"))


def test_the_learner_has_no_rights_and_the_home_no_course():
    stage = last_stage()
    names = [name for name, _ in stage]
    assert values("USER", stage) == ["1000:100"] and values("WORKDIR", stage) == ["/home/jovyan"]
    assert "RUN" not in names[names.index("USER") :] and "COPY" not in names[names.index("USER") :]
    assert "NNOPT_WORKSPACE" not in DOCKERFILE  # the server finds the home that the hub mounts
    assert values("CMD", stage) == ['["jupyterhub-singleuser"]']
    (check,) = values("HEALTHCHECK", stage)
    assert json.loads(check.partition("CMD ")[2]) == ["python", "-m", "nnopt_lab.course.hub"]


@pytest.mark.parametrize("assignment", ["", "01", "01 02"])
def test_the_command_that_writes_the_kit_is_one(assignment):
    (line,) = [value for value in values("RUN") if "nnopt_lab release" in value]
    command = line.partition("&& uv")[0].rpartition('"$VIRTUAL_ENV/bin/python" -m nnopt_lab ')[2]
    if not (shell := shutil.which("dash") or shutil.which("sh")):
        pytest.skip("there is no shell")
    said = subprocess.run(
        [shell, "-c", f"set -- $ASSIGNMENT; echo {command}"],
        env={"ASSIGNMENT": assignment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    words = shlex.split(said)
    parsed = get_command(app).commands["release"].make_context("release", words[1:]).params
    assert words[0] == "release" and str(parsed["folder"]) == "/kit"
    assert list(parsed["assignment"] or []) == assignment.split()


def test_what_stays_out_of_the_build_is_named_beside_the_dockerfile():
    ignored = (HUB / "Dockerfile.dockerignore").read_text(encoding="utf-8").split("\n")
    assert {".git", "**/.venv"} <= set(ignored)
    assert not {"solutions", "notebooks", "data"} & set(ignored)  # the kit is made from them


def test_every_action_is_pinned_and_the_learner_s_code_gets_no_rights():
    actions = re.findall(r"uses: *(\S+)", WORKFLOW_TEXT)
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", action) for action in actions)
    assert set(WORKFLOW["permissions"].items()) == {("contents", "read"), ("checks", "write")}
    checkouts = [step["with"] for step in STEPS if "checkout" in step.get("uses", "")]
    assert all(step["persist-credentials"] is False for step in checkouts)
    assert [step.get("repository") for step in checkouts] == [None, "${{ env.COURSE }}"]  # the grader is the course's
    assert not (CLONE / ".github" / "workflows" / "classroom.yml").exists()  # it is for other repositories


@linux
@pytest.mark.parametrize(("least", "status"), [("4", 0), ("50%", 1)])
def test_the_step_that_grades_hands_on_points_and_status(tmp_path, least, status):
    if not (bash := shutil.which("bash")):
        pytest.skip("needs bash")
    (step,) = [step for step in STEPS if step.get("id") == "grade"]
    hand_in(tmp_path / "handed-in", "notebooks", honest())
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "nnopt").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nnopt_lab "$@"\n')
    (bin / "nnopt").chmod(0o755)
    environment = os.environ | {"PATH": f"{bin}:{os.environ['PATH']}", "PYTHONPATH": str(CLONE)}
    environment |= {
        "NOTEBOOK": f"notebooks/{LESSON}.ipynb",
        "FAIL_UNDER": least,
        "GITHUB_OUTPUT": str(tmp_path / "out"),
    }
    ended = subprocess.run(
        [bash, "-eo", "pipefail", "-c", step["run"]], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == status, ended.stderr
    said = ended.stdout.splitlines()
    stop = said[0].removeprefix("::stop-commands::")
    assert said[-1] == f"::{stop}::" and len(stop) > 30
    name, _, value = (tmp_path / "out").read_text().strip().partition("=")
    result = json.loads(base64.b64decode(value))
    assert name == "result" and result["max_score"] == 24
    assert sum(test["score"] for test in result["tests"]) == 4
    # As the action reads it: the runner's id in capitals.
    (report,) = [step for step in STEPS if "reporter" in step.get("uses", "")]
    assert f"{report['with']['runners'].upper()}_RESULTS" in report["env"]
