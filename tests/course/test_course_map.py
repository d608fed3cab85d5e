"""The course map."""

from nnopt_lab.course import session
from nnopt_lab.course.course_map import CourseMap, progress
from nnopt_lab.course.exercises import exercises, lesson_points
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.record import note_attempt, read
from nnopt_lab.course.workspace import START_PAGE


def test_points_fill_the_bar_of_their_lesson_and_of_no_other(own_workspace):
    blank = repr(progress())
    assert len(blank.splitlines()) == sum(not lesson.draft for lesson in lessons().values())
    assert all(f"  0 of {lesson_points(line.split()[0])} points" in line for line in blank.splitlines())
    for id, exercise in exercises("01_pruning").items():
        note_attempt("exercises", id, True, exercise.points)
    note_attempt("exercises", "no.such_exercise", True, 5)
    changed = [line for line in repr(progress()).splitlines() if line not in blank.splitlines()]
    earned = sum(exercise.points for exercise in exercises("01_pruning").values())
    assert len(changed) == 1 and f" {earned} of {lesson_points('01_pruning')} points" in changed[0]
    assert changed[0].count("█") == 20 * earned // lesson_points("01_pruning")


def test_a_notebook_shows_it_as_a_table_with_escaped_titles(own_workspace):
    table = CourseMap(read(own_workspace))
    table.rows = [("01_x", "<b>", 1, 4), ("02_y", "y", 3, 3)]
    shown = table._repr_html_()
    assert "&lt;b&gt;" in shown and shown.count("▰") == 5 + 20 and shown.count('<th scope="col"') == 3
    assert shown.count("✔") == 1 and shown.index("✔") > shown.index("01 &lt;b&gt;")


def test_it_links_to_the_lessons_the_next_one_and_the_start_page_as_far_as_they_exist(own_workspace, monkeypatch):
    monkeypatch.setattr(session, "_lesson", "01_pruning")
    assert "<a " not in progress()._repr_html_()
    (own_workspace / "02_convolutions.ipynb").write_text("{}")
    (own_workspace / START_PAGE).write_text("")
    shown = progress()._repr_html_()
    assert shown.count('<a href="02_convolutions.ipynb">') == 2 and "Next: 02 Convolutions" in shown
    assert '<a href="course.md">' in shown and shown.count("<a ") == 3
    monkeypatch.setattr(session, "_lesson", "15_capstone")
    assert "Next:" not in progress()._repr_html_()
