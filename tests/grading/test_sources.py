"""Whose a submitted file is, by its name and its folder's."""

import os

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
        # Learners choose the names of what they hand in; in a folder of their own these say nothing.
        ("mallory/alice_11_22_01_pruning.ipynb", "mallory", "", "", False),
        ("mallory/alice_LATE_11_22_01_pruning.ipynb", "mallory", "", "", False),
        ("mallory/alice.ipynb", "mallory", "", "", False),
        ("mallory/Alice Doe_11_assignsubmission_file_01_pruning.ipynb", "mallory", "", "", False),
        ("mallory/Alice Doe_11_assignsubmission_file_/01_pruning.ipynb", "mallory", "", "", False),
        ("mallory/alice_11_22_x/01_pruning.ipynb", "mallory", "", "", False),
        ("mallory/a/b/alice_11_22_x.ipynb", "mallory", "", "", False),
        ("Jane Doe_54321_assignsubmission_file_/alice_11_22_x.ipynb", "Jane Doe", "moodle", "54321", False),
        (
            "Jane Doe_54321_assignsubmission_file_/alice_9_assignsubmission_file_.ipynb",
            "Jane Doe",
            "moodle",
            "54321",
            False,
        ),
        ("mallory_11_22_alice_33_assignsubmission_file_x.ipynb", "mallory", "canvas", "11", False),
        ("mallory_LATE_11_22_alice_33_44_x.ipynb", "mallory", "canvas", "11", True),
        ("Mallory M_5_assignsubmission_file_alice_11_22_x.ipynb", "Mallory M", "moodle", "5", False),
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


@pytest.mark.parametrize(
    ("name", "learner"),
    [(b"al\xe9", r"al\xe9"), (b"al\xe8", r"al\xe8"), (b"\xff\xfe", r"\xff\xfe"), ("é".encode(), "é")],
)
def test_a_name_that_is_not_utf_8_is_one_that_can_be_kept(tmp_path, name, learner):
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    (folder / "01_pruning.ipynb").write_text("{}")
    (found,) = find([tmp_path])
    assert (found.learner, found.name) == (learner, f"{learner}/01_pruning.ipynb")
    assert found.path.is_file() and found.name.encode()


def learners(paths) -> dict[str, str]:
    return {str(source.path.relative_to(source.path.parents[1])): source.learner for source in find(paths)}


@pytest.mark.parametrize("files", [False, True])
def test_several_folders_given_at_once_are_a_folder_per_learner(tmp_path, files):
    for path in ("alice/01_pruning.ipynb", "mallory/alice_11_22_01_pruning.ipynb", "mallory/alice.ipynb"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("{}")
    given = sorted(tmp_path.glob("*/*.ipynb" if files else "*"))
    assert set(learners(given).values()) == {"alice", "mallory"}
    assert learners(given)["alice/01_pruning.ipynb"] == "alice"


def test_several_downloads_given_at_once_are_read_by_their_names(tmp_path):
    for path in ("week 1/alice_11_22_x.ipynb", "week 2/bob_33_44_x.ipynb", "week 2/alice_11_45_y.ipynb"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("{}")
    found = find(sorted(tmp_path.iterdir()))
    assert [source.learner for source in found] == ["alice", "alice", "bob"]


def test_a_file_that_is_given_beside_its_folders_folder_is_that_folders(tmp_path):
    for name in ("alice", "mallory"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "alice_11_22_x.ipynb").write_text("{}")
    for given in ([tmp_path, tmp_path / "mallory"], [tmp_path / "mallory" / "alice_11_22_x.ipynb", tmp_path]):
        assert learners(given) == {"alice/alice_11_22_x.ipynb": "alice", "mallory/alice_11_22_x.ipynb": "mallory"}


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
