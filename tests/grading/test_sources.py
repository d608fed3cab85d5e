"""Whose a submitted file is, by its name and its folder's."""

import os
import unicodedata
import zipfile

import pytest

from nnopt_lab.grading.sources import Source, find, shared_numbers
from tests.grading.classroom import LESSON, archive, hand_in, honest


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


@pytest.mark.parametrize(
    ("pattern", "paths", "wanted"),
    [
        # Folders of learners, however deep their work lies in them and whatever is called how.
        ("*", ["alice/week3/01_pruning.ipynb", "bob/work/01_pruning.ipynb"], {"alice", "bob"}),
        ("*", ["alice/week3/01_pruning.ipynb", "bob/week3/01_pruning.ipynb"], {"alice", "bob"}),
        ("*", ["alice/01_pruning.ipynb", "mallory/alice/01_pruning.ipynb"], {"alice", "mallory"}),
        (
            "*",
            ["alice/x.ipynb", "mallory/alice/01_pruning.ipynb", "mallory/bob/01_pruning.ipynb"],
            {"alice", "mallory"},
        ),
        ("*", ["alice/v1/01_pruning.ipynb", "alice/v2/01_pruning.ipynb", "bob/v1/01_pruning.ipynb"], {"alice", "bob"}),
        ("*", [f"{who}/try {n}/01_pruning.ipynb" for who in ("alice", "bob") for n in range(3)], {"alice", "bob"}),
        ("*", [f"{who}/{n}/{n}_x.ipynb" for who in ("alice", "bob") for n in range(3)], {"alice", "bob"}),
        ("*", ["alice/01/01_pruning.ipynb", "alice/02/02_convolutions.ipynb", "bob/a/x.ipynb"], {"alice", "bob"}),
        ("*/*", ["alice/week3/01_pruning.ipynb", "bob/week3/01_pruning.ipynb"], {"alice", "bob"}),
        ("*/*/*", ["alice/a/b/01_pruning.ipynb", "bob/a/b/01_pruning.ipynb"], {"alice", "bob"}),
        ("*/*/*", ["alice/week3/01_pruning.ipynb", "bob/week3/01_pruning.ipynb"], {"alice", "bob"}),
        ("*/*", [f"{who}/week {n}/0{n}_x.ipynb" for who in ("alice", "bob") for n in (1, 2)], {"alice", "bob"}),
        (
            "*",
            ["team_12_34_alice/x/01_pruning.ipynb", "team_12_35_bob/01_pruning.ipynb"],
            {"team_12_34_alice", "team_12_35_bob"},
        ),
        # Groups of learners.
        ("*", [f"{s}/{who}/01_pruning.ipynb" for s, them in (("A", "ab"), ("B", "cd")) for who in them], set("abcd")),
        ("*/*", [f"{s}/{who}/01_pruning.ipynb" for s, them in (("A", "ab"), ("B", "cd")) for who in them], set("abcd")),
        (
            "*",
            [f"week{n}/{who}/{name}.ipynb" for n, name in ((1, "01_pruning"), (2, "02_convolutions")) for who in "abc"],
            set("abc"),
        ),
    ],
)
def test_whose_the_files_are_in_what_a_shell_expands(tmp_path, pattern, paths, wanted):
    placed(tmp_path / "handed-in", *paths)
    assert {source.learner for source in find(sorted((tmp_path / "handed-in").glob(pattern)))} == wanted


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


def placed(folder, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("{}")


def test_names_that_only_look_like_canvass_stay_names(tmp_path):
    placed(tmp_path, "lab_1_2_carol_01_pruning.ipynb", "lab_1_3_dave_01_pruning.ipynb", "01_pruning (1).ipynb")
    found = {source.learner: source.system for source in find([tmp_path])}
    assert found == {"lab_1_2_carol": "", "lab_1_3_dave": "", tmp_path.name: ""}


@pytest.mark.parametrize("name", ["Zoë", "Åsa", "Nguyễn"])
def test_a_letter_is_the_same_however_a_system_writes_it(tmp_path, name):
    placed(tmp_path / "week 1", f"{unicodedata.normalize('NFC', name)}/01_pruning.ipynb")
    placed(tmp_path / "week 2", f"{unicodedata.normalize('NFD', name)}/01_pruning.ipynb")
    found = find([tmp_path / "week 1"]) + find([tmp_path / "week 2"])
    assert {source.learner for source in found} == {unicodedata.normalize("NFC", name)}
    assert all(source.path.is_file() for source in found)


@pytest.mark.parametrize(
    "name", ["01_pruning.IPYNB", "01_pruning.Ipynb", "01_pruning.ipynb.txt", "01_pruning.ipynb.json"]
)
def test_a_notebook_is_found_however_its_ending_is_written(tmp_path, name):
    placed(tmp_path, f"alice/{name}")
    assert [source.learner for source in find([tmp_path])] == ["alice"]


def test_namesakes_are_told_apart_by_their_numbers(tmp_path):
    for number in (111, 222):
        placed(tmp_path, f"Jane Doe_{number}_assignsubmission_file_/01_pruning.ipynb")
        placed(tmp_path / "canvas", f"doejane_{number}_99{number}_01_pruning.ipynb")
    placed(tmp_path, "Jane Roe_333_assignsubmission_file_/01_pruning.ipynb")
    assert {s.learner for s in find([tmp_path])} >= {"Jane Doe (111)", "Jane Doe (222)", "Jane Roe"}
    assert {s.learner for s in find([tmp_path / "canvas"])} == {"doejane (111)", "doejane (222)"}


def test_a_learner_whose_number_changes_from_download_to_download_is_one(tmp_path):
    placed(tmp_path / "week 1", "Jane Doe_111_assignsubmission_file_/01_pruning.ipynb")
    placed(tmp_path / "week 2", "Jane Doe_222_assignsubmission_file_/02_convolutions.ipynb")
    assert {s.learner for s in find([tmp_path / "week 1", tmp_path / "week 2"])} == {"Jane Doe"}


def test_two_learners_behind_one_number_are_reported(tmp_path):
    placed(tmp_path, "carol_12345_67890_x.ipynb", "dave_12345_67891_x.ipynb", "erin_12346_67892_x.ipynb")
    found = find([tmp_path])
    assert {s.learner for s in found} == {"carol", "dave", "erin"}
    assert shared_numbers(found) == ["carol and dave have the same Canvas number, 12345: check whose it is."]


def learners_of(sources) -> dict[str, str]:
    return {source.name: source.learner for source in sources}


def test_an_archive_of_a_platform_is_read_like_the_folder_it_was(tmp_path):
    content = {"doejane_12345_67890_01_pruning.ipynb": b"A", "roe_LATE_12346_67891_01_pruning.ipynb": b"B"}
    (tmp_path / "submissions.zip").write_bytes(archive(content))
    found = find([tmp_path / "submissions.zip"])
    assert [(s.learner, s.system, s.number, s.late) for s in found] == [
        ("doejane", "canvas", "12345", False),
        ("roe", "canvas", "12346", True),
    ]
    assert find([tmp_path]) == found  # the only thing in its folder


def test_an_archive_of_moodle_has_a_folder_per_learner_and_archives_in_them(tmp_path):
    inner = archive({"alice_11_22_01_pruning.ipynb": b"A", "02_convolutions.ipynb": b"B"})
    content = {
        "Jane Doe_5_assignsubmission_file_/work.zip": inner,
        "Zoë_6_assignsubmission_file_/01_pruning.ipynb": b"C",
    }
    (tmp_path / "class.zip").write_bytes(archive(content))
    assert learners_of(find([tmp_path / "class.zip"])) == {
        "Jane Doe_5_assignsubmission_file_/work.zip/alice_11_22_01_pruning.ipynb": "Jane Doe",
        "Jane Doe_5_assignsubmission_file_/work.zip/02_convolutions.ipynb": "Jane Doe",
        "Zoë_6_assignsubmission_file_/01_pruning.ipynb": "Zoë",
    }


def test_the_folder_around_everything_in_an_archive_is_no_learner(tmp_path):
    (tmp_path / "class.zip").write_bytes(archive({"class/alice/01_pruning.ipynb": b"A", "class/bob/x.ipynb": b"B"}))
    assert learners_of(find([tmp_path / "class.zip"])) == {"alice/01_pruning.ipynb": "alice", "bob/x.ipynb": "bob"}
    (tmp_path / "alice.zip").write_bytes(archive({"alice/01_pruning.ipynb": b"A"}))
    assert learners_of(find([tmp_path / "alice.zip"])) == {"01_pruning.ipynb": "alice"}


def test_in_an_archive_that_a_learner_made_no_name_says_whose_it_is(tmp_path):
    forged = archive({"alice_11_22_01_pruning.ipynb": b"A", "bob/01_pruning.ipynb": b"B"})
    (tmp_path / "mallory").mkdir()
    (tmp_path / "mallory" / "bob.zip").write_bytes(forged)
    (tmp_path / "mallet_01_pruning.zip").write_bytes(forged)
    (tmp_path / "mullet_77_88_x.zip").write_bytes(forged)
    assert set(learners_of(find([tmp_path])).values()) == {"mallory", "mallet", "mullet"}
    given = [tmp_path / "mallet_01_pruning.zip", tmp_path / "mallory"]  # as `handed-in/*` is
    assert set(learners_of(find(given)).values()) == {"mallet", "mallory"}


def test_an_archive_that_can_t_be_read_or_holds_nothing_is_its_learners_trouble(tmp_path):
    placed(tmp_path, "alice/01_pruning.zip", "bob/01_pruning.ipynb")
    (tmp_path / "bob" / "data.zip").write_bytes(archive({"data.csv": b"1"}))
    assert learners_of(find([tmp_path])) == {"alice/01_pruning.zip": "alice", "bob/01_pruning.ipynb": "bob"}
    with pytest.raises(ValueError, match=r"01_pruning\.zip: It is not a readable zip archive"):
        find([tmp_path / "alice" / "01_pruning.zip"])


def write(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


def test_who_handed_in_something_else_is_found_once(tmp_path):
    write(
        tmp_path / "alice" / "01_pruning.ipynb",
        tmp_path / "alice" / "notes.py",
        tmp_path / "bob" / "01_pruning.py",
        tmp_path / "bob" / "deep" / "x.txt",
        tmp_path / "cy" / "deep" / "x.pdf",
        tmp_path / "doejane_12345_67890_01_pruning.py",
        tmp_path / "README.md",
        tmp_path / ".git" / "config",
    )
    (tmp_path / "empty").mkdir()
    assert {s.name: s.learner for s in find([tmp_path])} == {
        "alice/01_pruning.ipynb": "alice",
        "bob/01_pruning.py": "bob",
        "cy/deep/x.pdf": "cy",
        "doejane_12345_67890_01_pruning.py": "doejane",
    }


def test_who_handed_in_something_else_is_found_among_folders_and_in_archives(tmp_path):
    for name in ("alice", "bob"):
        write(tmp_path / "all" / name / "01_pruning.ipynb")
    write(tmp_path / "all" / "cy" / "01_pruning.py")
    found = find(sorted((tmp_path / "all").iterdir()))
    assert sorted((s.learner, s.name) for s in found) == [
        ("alice", "01_pruning.ipynb"),
        ("bob", "01_pruning.ipynb"),
        ("cy", "01_pruning.py"),
    ]
    names = ("Li Na_4001_assignsubmission_file_/01_pruning.ipynb", "Bo_4002_assignsubmission_file_/notes.py")
    with zipfile.ZipFile(tmp_path / "submissions.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "{}")
    found = {s.learner: (s.system, s.number) for s in find([tmp_path / "submissions.zip"])}
    assert found == {"Li Na": ("moodle", "4001"), "Bo": ("moodle", "4002")}
