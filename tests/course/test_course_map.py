"""The course map."""

from nnopt_lab.course.course_map import CourseMap, progress
from nnopt_lab.course.exercises import exercises, lesson_points
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.record import note_attempt, read


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
    table.rows = [("01_x", "<b>", 1, 4)]
    assert "&lt;b&gt;" in table._repr_html_() and "width:25%" in table._repr_html_()
