"""The course map."""

from nnopt_lab.course.course_map import course_map
from nnopt_lab.course.exercises import exercises, lesson_points
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.record import note_attempt


def test_points_fill_the_bar_of_their_lesson_and_of_no_other(own_workspace):
    blank = repr(course_map(own_workspace))
    assert len(blank.splitlines()) == sum(not lesson.draft for lesson in lessons().values())
    assert all(f"  0 of {lesson_points(line.split()[0])} points" in line for line in blank.splitlines())
    for id, exercise in exercises("01_pruning").items():
        note_attempt("exercises", id, True, exercise.points)
    note_attempt("exercises", "no.such_exercise", True, 5)
    changed = [line for line in repr(course_map(own_workspace)).splitlines() if line not in blank.splitlines()]
    earned = sum(exercise.points for exercise in exercises("01_pruning").values())
    assert len(changed) == 1 and f" {earned} of {lesson_points('01_pruning')} points" in changed[0]
    assert changed[0].count("█") == 20 * earned // lesson_points("01_pruning")
