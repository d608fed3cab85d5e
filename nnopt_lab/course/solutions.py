"""The course's own answer to an exercise, for a learner who has passed it or tried for long."""

import inspect
import re

from nnopt_lab.course.bare_code import bare
from nnopt_lab.course.exercises import Exercise
from nnopt_lab.workbench.language import ENGLISH, spoken_language
from nnopt_lab.workbench.paths import root

CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)


def solution(exercise: Exercise) -> str:
    """The code of the exercise's cell in the lesson's source, its docstrings and comments in the language in use.

    Returns:
        "" where the sources are missing, as in a teacher's kit.
    """
    from nnopt_lab.course.builder import with_answers  # on use, because it loads nbformat

    try:
        source = (root() / "solutions" / f"{exercise.lesson}.py").read_text(encoding="utf-8")
    except OSError:
        return ""
    _, *rest = CELL.split(source)
    for header, text in zip(rest[::2], rest[1::2], strict=True):
        if f'exercise="{exercise.id}"' in header:
            return _spoken(with_answers(text).strip(), exercise.lesson)
    return ""


def other_solution(exercise: Exercise, answer) -> str:
    """The code as in `solution`, or "" if the learner's own function has the same code."""
    code = solution(exercise)
    try:
        own = inspect.getsource(answer)
    except (OSError, TypeError):
        return code
    return "" if "".join(bare(own).split()) in "".join(bare(code).split()) else code


def _spoken(code: str, lesson: str) -> str:
    if spoken_language() == ENGLISH:
        return code
    from nnopt_lab.course.translation import catalogs, code_remarks  # on use, because they load a parser of Markdown

    known = catalogs.translations(catalogs.read(catalogs.po_file(lesson, spoken_language())))
    return code_remarks.with_translations(code, known.get)
