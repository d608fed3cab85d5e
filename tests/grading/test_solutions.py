"""Every lesson's solved notebook, handed in and graded as a class's would be, earns every point."""

import csv
import shutil
import sys

import pytest

from nnopt_lab import cli
from nnopt_lab.course.exercises import lesson_points
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.lesson_files import paths
from tests.grading.classroom import linux
from tests.grading.engine import as_root


@pytest.fixture
def points(tmp_path, monkeypatch):
    def of(isolation: str) -> dict[str, tuple[str, float]]:
        for lesson in lessons():
            (tmp_path / "in" / lesson).mkdir(parents=True)
            shutil.copy(paths(lesson)[True], tmp_path / "in" / lesson)
        command = ["nnopt", "grade", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--jobs", "1"]
        monkeypatch.setattr(sys, "argv", [*command, "--seconds", "60", "--isolation", isolation])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
        with (tmp_path / "out" / "grades.csv").open(encoding="utf-8", newline="") as table:
            return {row["lesson"]: (row["reason"], float(row["points"])) for row in csv.DictReader(table)}

    return of


FULL = {lesson: ("", lesson_points(lesson)) for lesson in lessons()}


@linux
@pytest.mark.parametrize(("isolation", "tool"), [("unshare", "unshare"), ("bubblewrap", "bwrap"), ("none", "sh")])
def test_every_solved_notebook_earns_every_point_with_and_without_a_sandbox(points, isolation, tool):
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    assert points(isolation) == FULL


@as_root
def test_every_solved_notebook_earns_every_point_in_a_container(points, docker):
    assert points("container") == FULL
