"""`nnopt grade`, `mark`, `release` and `class` as a teacher types them."""

import csv
import json
import os
import socket
from pathlib import Path

import pytest

from nnopt_lab.course.exercises import exercises
from nnopt_lab.grading.exports import safe_name
from nnopt_lab.grading.gradebook import Gradebook
from nnopt_lab.grading.live import workshop
from tests.cli.common import a_sentence
from tests.grading.classroom import ATTACKED, LESSON, QUIET, RIGHT_QUIET, archive, hand_in, honest, linux, notebook

pytestmark = linux
WRONG = "def l1_importance(weight):\n    print('\\x1b[31mred')\n    raise ValueError('\\x1b[2J cleared')"


@pytest.fixture
def room(tmp_path):
    folder = tmp_path / "in"
    hand_in(folder, "alice", honest())
    hand_in(folder, "doejane_LATE_12345_67890_x", notebook({QUIET: RIGHT_QUIET}))
    hand_in(folder, "mallory", notebook({ATTACKED: "while True: pass"}))
    hand_in(folder, "\x1b[2Jesc", b"no notebook")
    hand_in(folder, "zoe", notebook({ATTACKED: WRONG}))
    return folder


def points(folder) -> dict:
    with open(folder / "grades.csv", encoding="utf-8", newline="") as file:
        return {row["learner"]: float(row["points"]) for row in csv.DictReader(file)}


def test_a_class_is_graded_marked_and_graded_again(nnopt, room, tmp_path):
    out = tmp_path / "out"
    options = ("--out", out, "--seconds", 2, "--late", "50%", "--due", "2030-01-01", "--format", "canvas", "--seed", 5)
    code, said, _ = nnopt("grade", room, *options)
    assert code == 0 and "5/5" in said and "seed 5" in said
    assert "mallory" in said and "partly graded" in said and "it did not end within 2 s" in said
    assert "\x1b" not in said
    assert {path.name for path in out.iterdir()} >= {"grades.csv", f"canvas-{LESSON}.csv", "class.html", "feedback"}
    first = points(out)
    assert (first["alice"], first["doejane"], first["mallory"], first["zoe"]) == (4, 1, 0, 0)

    assert nnopt("mark", "zoe", ATTACKED, "--points", 1.5, "--comment", "nearly", "--out", out)[0] == 0
    assert points(out) == first | {"zoe": 1.5}
    with open(out / "marks.csv", "a", encoding="utf-8") as file:
        file.write(f"mallory,{LESSON},3,for the idea\n")
    # Again: nothing to grade, the same settings, the marks of both kinds.
    assert nnopt("grade", room, "--out", out, "--jobs", 1)[0] == 0
    assert points(out) == first | {"zoe": 1.5, "mallory": 3}
    # From the beginning: the marks survive, the old gradebook is kept.
    assert nnopt("grade", room, *options, "--fresh", "--jobs", 1)[0] == 0
    assert points(out) == first | {"zoe": 1.5, "mallory": 3}
    assert len(list(out.glob("gradebook.20*.sqlite"))) == 1
    assert "nearly" in (out / "feedback" / "zoe.html").read_text()


def _odd_names() -> list[bytes]:
    """Names of learners' folders that something took for something else, or could not take at all."""
    taken = safe_name("bob smith")
    odd = [
        "alice",
        "alice ",
        "bob smith",
        taken,
        "𝕏" * 60,
        "é" * 120,
        "a;=1+1",
        "＝1+1",
        "=1",
        "\x1b]0;x\a",
        "a\nb",
        "Alice",
    ]
    return [*(name.encode() for name in odd), b"al\xe9", b"al\xe8", b"\xff" * 80, b"\xed\xa0\x80"]


def test_every_name_has_its_grade_its_page_and_its_mark(nnopt, tmp_path):
    names, folder, out = _odd_names(), tmp_path / "in", tmp_path / "out"
    for name in names:
        (folder / os.fsdecode(name)).mkdir(parents=True)
        (folder / os.fsdecode(name) / f"{LESSON}.ipynb").write_bytes(json.dumps(notebook({})).encode())
    code, said, error = nnopt("grade", folder, "--out", out, "--seed", 1)
    assert (code, error) == (0, "") and f"{len(names)}/{len(names)}" in said and "\x1b]" not in said
    assert len(list((out / "feedback").glob("*.html"))) == len(names)
    for name in names:  # as the shell's completion gives it
        code, _, error = nnopt("mark", os.fsdecode(name), LESSON, "--points", 1, "--out", out)
        assert (code, error) == (0, "")
    assert set(points(out).values()) == {1} and len(points(out)) == len(names)
    code, _, error = nnopt("mark", "nobody", LESSON, "--points", 1, "--out", out)
    assert code == 2 and not any(c != "\n" and not c.isprintable() for c in error)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--late", "10%"], "needs a due date"),
        (["--late", "sometimes"], "must be none, zero"),
        (["--isolation", "wall"], "isolation='wall' must be auto"),
        (["--lesson", "cooking"], "is not a lesson"),
        (["--format", "excel"], "must be one of canvas"),
        (["--fail-under", "half"], "fail_under='half' must be points such as 12, or percent"),
        (["--fail-under", "25", "--lesson", "01"], "fail_under='25' must be at most 24 points"),
        (["--zone", "Mars/Base"], "zone='Mars/Base' must be a time zone"),
        (["--due", "12/1/2026"], "due='12/1/2026' could be two dates: write it as in 2026-12-01T18:00."),
    ],
)
def test_a_wrong_option_is_answered_with_a_sentence(nnopt, room, tmp_path, options, said):
    code, _, error = nnopt("grade", room, "--out", tmp_path / "out", "--jobs", 1, *options)
    assert code == 2 and said in error and "Traceback" not in error
    assert not (tmp_path / "out" / "grades.csv").exists()


def test_there_must_be_something_to_grade_and_to_mark(nnopt, tmp_path, room):
    (tmp_path / "empty").mkdir()
    code, _, error = nnopt("grade", tmp_path / "empty", "--out", tmp_path / "out", "--jobs", 1)
    assert code == 2 and "no .ipynb file" in error
    code, _, error = nnopt("mark", "alice", ATTACKED, "--out", tmp_path / "nowhere")
    assert code == 2 and "There is no gradebook" in error
    nnopt("grade", room / "alice", "--out", tmp_path / "out", "--jobs", 1)
    code, _, error = nnopt("mark", "nobody", ATTACKED, "--points", "1", "--out", tmp_path / "out")
    assert code == 2 and "learner='nobody' handed in nothing; these learners did: alice" in error


def test_a_kit_is_written_into_a_new_folder(nnopt, tmp_path):
    code, said, _ = nnopt("release", tmp_path / "kit", "--assignment", "01", "--due", "2026-12-01T18:00")
    assert code == 0 and "01_pruning" in said
    assert (tmp_path / "kit" / "notebooks" / "01_pruning.ipynb").is_file()
    code, _, error = nnopt("release", tmp_path / "kit")
    assert code == 2 and "is not empty" in error


def test_marks_and_numbers_that_need_a_look_are_told(nnopt, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    for name in ("carol_12345_67890_x", "dave_12345_67891_x"):
        hand_in(folder, name, notebook({}))
    out.mkdir()
    (out / "marks.csv").write_text(f"learner,item,points,comment\ncarrol,{LESSON},1,\n")
    code, said, _ = nnopt("grade", folder, "--out", out, "--jobs", 1)
    said = " ".join(said.split())
    assert code == 0 and "'carrol' handed in nothing" in said and "Did you mean 'carol'?" in said
    assert "carol and dave have the same Canvas number, 12345" in said


def test_a_platforms_archive_is_graded(nnopt, tmp_path):
    content = {"doejane_12345_67890_x.ipynb": honest(), "roe_LATE_12346_67891_y.IPYNB": notebook({QUIET: RIGHT_QUIET})}
    (tmp_path / "submissions.zip").write_bytes(archive({name: json.dumps(c).encode() for name, c in content.items()}))
    assert nnopt("grade", tmp_path / "submissions.zip", "--out", tmp_path / "out", "--jobs", 1)[0] == 0
    assert points(tmp_path / "out") == {"doejane": 4, "roe": 2}


def test_a_class_with_a_roster(nnopt, tmp_path):
    folder, out, roster = tmp_path / "in", tmp_path / "out", tmp_path / "class.csv"
    hand_in(folder, "doejane_12345_67890_x", honest())
    hand_in(folder, "stranger", honest())
    roster.write_text('Student,ID,SIS Login ID,01_pruning (98765)\n"Doe, Jane",12345,jdoe,\nLi Na,12346,lina,\n')
    code, said, _ = nnopt("grade", folder, "--out", out, "--roster", roster, "--format", "canvas")
    assert code == 0
    assert "1 on no line of the roster: stranger." in said and "handed in nothing for 01_pruning: Li Na." in said
    with open(out / "grades.csv", encoding="utf-8", newline="") as file:
        states = {row["learner"]: row["state"] for row in csv.DictReader(file)}
    assert states == {"Doe, Jane": "graded", "stranger": "graded", "Li Na": "missing"}
    with open(out / f"canvas-{LESSON}.csv", encoding="utf-8", newline="") as file:
        head, _, *rows = csv.reader(file)
    assert head[-1] == "01_pruning (98765)"
    assert [row[:2] for row in rows] == [["Doe, Jane", "12345"], ["stranger", ""]]
    # The roster is kept: a later mark writes the same tables.
    assert nnopt("mark", "Doe, Jane", LESSON, "--points", 1, "--out", out)[0] == 0
    assert points(out)["Doe, Jane"] == 5


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--roster", "none.csv", "none.csv"),
        ("--roster", "class.csv", "class.csv is not UTF-8 text"),
        ("--attempt", "first", "attempt='first' must be last or best"),
    ],
)
def test_options_of_a_class_are_checked_first(nnopt, room, tmp_path, monkeypatch, option, value, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "class.csv").write_bytes("name\nZoë\n".encode("latin-1"))
    code, _, error = nnopt("grade", room, "--out", tmp_path / "out", option, value)
    assert code != 0 and said in error and "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_what_was_not_handed_in_is_not_marked(nnopt, tmp_path):
    folder, out, roster = tmp_path / "in", tmp_path / "out", tmp_path / "class.csv"
    hand_in(folder, "ann", honest())
    hand_in(folder, "bob", b"no notebook")
    roster.write_text("name\nann\nbob\nzoe\n")
    assert nnopt("grade", folder, "--out", out, "--roster", roster, "--jobs", 1)[0] == 0
    before = points(out)
    for learner, item, instead in (
        ("zoe", ATTACKED, f"mark the lesson instead: {LESSON}."),
        ("bob", ATTACKED, f"mark the lesson instead: {LESSON}."),
        ("ann", next(iter(exercises("02_convolutions"))), f"what can be marked: {LESSON}."),
        ("ann", "02_convolutions", f"what can be marked: {LESSON}."),
    ):
        code, _, error = nnopt("mark", learner, item, "--points", 1, "--out", out)
        assert code == 2 and f"learner={learner!r} did not hand in {item}; {instead}" in error, error
    assert points(out) == before and not (out / "marks.csv").exists()
    assert nnopt("mark", "zoe", LESSON, "--points", 3, "--out", out)[0] == 0
    assert points(out) == before | {"zoe": 3}


def test_a_mark_reads_the_gradebook_once(nnopt, tmp_path, monkeypatch):
    hand_in(tmp_path / "in", "ann", honest())
    nnopt("grade", tmp_path / "in", "--out", tmp_path / "out", "--jobs", 1)
    calls = []
    entries = Gradebook.entries
    monkeypatch.setattr(Gradebook, "entries", lambda book: calls.append(1) or entries(book))
    assert nnopt("mark", "ann", LESSON, "--points", 1, "--out", tmp_path / "out")[0] == 0
    assert len(calls) == 1 and points(tmp_path / "out") == {"ann": 5}


@pytest.mark.parametrize(
    ("least", "code", "said"),
    [
        ("4", 0, ""),
        ("16%", 0, ""),
        ("5", 1, "1 of 1 grades is below 5 points: alice in 01_pruning (4 of 24).\n"),
        ("17 %", 1, "1 of 1 grades is below 17 %: alice in 01_pruning (4 of 24).\n"),
    ],
)
def test_too_few_points_are_a_status_and_a_sentence(nnopt, room, tmp_path, least, code, said):
    file = room / "alice" / f"{LESSON}.ipynb"
    found = nnopt("grade", file, "--out", tmp_path / "out", "--jobs", 1, "--fail-under", least)
    assert (found[0], found[2]) == (code, said)
    assert list(points(tmp_path / "out").values()) == [4]


def test_a_class_fails_if_one_learner_does(nnopt, room, tmp_path):
    options = ("--out", tmp_path / "out", "--seconds", 2, "--format", "classroom")
    code, _, error = nnopt("grade", room, *options, "--fail-under", "1")
    assert code == 1 and error.count("\n") == 1 and error.startswith("3 of 5 grades are below 1 points: ")
    assert "\x1b" not in error
    assert nnopt("grade", room, *options, "--fail-under", "0")[0] == 0
    # What the action of GitHub Classroom adds up, and no line of a learner's text that a runner would obey.
    content = json.loads((tmp_path / "out" / "classroom.json").read_text())
    assert sum(test["score"] for test in content["tests"]) == sum(points(tmp_path / "out").values())
    assert all("\n" not in test["name"] + test.get("message", "") for test in content["tests"])


def test_times_without_a_zone_are_in_the_course_s(nnopt, tmp_path):
    content = json.dumps(honest()).encode()
    (tmp_path / "handed-in.zip").write_bytes(archive({f"{n}/01_pruning.ipynb": content for n in ("ann", "bob", "cy")}))
    roster = tmp_path / "class.csv"
    # The entries in the archive are of 12:30 on 26 November.
    roster.write_text("name,extension\nann,\nbob,26.11.2026 12:45\ncy,2026-11-26T13:00+09:00\n")
    out = tmp_path / "out"
    options = ("--roster", roster, "--late", "50%", "--out", out, "--jobs", 1)
    code, said, _ = nnopt(
        "grade", tmp_path / "handed-in.zip", "--zone", "Asia/Tokyo", "--due", "2026-11-26T12:00", *options
    )
    assert code == 0 and "Due 2026-11-26 12:00 JST." in said
    assert points(out) == {"ann": 2, "bob": 4, "cy": 4}
    page = (out / "class.html").read_text()
    assert "2026-11-26 12:30 JST" in page and "2026-11-26 12:45 JST" in page and "UTC" not in page
    # The zone is kept; a new due date is in it, too.
    assert nnopt("grade", tmp_path / "handed-in.zip", "--due", "26.11.2026 12:40", *options)[0] == 0
    assert points(out) == {"ann": 4, "bob": 4, "cy": 4}


class TestClass:
    """`nnopt class`, with a stand-in for the loop that serves."""

    @pytest.fixture
    def served(self, monkeypatch):
        """The workshops that were served."""
        found = []

        def run(here):
            found.append(here)
            for one in here.sockets:
                one.close()

        monkeypatch.setattr(workshop, "run", run)
        return found

    def test_it_prints_what_learners_type_and_what_the_teacher_opens(self, nnopt, served):
        status, out, err = nnopt("class", "--serve", "--port", 18870)
        (here,) = served
        assert status == 0 and err == ""
        assert f"nnopt lab --share {here.learners_address} YOURNAME" in out and here.page_address in out
        assert "in memory only" in out and "Only this machine can reach it" in out and "has ended" in out
        assert not list(Path().iterdir())

    def test_in_a_network_it_says_that_nothing_is_encrypted(self, nnopt, served):
        _, out, _ = nnopt("class", "--serve", "--host", "0.0.0.0", "--port", 18872, "--file", "class.json")
        assert "nothing is encrypted" in out and "kept in class.json" in out and "//0.0.0.0" not in out
        assert "Your page:      http://127.0.0.1:" in out

    def test_a_port_that_is_taken_is_replaced_and_told(self, nnopt, served):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            _, out, _ = nnopt("class", "--serve", "--port", port)
        assert out.startswith(f"Port {port} is taken; {served[0].port} is used instead.\n") and served[0].port != port

    @pytest.mark.parametrize(
        "options",
        [
            [],
            ["--serve", "--host", "203.0.113.7"],
            ["--serve", "--file", "no/such/class.json"],
            ["--serve", "--file", "."],
            ["--host", "0.0.0.0"],
        ],
    )
    def test_what_can_not_be_served_is_one_sentence(self, nnopt, served, options):
        status, _, err = nnopt("class", *options)
        assert status == 2 and a_sentence(err) and not served

    @pytest.mark.parametrize("port", [0, -1, 65536, "x"])
    def test_a_port_that_there_is_not_is_refused(self, nnopt, served, port):
        status, _, err = nnopt("class", "--serve", "--port", port)
        assert status == 2 and "--port" in err and not served
