"""The files that other systems import."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.course.exercises import lesson_points
from nnopt_lab.grading import exports
from nnopt_lab.grading.grades import final
from nnopt_lab.grading.lateness import policy
from nnopt_lab.grading.marks import Mark
from tests.grading.classroom import DUE, LATE, LESSON, entry


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
    found = {g["entry"]["learner"]: g for g in json.loads((tmp_path / "grades.json").read_text())}
    assert found.keys() == {"=HYPERLINK(1)", "doejane", "Jane van Doe", "lost"}
    doe = found["doejane"]
    assert (doe["points"], doe["lost"], doe["comment"], doe["entry"]["number"]) == (2, 2, "well done", "12345")
    answers = {a["result"]["id"]: (a["points"], a["manual"], a["result"]["wrong_answer"]) for a in doe["answers"]}
    assert answers == {"pruning.levels": (2, False, None), "pruning.l1_importance": (2, False, None)}


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must be one of canvas, moodle, gradescope, json"):
        exports.write([], tmp_path, ["excel"])


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_learner_s_name_becomes_a_safe_file_name_of_its_own(first, second):
    one, other = exports.safe_name(first), exports.safe_name(second)
    assert not set(one) & set('/\\:*?"<>|. \0\n') and len(one) <= 70
    assert (one == other) == (first == second)
