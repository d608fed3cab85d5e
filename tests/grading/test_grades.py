"""Final grades: the last submission, with marks and the late penalty."""

import pytest

from nnopt_lab.course.exercises import exercises, lesson_points
from nnopt_lab.grading.grades import final, unapplied
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


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({}, {"submitted_at": LATE}),
        ({"name": "alice/01_pruning.ipynb"}, {"name": "alice/a second one.ipynb"}),
        ({"name": "alice/01_pruning.ipynb"}, {"name": "alice/01_pruning-2.ipynb"}),
        ({"name": "z.ipynb"}, {"name": "a.ipynb", "submitted_at": LATE}),
    ],
)
def test_by_time_and_then_by_name_whichever_was_graded_first(earlier, later, turned):
    entries = [entry(points=3, **earlier), entry(points=1, **later)]
    (grade,) = final(entries[::-1] if turned else entries, {}, Policy())
    assert grade.entry.graded.results[0].points == 1 and grade.earlier == 1


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_files_of_one_time_and_name_the_better_one_counts(turned):
    entries = [entry(points=3), entry(points=1)]
    assert final(entries[::-1] if turned else entries, {}, Policy())[0].points == 5


def test_spaces_around_a_name_count_only_where_a_learner_is_called_so():
    marked = {("alice ", LESSON): Mark(1), ("bob ", LESSON): Mark(2), (" alice", LESSON): Mark(4)}
    found = final([entry("alice"), entry("alice "), entry("bob")], marked, Policy())
    assert {g.learner: g.added for g in found} == {"alice": 4, "alice ": 1, "bob": 2}
    assert {g.learner: g.added for g in final([entry("alice")], marked, Policy())} == {"alice": 4}


def test_a_mark_that_changes_nothing_is_told():
    given = {
        ("alice", "pruning.levels"): Mark(1),
        (" alice ", LESSON): Mark(1),
        ("alise", LESSON): Mark(1),
        ("nobody at all", LESSON): Mark(1),
        ("alice", "convolutions.thin_factors"): Mark(1),
        ("alice", "00_start_here"): Mark(1),
    }
    assert unapplied(given, final([entry()], given, Policy())) == [
        "marks.csv: 'alise' handed in nothing, so the mark for 01_pruning has no effect. Did you mean 'alice'?",
        "marks.csv: 'nobody at all' handed in nothing, so the mark for 01_pruning has no effect.",
        "marks.csv: 'alice' did not hand in convolutions.thin_factors, so the mark for it has no effect.",
        "marks.csv: 'alice' did not hand in 00_start_here, so the mark for it has no effect.",
    ]
