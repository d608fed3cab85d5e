"""What a teacher is told after grading."""

from datetime import datetime, timedelta

from nnopt_lab.grading import notices
from nnopt_lab.grading.grades import final, missing
from nnopt_lab.grading.lateness import policy
from nnopt_lab.grading.report import Report
from nnopt_lab.grading.roster import Roster
from tests.grading.classroom import DUE, LATE, entry


def report(*entries, unknown=(), people=()):
    grades = final(entries, {}, policy("none", DUE))
    return Report([*grades, *missing(grades, people)], [], list(unknown))


def test_who_is_missing_and_who_is_unknown():
    said = notices.find(report(entry("ann"), unknown=["ann"], people=Roster("name\nbo\ncy\n").people), None)
    assert said[0] == "1 on no line of the roster: ann."
    assert said[1].startswith("2 on the roster, handed in nothing for 01_pruning: bo, cy.")


def at(hours: float) -> str:
    return (datetime.fromisoformat(DUE) + timedelta(hours=hours)).isoformat()


def test_files_that_were_unpacked_the_next_morning_are_noticed():
    unpacked = [entry(f"l{n}", submitted_at=at(14 + n / 60)) for n in range(10)]
    (said,) = notices.find(report(*unpacked), DUE)
    assert said.startswith("10 of 10 files have dates between 14.0 and 14.2 hours after they were due")
    canvas = [entry(f"l{n}", submitted_at=at(14 + n / 60), system="canvas", number=str(n)) for n in range(10)]
    assert "Canvas's marks count" in notices.find(report(*canvas), DUE)[0]


def test_a_few_late_files_are_nothing_special():
    mixed = [entry(f"l{n}", submitted_at=at(-n)) for n in range(8)] + [entry("late", submitted_at=LATE)]
    assert notices.find(report(*mixed), DUE) == []


def test_a_blank_file_after_a_good_one_is_told():
    two = [entry(points=3), entry(points=0, submitted_at=LATE, name="alice/again.ipynb")]
    (said,) = notices.find(report(*two), None)
    assert said == (
        "alice, 01_pruning: alice/again.ipynb counts, with 2 points; another submission earned 5. To count the best "
        "one, use --attempt best."
    )
    assert final(two, {}, policy("none"), attempt="best")[0].points == 5
