"""Checks tell solved answers from rewrites that are right only for some data, such as a maximum without magnitudes."""

import re

import pytest

from nnopt_lab.course.checking import CASES, examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.grading.course_cells import lesson_imports
from tests.lessons.cells import solved_cells

REWRITES = (
    (r"\.abs\(\)\.max\(\)", ".max()"),
    (r"\.abs\(\)\.max\(\)", ".min().neg()"),
    (r"\.abs\(\)\.amax\(", ".amax("),
    (r"\.abs\(\)\.amax\(([^()]*)\)", r".amin(\1).neg()"),
    (r"\.mean\(\)", ".median()"),
    (r"\.round\(\)", ".trunc()"),
    (r"\.round\(\)", ".floor()"),
)


def rewritten(source: str):
    """Yield the source with one rewrite at one place at a time, below the docstring."""
    begin = source.rindex('"""')
    for pattern, instead in REWRITES:
        for found in re.compile(pattern).finditer(source, begin):
            yield source[: found.start()] + found.expand(instead) + source[found.end() :]


NEAR = [
    (exercise, source)
    for exercise in exercises().values()
    for source in rewritten(solved_cells(exercise.lesson)[exercise.id])
]


@pytest.mark.parametrize(("exercise", "source"), NEAR, ids=[f"{e.id}-{n}" for n, (e, _source) in enumerate(NEAR)])
def test_a_rewrite_that_is_right_for_some_data_only_does_not_pass(exercise, source):
    names = {}
    exec(f"{lesson_imports(exercise.lesson)}\n{source}", names)
    assert not examine(exercise, names[exercise.name], seeds=range(CASES)).passed, source
