"""Whose a submitted file is, by its name and its folder's."""

import pytest

from nnopt_lab.grading.sources import Source, find
from tests.grading.classroom import LESSON, hand_in, honest


@pytest.mark.parametrize(
    ("path", "learner", "system", "number", "late"),
    [
        ("alice/01_pruning.ipynb", "alice", "", "", False),
        ("alice/lesson one/01_pruning.ipynb", "alice", "", "", False),
        ("alice_01_pruning.ipynb", "alice", "", "", False),
        ("01_pruning-alice.ipynb", "alice", "", "", False),
        ("bob.ipynb", "bob", "", "", False),
        ("01_pruning.ipynb", "class", "", "", False),
        ("doejane_12345_67890_01_pruning.ipynb", "doejane", "canvas", "12345", False),
        ("doejane_LATE_12345_67890_01_pruning-2.ipynb", "doejane", "canvas", "12345", True),
        ("Jane van Doe_54321_assignsubmission_file_/01_pruning.ipynb", "Jane van Doe", "moodle", "54321", False),
        ("Jane van Doe_54321_assignsubmission_file/01_pruning.ipynb", "Jane van Doe", "moodle", "54321", False),
        ("Jane Doe_54321_assignsubmission_file_01_pruning.ipynb", "Jane Doe", "moodle", "54321", False),
    ],
)
def test_whose_a_file_is(tmp_path, path, learner, system, number, late):
    file = tmp_path / "class" / path
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    assert find([tmp_path / "class"]) == [Source(file, path, learner, system, number, late)]


def test_a_single_file_belongs_to_its_folder(tmp_path):
    hand_in(tmp_path, "alice", honest())
    assert find([tmp_path / "alice" / f"{LESSON}.ipynb"])[0].learner == "alice"


def test_what_is_found_twice_counts_once_and_hidden_folders_do_not(tmp_path):
    hand_in(tmp_path, "alice", honest())
    hand_in(tmp_path / "alice", ".ipynb_checkpoints", honest())
    (tmp_path / "alice" / "notes.txt").write_text("x")
    assert len(find([tmp_path, tmp_path / "alice" / f"{LESSON}.ipynb"])) == 1


def test_where_there_is_nothing_a_sentence_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        find([tmp_path / "nowhere"])
    with pytest.raises(FileNotFoundError, match=r"no \.ipynb file"):
        find([tmp_path])
