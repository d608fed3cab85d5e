"""Cells of notebooks, for the tests: what they show, what they ask and what answers them."""

import re
from functools import cache

import jupytext

from nnopt_lab.course.builder import with_answers
from nnopt_lab.course.exercises import Exercise
from nnopt_lab.grading.course_cells import lesson_imports
from nnopt_lab.workbench.paths import root


def shown(cell) -> str:
    """All text that a cell shows, in plain and in HTML."""
    parts = []
    for output in cell.get("outputs", []):
        parts += [output.get("text", ""), *(v for v in output.get("data", {}).values() if isinstance(v, str))]
    return "\n".join(parts)


def calls(cell, kind: str) -> list[str]:
    """The ids of the exercises that a cell checks, or of the questions that it asks."""
    return re.findall(rf'^{kind}\("([\w.]+)"', cell.source, re.MULTILINE) if cell.cell_type == "code" else []


@cache
def solved_cells(lesson: str) -> dict[str, str]:
    """The sources of a lesson's solved cells, by the exercise's id."""
    cells = jupytext.read(root() / "solutions" / f"{lesson}.py", fmt="py:percent").cells
    return {cell.metadata["exercise"]: with_answers(cell.source) for cell in cells if "exercise" in cell.metadata}


def solved_answer(exercise: Exercise):
    """The function of the solved cell, with what a graded answer may rely on: the lesson's imports."""
    namespace = {}
    exec(f"{lesson_imports(exercise.lesson)}\n{solved_cells(exercise.lesson)[exercise.id]}", namespace)
    return namespace[exercise.name]
