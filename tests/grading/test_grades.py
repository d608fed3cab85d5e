"""From points to grades: lateness, marks by hand, the last submission, and the files that other systems import."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.course.exercises import exercises, lesson_points
from nnopt_lab.grading import exports, marks
from nnopt_lab.grading.gradebook import Entry
from nnopt_lab.grading.grades import final
from nnopt_lab.grading.judge import Graded, Result
from nnopt_lab.grading.lateness import Policy, policy
from nnopt_lab.grading.marks import Mark
from tests.grading.classroom import LESSON

DUE = "2026-12-01T18:00:00+00:00"
IN_TIME, LATE = "2026-12-01T17:59:00+00:00", "2026-12-03T06:00:00+00:00"  # 36 hours late


def entry(learner="alice", submitted_at=IN_TIME, points=2.0, state="graded", **more) -> Entry:
    results = (
        Result("pruning.levels", "failed", points, 3, "wrong"),
        Result("pruning.l1_importance", "passed", 2, 2),
    )
    fields = {"name": f"{learner}/{LESSON}.ipynb", "system": "", "number": "", "late": False} | more
    graded = Graded(LESSON if state != "malformed" else "", state, "", results if state != "malformed" else ())
    return Entry(learner, submitted_at=submitted_at, graded=graded, **fields)


# Lateness


@pytest.mark.parametrize(
    ("text", "share", "words"),
    [
        ("none", 1.0, "36 hours late"),
        ("zero", 0.0, "36 hours late"),
        ("10%", 0.9, "36 hours late"),
        ("10%/day", 0.8, "36 hours late"),
        ("5%/hour", 0.0, "36 hours late"),
        ("1%/hour", 0.64, "36 hours late"),
    ],
)
def test_what_a_late_submission_loses(text, share, words):
    assert policy(text, DUE).share(LATE) == (pytest.approx(share), words)
    assert policy(text, DUE).share(IN_TIME) == (1.0, "")


def test_what_another_system_marked_as_late_is_late_by_one_period_at_least():
    assert policy("10%/day", DUE).share(IN_TIME, marked_late=True)[0] == 0.9
    assert policy("10%/day", DUE).share(LATE, marked_late=True)[0] == 0.8


def test_a_date_without_a_zone_is_local():
    assert policy("none", "2026-12-01T18:00").due.tzinfo is not None


@pytest.mark.parametrize("text", ["10", "x", "10%/week", "200%", "-5%", ""])
def test_a_policy_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="must be none, zero"):
        policy(text, DUE)


def test_a_policy_without_a_date_and_a_date_that_is_none_are_refused():
    with pytest.raises(ValueError, match="needs a due date"):
        policy("10%")
    with pytest.raises(ValueError, match="must be a date and time"):
        policy("none", "tomorrow")


@given(st.integers(0, 100), st.floats(0, 10_000))
def test_a_share_is_between_nothing_and_all_and_never_grows_with_time(percent, hours):
    from datetime import datetime, timedelta

    rule = policy(f"{percent}%/hour", DUE)
    shares = [rule.share((datetime.fromisoformat(DUE) + timedelta(hours=h)).isoformat())[0] for h in (hours, hours + 1)]
    assert 0 <= shares[1] <= shares[0] <= 1


# Marks by hand


def test_marks_come_back_and_the_last_one_counts(tmp_path):
    marks.write(tmp_path, "Älice; the 1st", "pruning.levels", Mark(2.5, "nearly, look at ties"))
    marks.write(tmp_path, "bob", LESSON, Mark(comment="see me"))
    marks.write(tmp_path, "Älice; the 1st", "pruning.levels", Mark(3, ""))
    assert marks.read(tmp_path) == {
        ("Älice; the 1st", "pruning.levels"): Mark(3.0, ""),
        ("bob", LESSON): Mark(None, "see me"),
    }


def test_a_table_edited_in_a_spreadsheet_is_understood(tmp_path):
    (tmp_path / marks.FILE).write_bytes(
        "\ufefflearner;item;points;comment\r\nbob;pruning.levels;1,5;good\r\n;;;\r\n".encode()
    )
    assert marks.read(tmp_path) == {("bob", "pruning.levels"): Mark(1.5, "good")}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("bob,pruning.nothing,1,", "line 2: item='pruning.nothing' is no exercise"),
        ("bob,pruning.levels,many,", "line 2: points='many' must be a number"),
        ("bob,pruning.levels,nan,", "line 2: points='nan' must be a number"),
        (",pruning.levels,1,", "line 2: the learner is missing"),
    ],
)
def test_a_line_that_can_t_be_understood_is_named(tmp_path, line, said):
    (tmp_path / marks.FILE).write_text(f"learner,item,points,comment\n{line}\n")
    with pytest.raises(ValueError, match=said):
        marks.read(tmp_path)


def test_a_mark_for_nothing_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="is no exercise, question or lesson"):
        marks.write(tmp_path, "bob", "pruning.nothing", Mark(1))
    assert not (tmp_path / marks.FILE).exists()
    (tmp_path / marks.FILE).write_text("a,b\n")
    with pytest.raises(ValueError, match="must begin with the columns"):
        marks.read(tmp_path)


# Final grades


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


# Files for other systems


@pytest.fixture
def grades():
    return final(
        [
            entry("=HYPERLINK(1)"),
            entry("doejane", system="canvas", number="12345", submitted_at=LATE, late=True),
            entry("Jane van Doe", system="moodle", number="54321"),
            entry("lost", state="malformed"),
        ],
        {("doejane", LESSON): Mark(comment="well done")},
        policy("50%", DUE),
    )


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_plain_table(tmp_path, grades):
    assert exports.write(grades, tmp_path, []) == [tmp_path / "grades.csv"]
    rows = {row["learner"]: row for row in table(tmp_path / "grades.csv")}
    assert rows["doejane"]["points"] == "2" and rows["doejane"]["lost"] == "2" and "late" in rows["doejane"]["late"]
    assert rows["lost"]["state"] == "malformed" and rows["lost"]["points"] == "0"
    assert "'=HYPERLINK(1)" in rows and "=HYPERLINK(1)" not in rows


def test_canvas(tmp_path, grades):
    exports.write(grades, tmp_path, ["canvas"])
    rows = table(tmp_path / "canvas.csv")
    assert list(rows[0]) == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", LESSON]
    assert rows[0]["Student"] == "    Points Possible" and rows[0][LESSON] == str(lesson_points(LESSON))
    by_name = {row["Student"]: row for row in rows}
    assert (by_name["doejane"]["ID"], by_name["doejane"][LESSON]) == ("12345", "2")
    assert by_name["Jane van Doe"]["SIS Login ID"] == "Jane van Doe"


def test_moodle(tmp_path, grades):
    exports.write(grades, tmp_path, ["moodle"])
    rows = {row["Full name"]: row for row in table(tmp_path / f"moodle-{LESSON}.csv")}
    # Moodle's importer refuses a file without these three.
    assert {"Identifier", "Grade", "Last modified (grade)"} <= set(rows["doejane"])
    assert (rows["Jane van Doe"]["Identifier"], rows["Jane van Doe"]["Grade"]) == ("Participant 54321", "4")
    assert "well done" in rows["doejane"]["Feedback comments"]


def test_gradescope(tmp_path, grades):
    exports.write(grades, tmp_path, ["gradescope"])
    result = json.loads((tmp_path / "gradescope" / "doejane" / LESSON / "results.json").read_text())
    assert result["score"] == 2 and "well done" in result["output"]
    assert {t["name"]: (t["score"], t["max_score"]) for t in result["tests"]} == {
        "pruning.levels": (2, 3),
        "pruning.l1_importance": (2, 2),
    }
    assert (tmp_path / "gradescope" / exports.safe_name("=HYPERLINK(1)") / LESSON / "results.json").is_file()


def test_json(tmp_path, grades):
    exports.write(grades, tmp_path, ["json"])
    found = json.loads((tmp_path / "grades.json").read_text())
    assert {g["entry"]["learner"]: g["points"] for g in found}["doejane"] == 2


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must be one of canvas, moodle, gradescope, json"):
        exports.write([], tmp_path, ["excel"])


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_learner_s_name_becomes_a_safe_file_name_of_its_own(first, second):
    one, other = exports.safe_name(first), exports.safe_name(second)
    assert not set(one) & set('/\\:*?"<>|. \0\n') and len(one) <= 70
    assert (one == other) == (first == second)
