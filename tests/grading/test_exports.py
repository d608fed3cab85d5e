"""The files that other systems import."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.course.exercises import lesson_points
from nnopt_lab.grading import exports
from nnopt_lab.grading.formulas import defuse, restore
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


@pytest.mark.parametrize("evil", ["a;=1+1", "＝1+1", " =1", "x\n=1", '";=1'])
def test_no_column_of_any_table_begins_a_formula(tmp_path, evil):
    graded = final([entry(evil, system="canvas", number=evil)], {(evil, LESSON): Mark(1, evil)}, policy("none"))
    for path in exports.write(graded, tmp_path, ["canvas", "moodle"]):
        with open(path, encoding="utf-8", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert evil not in cells and defuse(evil) in cells
        assert all(cell == defuse(restore(cell)) for cell in cells)


def test_a_table_shown_on_a_terminal_gives_it_no_orders(tmp_path):
    exports.write(final([entry("\x1b[2Jesc")], {}, policy("none")), tmp_path, ["canvas", "moodle"])
    for path in tmp_path.glob("*.csv"):
        assert "\x1b" not in path.read_text() and "[2Jesc" in path.read_text()


def test_canvas(tmp_path, grades):
    exports.write(grades, tmp_path, ["canvas"])
    rows = table(tmp_path / f"canvas-{LESSON}.csv")
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


def test_json(tmp_path, grades):
    exports.write(grades, tmp_path, ["json"])
    found = {g["entry"]["learner"]: g for g in json.loads((tmp_path / "grades.json").read_text())}
    assert found.keys() == {"=HYPERLINK(1)", "doejane", "Jane van Doe", "lost"}
    doe = found["doejane"]
    assert (doe["points"], doe["lost"], doe["comment"], doe["entry"]["number"]) == (2, 2, "well done", "12345")
    answers = {a["result"]["id"]: (a["points"], a["manual"], a["result"]["wrong_answer"]) for a in doe["answers"]}
    assert answers == {"pruning.levels": (2, False, None), "pruning.l1_importance": (2, False, None)}


@pytest.mark.parametrize("name", ["excel", "gradescope"])
def test_an_unknown_format_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="must be one of canvas, moodle, xlsx, json"):
        exports.write([], tmp_path, [name])


NAMES = st.text(max_size=80) | st.text(alphabet="ab -", max_size=6) | st.sampled_from(["𝕏" * 60, "é" * 250, "a" * 250])


@given(NAMES, NAMES)
def test_a_learner_s_name_becomes_a_safe_file_name_of_its_own(first, second):
    one, other = exports.safe_name(first), exports.safe_name(second)
    assert not set(one) & set('/\\:*?"<>|. \0\n') and 0 < len(one.encode()) <= 70
    assert (one.lower() == other.lower()) == (first == second)


@given(NAMES)
def test_no_name_is_the_file_name_of_another_one(name):
    file = exports.safe_name(name)
    assert file == name or exports.safe_name(file) != file


@pytest.mark.parametrize(
    "name", ["Bob", "con", "nul", "lpt1", "bob-smith-0123456789ab", "-x", "é", "\ud800", "\ud801", ""]
)
def test_a_name_that_some_file_system_takes_for_another_one_has_a_digest(name):
    assert exports.safe_name(name) != name and len(exports.safe_name(name)) >= 13


@pytest.mark.parametrize("system", ["canvas", "moodle"])
def test_a_number_that_two_learners_bear_is_given_to_neither(tmp_path, system):
    entries = [
        entry(name, system=system, number=number) for name, number in zip("abc", ("777", "777", "888"), strict=True)
    ]
    exports.write(final(entries, {}, policy("none")), tmp_path, [system])
    (file,) = (
        tmp_path / name for name in (f"canvas-{LESSON}.csv", f"moodle-{LESSON}.csv") if (tmp_path / name).exists()
    )
    text = file.read_text(encoding="utf-8")
    assert "888" in text and "777" not in text
