"""The spreadsheet of grades."""

import sys

import pytest

from nnopt_lab.grading import exports
from nnopt_lab.grading.formulas import defuse, restore
from nnopt_lab.grading.grades import final, missing
from nnopt_lab.grading.lateness import policy
from nnopt_lab.grading.marks import Mark
from nnopt_lab.grading.roster import Roster
from tests.grading.classroom import DUE, LATE, LESSON, entry


def workbook(folder, grades):
    openpyxl = pytest.importorskip("openpyxl", reason="a spreadsheet needs pip install '.[xlsx]'")
    assert folder / "grades.xlsx" in exports.write(grades, folder, ["xlsx"])
    return openpyxl.load_workbook(folder / "grades.xlsx")


def rows(sheet) -> list[dict]:
    head, *rest = sheet.iter_rows(values_only=True)
    return [dict(zip(head, row, strict=True)) for row in rest]


def test_it_contains_what_grades_csv_does_with_numbers_as_numbers(tmp_path):
    grades = final(
        [entry("alice", submitted_at=LATE), entry("lost", state="malformed")],
        {("alice", "pruning.levels"): Mark(2.5, "ties!")},
        policy("10%", DUE),
    )
    grades += missing(grades, Roster("name\nalice\nzoe\n").people)
    book = workbook(tmp_path, grades)
    by_learner = {row["learner"]: row for row in rows(book["Grades"]) if row["lesson"]}
    assert by_learner["alice"]["points"] == 4.05 and by_learner["alice"]["lost"] == 0.45
    assert by_learner["zoe"]["state"] == "missing" and by_learner["zoe"]["points"] == 0
    answers = {row["answer"]: row for row in rows(book["Answers"])}
    levels = answers["pruning.levels"]
    assert (levels["points"], levels["possible"], levels["manual"], levels["comment"]) == (2.5, 3, "yes", "ties!")


EVIL = ["=1+1", "+1", "-1+1", "@x", "#REF!", "x\x00y", "\x1b[2J", "\uffff", "a" * 40_000, "<b>&"]


@pytest.mark.parametrize("evil", EVIL, ids=lambda text: ascii(text)[:12])
def test_no_text_becomes_a_formula_or_breaks_the_file(tmp_path, evil):
    book = workbook(tmp_path, final([entry(evil)], {(evil, LESSON): Mark(1, evil)}, policy("none")))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert "f" not in {cell.data_type for cell in cells}
    assert all(defuse(restore(cell.value)) == cell.value for cell in cells if isinstance(cell.value, str))


def test_without_openpyxl_one_sentence_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'nnopt-lab\[xlsx\]'"):
        exports.write([], tmp_path / "new", ["xlsx"])
    assert not (tmp_path / "new").exists()
