"""The gradebook: nothing lost, nothing twice, one grader at a time."""

import pytest

from nnopt_lab.grading.gradebook import FILE, Gradebook, archive, locked
from nnopt_lab.grading.results import Graded, Result
from nnopt_lab.grading.sources import find
from nnopt_lab.grading.submissions import read
from tests.grading.classroom import LESSON, hand_in, honest

GRADED = Graded(
    LESSON,
    "partly graded",
    "pruning.levels: it timed out",
    (
        Result("pruning.l1_importance", "failed", 0.5, 2, "wrong", 3, {"weight": "1"}, "2", "3", "hm", "def f(): pass"),
        Result("pruning.levels", "timed out", 0, 3, "it timed out", source="x = '\ud800'"),
    ),
)


@pytest.fixture
def submission(tmp_path):
    hand_in(tmp_path / "in", "alice", honest())
    return read(find([tmp_path / "in"])[0])


def test_what_is_noted_comes_back(tmp_path, submission):
    book = Gradebook(tmp_path / "out", seed=7)
    assert not book.holds(submission)
    book.add(submission, GRADED)
    assert book.holds(submission)
    (entry,) = book.entries()
    assert (entry.learner, entry.name, entry.late) == ("alice", f"alice/{LESSON}.ipynb", False)
    assert entry.graded.results[0] == GRADED.results[0]
    assert entry.graded.results[1].source == "x = '?'"  # half a character is no UTF-8
    assert (entry.graded.state, entry.graded.reason) == (GRADED.state, GRADED.reason)


def test_the_same_file_is_noted_once(tmp_path, submission):
    book = Gradebook(tmp_path / "out")
    book.add(submission, GRADED)
    book.add(submission, Graded(LESSON, "graded"))
    assert [entry.graded.state for entry in book.entries()] == ["partly graded"]


def test_a_result_that_can_t_be_noted_leaves_nothing(tmp_path, submission):
    book = Gradebook(tmp_path / "out")
    broken = Graded(LESSON, "graded", results=(GRADED.results[0], GRADED.results[0]))
    with pytest.raises(Exception, match="UNIQUE"):
        book.add(submission, broken)
    assert not book.holds(submission) and not list(book.entries())


def test_the_seed_is_kept_and_another_one_is_refused(tmp_path):
    first = Gradebook(tmp_path)
    assert Gradebook(tmp_path).seed == first.seed == Gradebook(tmp_path, first.seed).seed
    with pytest.raises(ValueError, match="differs from"):
        Gradebook(tmp_path, first.seed + 1)


def test_a_file_that_is_no_gradebook_stays_as_it_is(tmp_path):
    (tmp_path / FILE).write_text("my notes " * 1000)
    with pytest.raises(ValueError, match="is not a gradebook"):
        Gradebook(tmp_path)
    assert (tmp_path / FILE).read_text().startswith("my notes")


def test_a_gradebook_from_before_a_column_was_renamed_keeps_its_grades(tmp_path, submission):
    book = Gradebook(tmp_path)
    book.add(submission, GRADED)
    before = list(book.entries())
    book._connection.execute("ALTER TABLE result RENAME COLUMN wrong_answer TO known")
    book.close()
    assert list(Gradebook(tmp_path).entries()) == before


def test_one_grader_at_a_time(tmp_path):
    with locked(tmp_path), pytest.raises(ValueError, match="Another grader is using"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_an_old_gradebook_is_kept_under_a_dated_name(tmp_path, submission):
    book = Gradebook(tmp_path, seed=1)
    book.add(submission, GRADED)
    book.close()
    archive(tmp_path)
    assert not list(Gradebook(tmp_path, seed=2).entries())
    assert len(list(tmp_path.glob("gradebook.20*.sqlite"))) == 1
