"""A term of forty learners, graded by the command: points, tables for the platforms, and what the teacher is told.

`tests/benchmarks/bench_term.py` does the same with five hundred.
"""

import csv
import html
import re

import pytest

from nnopt_lab.course.exercises import lesson_points
from tests.grading import importers, term
from tests.grading.classroom import linux

pytestmark = linux
COUNT = 40


@pytest.fixture
def learners():
    return term.people(COUNT)


def graded(nnopt, folder, system, learners, *more) -> str:
    """Grade both rounds of an assignment; returns what the second one prints."""
    said = ""
    for round in (0, 1):
        path = term.download(system, learners, round, folder)
        code, said, error = nnopt("grade", path, *term.options(system, folder, learners), "--jobs", 2, *more)
        assert code == 0, error
    return " ".join(said.split())


@pytest.mark.parametrize("system", ["canvas", "moodle"])
def test_every_learner_has_the_right_points_and_the_platform_takes_them(nnopt, tmp_path, learners, system):
    said = graded(nnopt, tmp_path, system, learners, "--format", system)
    out, lesson = tmp_path / f"grades-{system}", term.ASSIGNMENTS[system]
    found = term.rows(out)
    assert term.wrong(system, learners, found) == []

    should = term.named(system, learners)
    assert "Due 2026-12-01 18:00 JST." in said and "on no line of the roster" not in said
    missing = [name for name, x in should.items() if x.kind == "missing"]
    assert f"{len(missing)} on the roster, handed in nothing for {lesson}: {', '.join(sorted(missing))}." in said
    for name, x in should.items():
        assert (f"{name}, {lesson}: " in said and "counts, with" in said.split(f"{name}, {lesson}: ")[1][:150]) == (
            term.KINDS[x.kind].is_worse
        )
        assert ("lost their ids" in found[name]["reason"]) == (x.kind == "ids lost")

    # The platform's importer finds everyone who handed in something, and changes nobody else's grade.
    taken = importers.canvas if system == "canvas" else importers.moodle
    before = {getattr(x, system): 99.0 for x in learners if x.kind == "missing"}
    after = taken(out / f"{system}-{lesson}.csv", learners, lesson, before)
    assert after == before | {getattr(x, system): term.expected(x, lesson) for x in learners if x.kind != "missing"}
    if system == "canvas":
        page = (out / "class.html").read_text("utf-8")
        copied = {x.number for x in learners if x.kind in term.UNIQUE}
        assert copied_groups(page, should) == [copied]


def copied_groups(page: str, should: dict[str, term.Learner]) -> list[set[int]]:
    """The numbers of the learners in each group of similar answers on the class's page."""
    titles = re.findall(r"<summary[^>]*>(.*?)</summary>", page, re.DOTALL)
    groups = [{x.number for name, x in should.items() if html.escape(name) in title} for title in titles]
    return [group for group in groups if len(group) > 1]


def test_the_best_submission_counts_if_the_teacher_wants_so(nnopt, tmp_path, learners):
    lesson = term.ASSIGNMENTS["blind"]
    graded(nnopt, tmp_path, "blind", learners, "--attempt", "best")
    found = term.rows(tmp_path / "grades-blind")
    should = term.named("blind", learners)
    worse = {name for name, x in should.items() if term.KINDS[x.kind].is_worse}
    assert worse and all(float(found[name]["points"]) == lesson_points(lesson) for name in worse)
    # The last one again, from the same gradebook.
    path = term.download("blind", learners, 1, tmp_path)
    options = term.options("blind", tmp_path, learners)
    assert nnopt("grade", path, *options, "--attempt", "last")[0] == 0
    assert term.wrong("blind", learners, term.rows(tmp_path / "grades-blind")) == []


def test_nbgrader_s_folders_count_with_their_times_and_regrading_changes_nothing(nnopt, tmp_path, learners):
    graded(nnopt, tmp_path, "nbgrader", learners)
    out = tmp_path / "grades-nbgrader"
    assert term.wrong("nbgrader", learners, term.rows(out)) == []
    before = (out / "grades.csv").read_text("utf-8")
    path = term.download("nbgrader", learners, 2, tmp_path)  # the last files only, in another place
    options = term.options("nbgrader", tmp_path, learners)
    assert nnopt("grade", path, *options, "--fresh", "--jobs", 2)[0] == 0
    after = term.rows(out)
    differ = {term.named("nbgrader", learners)[name].kind for name, row in rows(before).items() if row != after[name]}
    assert differ == {"broken after good"}
    name = next(iter(after))
    assert nnopt("mark", name, term.ASSIGNMENTS["nbgrader"], "--points", -1, "--out", out)[0] == 0
    assert {name for name, row in term.rows(out).items() if row != after[name]} == {name}


def rows(text: str) -> dict[str, dict]:
    return {row["learner"]: row for row in csv.DictReader(text.splitlines())}
