"""A teacher's marks: written, edited in a spreadsheet, and read."""

import csv
import unicodedata

import pytest

from nnopt_lab.grading import marks
from nnopt_lab.grading.formulas import defuse, restore
from nnopt_lab.grading.marks import Mark
from tests.grading.classroom import LESSON


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
    "text",
    ["=1+1", "a;=1+1", "＝1", "'=1", "alice ", " alice", "a\nb", "a\rb", 'say "=1"', "-5", "@x", "\t=1", "O'Neil"],
)
def test_names_and_comments_come_back_letter_for_letter_and_are_no_formulas(tmp_path, text):
    marks.write(tmp_path, text, "pruning.levels", Mark(1, "first"))
    marks.write(tmp_path, "bob", "pruning.levels", Mark(1, f"{text}!"))
    marks.write(tmp_path, text, "pruning.levels", Mark(2, "second"))
    assert marks.read(tmp_path) == {
        (text, "pruning.levels"): Mark(2, "second"),
        ("bob", "pruning.levels"): Mark(1, f"{text}!".strip()),
    }
    with open(tmp_path / marks.FILE, encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert all(cell == defuse(restore(cell)) for cell in cells)


def test_what_is_no_table_of_text_is_answered_with_a_sentence(tmp_path):
    head = b"learner,item,points,comment\n"
    for raw in (head + b"al\xe9,pruning.levels,1,", head + b"x" * 200_000 + b",pruning.levels,1,"):
        (tmp_path / marks.FILE).write_bytes(raw)
        with pytest.raises(ValueError, match=r"is not UTF-8 text|can't be read as a table"):
            marks.read(tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("bob,pruning.nothing,1,", "line 2: item='pruning.nothing' is not an exercise"),
        ("bob,pruning.levels,many,", "line 2: points='many' must be a number"),
        ("bob,pruning.levels,nan,", "line 2: points='nan' must be a number"),
        (",pruning.levels,1,", "line 2: the learner is missing"),
        ("bob,pruning.levels,99,", "line 2: points=99 for pruning.levels must be from 0 to 3; to give more, add"),
        ("bob,pruning.levels,-1,", "line 2: points=-1 for pruning.levels must be from 0 to 3"),
        ("bob,pruning.levels,inf,", "line 2: points='inf' must be a number"),
        (f"bob,{LESSON},500,", f"line 2: points=500 for {LESSON} must be from -"),
    ],
)
def test_a_line_that_can_t_be_understood_is_named(tmp_path, line, said):
    (tmp_path / marks.FILE).write_text(f"learner,item,points,comment\n{line}\n")
    with pytest.raises(ValueError, match=said):
        marks.read(tmp_path)


def test_a_mark_for_nothing_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="is not an exercise, question or lesson"):
        marks.write(tmp_path, "bob", "pruning.nothing", Mark(1))
    assert not (tmp_path / marks.FILE).exists()
    (tmp_path / marks.FILE).write_text("a,b\n")
    with pytest.raises(ValueError, match="must begin with the columns"):
        marks.read(tmp_path)


OWN = "seen,Learner,item,points,comment,total\r\nyes,bob,pruning.levels,1,good,=A1\r\nno,zoe,pruning.levels,2,,\r\n"


def test_a_teachers_own_columns_stay_when_a_mark_is_written(tmp_path):
    (tmp_path / marks.FILE).write_bytes(OWN.encode())
    marks.write(tmp_path, "bob", "pruning.levels", Mark(1.5, "better"))
    marks.write(tmp_path, "eve", LESSON, Mark(3))
    with open(tmp_path / marks.FILE, encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["seen", "learner", "item", "points", "comment", "total"],
            ["yes", "bob", "pruning.levels", "1.5", "better", "=A1"],
            ["no", "zoe", "pruning.levels", "2", "", ""],
            ["", "eve", LESSON, "3", "", ""],
        ]


def test_a_table_with_semicolons_stays_one(tmp_path):
    (tmp_path / marks.FILE).write_bytes(
        "\ufefflearner;item;points;comment;note\r\nbob;pruning.levels;1,5;;x\r\n".encode()
    )
    marks.write(tmp_path, "zoë", "pruning.levels", Mark(2.5, "a;b"))
    assert (tmp_path / marks.FILE).read_bytes().decode() == (
        '\ufefflearner;item;points;comment;note\r\nbob;pruning.levels;1,5;;x\r\nzoë;pruning.levels;2,5;"a;b";\r\n'
    )
    assert marks.read(tmp_path)["zoë", "pruning.levels"] == Mark(2.5, "a;b")


def test_of_several_lines_for_one_mark_the_last_is_the_one_that_changes(tmp_path):
    lines = "bob,pruning.levels,1,\nbob,pruning.levels,2,\n"
    (tmp_path / marks.FILE).write_text(f"learner,item,points,comment\n{lines}")
    marks.write(tmp_path, "bob", "pruning.levels", Mark(3))
    assert marks.read(tmp_path) == {("bob", "pruning.levels"): Mark(3)}


def test_a_learners_name_is_the_same_however_its_letters_are_written(tmp_path):
    marks.write(tmp_path, unicodedata.normalize("NFD", "Zoë"), "pruning.levels", Mark(1))
    assert marks.read(tmp_path) == {(unicodedata.normalize("NFC", "Zoë"), "pruning.levels"): Mark(1)}


def test_a_new_comment_keeps_the_points_and_new_points_keep_the_comment(tmp_path):
    marks.write(tmp_path, "bob", "pruning.levels", Mark(2, "nearly"))
    assert marks.changed(tmp_path, "bob", "pruning.levels", None, "well") == Mark(2, "well")
    assert marks.changed(tmp_path, "bob", "pruning.levels", 0, None) == Mark(0, "nearly")
    assert marks.changed(tmp_path, "bob", "pruning.levels", None, "") == Mark(2, "")
    assert marks.changed(tmp_path, "eve", "pruning.levels", 1, None) == Mark(1, "")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_that_excel_saved_as_unicode_text_is_read_and_stays_readable_for_it(tmp_path, delimiter):
    lines = (marks.COLUMNS, ("Zoë", LESSON, "1", "schön"))
    text = "\r\n".join(delimiter.join(line) for line in lines)
    (tmp_path / marks.FILE).write_bytes(text.encode("utf-16"))
    assert marks.read(tmp_path) == {("Zoë", LESSON): Mark(1, "schön")}
    marks.write(tmp_path, "李娜", LESSON, Mark(2))
    assert marks.read(tmp_path) == {("Zoë", LESSON): Mark(1, "schön"), ("李娜", LESSON): Mark(2)}
    assert (tmp_path / marks.FILE).read_bytes().startswith(b"\xef\xbb\xbf")
