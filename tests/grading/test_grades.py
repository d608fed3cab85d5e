"""Final grades: the last submission, with marks and the late penalty."""

from nnopt_lab.course.exercises import exercises, lesson_points
from nnopt_lab.grading.grades import final
from nnopt_lab.grading.lateness import Policy, policy
from nnopt_lab.grading.marks import Mark
from tests.grading.classroom import DUE, LATE, LESSON, entry


def test_the_last_submission_counts_and_one_that_can_be_read_before_one_that_can_t():
    entries = [entry(points=1), entry(points=3, submitted_at=LATE), entry(state="malformed", submitted_at=LATE)]
    by_lesson = {g.lesson: g for g in final(entries, {}, Policy())}
    assert (by_lesson[LESSON].points, by_lesson[LESSON].earlier) == (5, 1)


def test_marks_take_the_place_of_points_and_lateness_comes_before_what_is_added():
    given = {("alice", "pruning.levels"): Mark(3, "well argued"), ("alice", LESSON): Mark(-1, "late twice")}
    (grade,) = final([entry(submitted_at=LATE)], given, policy("10%", DUE))
    assert (grade.points, grade.lost, grade.added, grade.possible) == (3.5, 0.5, -1, lesson_points(LESSON))
    # In the order of the lesson, whatever the gradebook's.
    assert [a.result.id for a in grade.answers] == [
        i for i in exercises() if i in ("pruning.l1_importance", "pruning.levels")
    ]
    assert [(a.points, a.manual, a.comment) for a in grade.answers] == [(2, False, ""), (3, True, "well argued")]


def test_points_do_not_fall_below_nothing():
    (grade,) = final([entry()], {("alice", LESSON): Mark(-50)}, Policy())
    assert grade.points == 0
