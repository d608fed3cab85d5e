"""Every error of SQLite about the gradebook is one sentence, and none invites a teacher to lose grades."""

import random
import sqlite3
from dataclasses import replace

import pytest

from nnopt_lab.grading import sqlite_faults
from nnopt_lab.grading.gradebook import FILE, Gradebook, archive
from nnopt_lab.grading.results import Graded, Result
from nnopt_lab.grading.sources import Source
from nnopt_lab.grading.sqlite_faults import Damaged, told
from nnopt_lab.grading.submissions import Submission
from nnopt_lab.workbench.files import in_words
from tests.grading.classroom import LESSON

CODES = {name: code for name, code in vars(sqlite3).items() if name.startswith("SQLITE_") and type(code) is int}
ERRORS = sorted(code for name, code in CODES.items() if code & 0xFF in range(1, 27) and "_LIMIT_" not in name)


def submission(number: int = 0) -> Submission:
    return Submission(Source("x", "alice/x.ipynb", "alice"), str(number), "2026-12-01T00:00:00+00:00", LESSON)


GRADED = Graded(LESSON, "graded", "", (Result("pruning.levels", "passed", 3, 3, inputs={"x": "1"}, source="x" * 50),))


@pytest.fixture
def book(tmp_path):
    book = Gradebook(tmp_path, seed=1)
    for number in range(40):
        book.add(submission(number), GRADED)
    book.close()
    return tmp_path


def said(error) -> str:
    text = in_words(error.value)
    assert FILE in text and "\n" not in text and text.endswith(".")
    return text


def change(folder, *statements: str) -> None:
    connection = sqlite3.connect(folder / FILE)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("code", ERRORS)
def test_every_code_has_a_sentence(tmp_path, code):
    trouble = sqlite3.OperationalError("so it is\nreally")
    trouble.sqlite_errorcode = code
    with pytest.raises((ValueError, OSError)) as error, told(tmp_path / FILE):
        raise trouble
    if code & 0xFF != sqlite3.SQLITE_NOTADB:
        assert "move it away" not in said(error)


@pytest.mark.parametrize("code", ["SQLITE_FULL", "SQLITE_IOERR", "SQLITE_IOERR_WRITE", "SQLITE_CANTOPEN"])
def test_a_full_disk_is_no_reason_to_move_anything(tmp_path, monkeypatch, code):
    monkeypatch.setattr(sqlite_faults, "_is_full", lambda folder: True)
    trouble = sqlite3.OperationalError("disk I/O error")
    trouble.sqlite_errorcode = getattr(sqlite3, code)
    with pytest.raises(OSError) as error, told(tmp_path / FILE):
        raise trouble
    assert "the disk is full" in said(error) and "leave the file where it is" in said(error)


def test_a_disk_that_gets_full_loses_nothing(book):
    full = Gradebook(book)
    pages = full._rows("PRAGMA page_count")[0][0]
    full._rows(f"PRAGMA max_page_count = {pages + 2}")  # SQLite's own full disk
    with pytest.raises(OSError) as error:
        for number in range(40, 2000):
            full.add(submission(number), GRADED)
    assert "the disk is full" in said(error)
    full.close()
    assert len(list(Gradebook(book).entries())) == number


def test_another_program_that_locks_the_file_is_told(book, monkeypatch):
    monkeypatch.setattr(sqlite3, "connect", lambda *a, connect=sqlite3.connect: connect(*a, timeout=0))
    mine, other = Gradebook(book), sqlite3.connect(book / FILE)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OSError) as error:
        mine.add(submission(99), GRADED)
    assert "in use by another program" in said(error)


def test_a_folder_in_its_place_is_told(tmp_path):
    (tmp_path / FILE).mkdir()
    with pytest.raises(OSError) as error:
        Gradebook(tmp_path)
    assert "is a folder" in said(error)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE bookmark (a)",
        "CREATE TABLE setting (name, value, more)",
        "CREATE TABLE submission (id)",
        "CREATE VIEW result AS SELECT 1 AS submission",
    ],
)
def test_another_programs_database_is_left_as_it_is(tmp_path, statement):
    change(tmp_path, statement)
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(Damaged) as error:
        Gradebook(tmp_path)
    assert "is not a gradebook of this version" in said(error)
    assert (tmp_path / FILE).read_bytes() == before and not (tmp_path / f"{FILE}-wal").exists()


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE result RENAME COLUMN got TO had",
        "ALTER TABLE submission ADD COLUMN more",
        "DROP TABLE result",
        "CREATE TABLE more (a)",
    ],
)
def test_a_gradebook_of_another_version_is_told(book, statement):
    change(book, statement)
    with pytest.raises(Damaged, match="other"):
        Gradebook(book)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE setting SET value = 'x'",
        "UPDATE result SET inputs = '{'",
        "UPDATE result SET inputs = '[1]'",
        "UPDATE result SET points = 'many'",
        "UPDATE submission SET submitted_at = 'yesterday'",
        "UPDATE submission SET submitted_at = 5",
        "UPDATE submission SET learner = CAST(x'ff' AS TEXT) WHERE id = 3",
        "UPDATE result SET mistake = CAST(x'c328' AS TEXT)",
    ],
)
def test_values_that_make_no_sense_are_damage(book, statement):
    change(book, statement)
    with pytest.raises(Damaged) as error:
        list(Gradebook(book).entries())
    assert "is damaged" in said(error) and "--fresh" in said(error)
    archive(book)  # as --fresh does
    assert list(book.glob("gradebook.20*.sqlite")) and not list(Gradebook(book).entries())


def test_no_damage_ends_in_anything_but_a_sentence(book):
    raw, draw, told_of = (book / FILE).read_bytes(), random.Random(0), 0
    for trial in range(150):
        damaged = bytearray(raw)
        for _ in range(draw.choice([1, 20, 400])):
            damaged[draw.randrange(200 if trial % 3 else len(damaged))] = draw.randrange(256)
        (book / FILE).write_bytes(damaged[: draw.randrange(len(damaged))] if trial % 5 == 0 else damaged)
        for end in ("-wal", "-shm"):
            (book / f"{FILE}{end}").unlink(missing_ok=True)
        try:
            opened = Gradebook(book)
            try:
                list(opened.entries())
                opened.add(replace(submission(), sha256=f"new {trial}"), GRADED)
            finally:
                opened.close()
        except (ValueError, OSError) as error:
            told_of += 1
            assert FILE in in_words(error) and "\n" not in in_words(error)
    assert told_of > 50
