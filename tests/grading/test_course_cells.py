"""The course's own notebooks as the judge reads them."""

from nnopt_lab.course.exercises import cell_id, exercises, questions
from nnopt_lab.grading.course_cells import lesson_imports, stubs
from tests.grading.classroom import LESSON


def test_an_answer_may_rely_on_the_lessons_imports_but_not_on_the_course():
    imports = lesson_imports(LESSON).splitlines()
    assert "from torch import nn" in imports and len(imports) == len(set(imports))
    assert "nnopt_lab" not in lesson_imports(LESSON)


def test_every_answer_of_a_lesson_has_an_untouched_cell():
    ids = {cell_id("exercise", id) for id in exercises(LESSON)} | {cell_id("question", id) for id in questions(LESSON)}
    assert set(stubs(LESSON)) == ids
