"""The progress file: never half written, never lost, and never a reason for a traceback."""

import json
import os
import subprocess
import sys
import threading

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnopt_lab.course import calls, predictions, record, workspace
from nnopt_lab.course.course_map import course_map, progress
from nnopt_lab.course.exercises import exercises, lesson_points, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.record import FILE, change, note_attempt, read
from tests.course.answers import own

ID = next(iter(exercises()))
EMPTY = {
    "exercises": {},
    "questions": {},
    "hints": {},
    "predictions": {},
    "marks": {},
    "entries": {},
    "claims": {},
    "timing_claims": {},
}
PASSED = {"passed": True, "points": 1, "attempts": 2}
GUESS = {"lesson": "00_start_here", "unit": "×", "guess": 2.0, "measured": None, "low": None, "high": None}


@pytest.fixture
def file(own_workspace):
    return own_workspace / FILE


def use_everything():
    """Every call of a lesson that reads or writes progress."""
    calls.check(ID, own(exercises()[ID].reference))
    calls.hint(ID)
    calls.question(next(iter(questions())), "a")
    calls.claim("it holds", True)
    predictions.predict("speed", 2)
    predictions.reveal("speed", 3)
    assert repr(predictions.ledger())
    return repr(progress()) + progress()._repr_html_()


def test_there_is_nothing_before_the_first_change_and_reading_writes_nothing(own_workspace, file):
    assert read(own_workspace) == EMPTY
    assert read(own_workspace / "not there") == EMPTY
    assert not list(own_workspace.iterdir())


def test_a_change_is_there_for_the_next_reader_in_any_language(own_workspace, file):
    with change() as contents:
        contents["claims"]["01_pruning"] = {"größer als λ × 3, \ud800": True, "with AMX": None}
    assert read(own_workspace)["claims"]["01_pruning"] == {"größer als λ × 3, \ud800": True, "with AMX": None}
    assert json.loads(file.read_text(encoding="utf-8"))


def test_a_workspace_that_is_not_there_yet_is_made(tmp_path):
    with change(tmp_path / "a" / "b") as contents:
        contents["hints"]["x"] = 1
    assert read(tmp_path / "a" / "b")["hints"] == {"x": 1}


def test_a_change_that_fails_halfway_changes_nothing(own_workspace, file):
    note_attempt("exercises", ID, True, 1)
    before = file.read_bytes()
    with pytest.raises(KeyboardInterrupt), change() as contents:
        contents["exercises"].clear()
        raise KeyboardInterrupt
    assert file.read_bytes() == before


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_the_file_is_never_half_written(own_workspace, file, monkeypatch, moment, interruption):
    note_attempt("exercises", ID, True, 1)
    before = file.read_bytes()

    def fail(*arguments):
        raise interruption

    with monkeypatch.context() as patch:
        patch.setattr(os, moment, fail)
        try:
            note_attempt("exercises", ID, True, 1)
        except KeyboardInterrupt:
            assert interruption is KeyboardInterrupt
    assert file.read_bytes() == before
    assert {path.name for path in own_workspace.iterdir()} <= {FILE, f".{FILE}.lock"}


def test_two_processes_at_once_lose_nothing(own_workspace):
    code = (
        "import sys\nfrom nnopt_lab.course.record import change, note_attempt\n"
        "for i in range(25):\n"
        "    with change() as contents:\n"
        "        contents['hints'][f'{sys.argv[1]}.{i}'] = i\n"
        "    note_attempt('exercises', 'shared', i == 0, 2)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, name]) for name in ("a", "b")]
    assert [writer.wait() for writer in writers] == [0, 0]
    found = read(own_workspace)
    assert found["hints"] == {f"{name}.{i}": i for name in ("a", "b") for i in range(25)}
    assert found["exercises"]["shared"] == {"passed": True, "points": 2, "attempts": 50}
    assert not list(own_workspace.glob("*damaged*"))


def test_threads_at_once_lose_nothing(own_workspace):
    threads = [
        threading.Thread(target=lambda: [note_attempt("exercises", ID, False, 1) for _ in range(10)]) for _ in "abc"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(own_workspace)["exercises"][ID]["attempts"] == 30


DAMAGED = [
    b"",
    b"\x00\xff\xfe\x80",
    b'{"exercises": {',
    b"[" * 100_000,
    b"[]",
    b"null",
    b"3",
    *(
        json.dumps(contents).encode()
        for contents in (
            {"exercises": []},
            {"claims": None},
            {"exercises": {"x": 3}},
            {"exercises": {ID: {"passed": "yes", "points": 1, "attempts": 1}}},
            {"questions": {"x": {"passed": True}}},
            {"hints": {ID: "two"}},
            {"hints": {ID: None}},
            {"predictions": {"speed": [1]}},
            {"predictions": {"speed": GUESS | {"guess": "2"}}},
            {"predictions": {"speed": GUESS | {"measured": 1.0}}},
            {"predictions": {"speed": GUESS | {"more": 1}}},
            {"claims": {"00_start_here": ["it holds"]}},
            {"claims": {"00_start_here": {"it holds": "yes"}}},
            {"claims": {"00_start_here": {"it holds": "not judged: busy"}}},
            {"timing_claims": {"00_start_here": {"it is faster": "busy"}}},
            {"timing_claims": ["it is faster"]},
        )
    ),
]


@pytest.mark.parametrize("damage", DAMAGED, ids=lambda damage: ascii(damage[:60]))
def test_a_damaged_file_is_set_aside_as_it_was_and_everything_goes_on(own_workspace, file, damage, capsys):
    file.write_bytes(damage)
    assert read(own_workspace) == EMPTY
    (kept,) = own_workspace.glob("progress.damaged-*.json")
    assert kept.read_bytes() == damage
    assert f"archived as {kept.name}" in capsys.readouterr().out
    use_everything()
    assert read(own_workspace)["exercises"][ID]["passed"]
    assert len(list(own_workspace.glob("progress.damaged-*.json"))) == 1


def test_each_damaged_file_is_kept(own_workspace, file):
    for damage in DAMAGED[:4]:
        file.write_bytes(damage)
        note_attempt("exercises", ID, True, 1)
    assert {kept.read_bytes() for kept in own_workspace.glob("progress.damaged-*.json")} == set(DAMAGED[:4])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.floats(-1e9, 1e9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
entries = (
    st.sampled_from([PASSED, GUESS, GUESS | {"measured": 1, "low": 0, "high": 2}, 3, {"it holds": True}]) | json_values
)
sections = st.dictionaries(st.sampled_from([ID, "speed", "00_start_here", "x"]), entries, max_size=2) | json_values
files = st.dictionaries(st.sampled_from(list(EMPTY)), sections).map(lambda c: json.dumps(c).encode()) | st.binary(
    max_size=40
)


@given(files)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_file_holds_it_is_believed_or_kept_and_nothing_crashes(own_workspace, file, held):
    for old in own_workspace.glob("progress*"):
        old.unlink()
    file.write_bytes(held)
    use_everything()
    kept = list(own_workspace.glob("progress.damaged-*.json"))
    assert [path.read_bytes() for path in kept] in ([], [held])
    if not kept:
        before, now = json.loads(held), read(own_workspace)
        assert all(before.get(section, {}).keys() <= now[section].keys() for section in EMPTY)


def test_a_folder_in_the_files_place_is_set_aside_too(own_workspace, file):
    file.mkdir()
    (file / "mine.txt").write_text("kept")
    use_everything()
    (kept,) = own_workspace.glob("progress.damaged-*.json")
    assert (kept / "mine.txt").read_text() == "kept" and file.is_file()


@pytest.fixture(
    params=["a file in the folder's place", "a folder that can't be written", "a file system without locks"]
)
def unwritable(request, tmp_path, monkeypatch):
    """A workspace in which nothing can be written; root may write everywhere, so permissions would not do."""
    folder = tmp_path / "theirs"
    if request.param == "a file in the folder's place":
        folder.write_text("in the way")
    else:
        folder.mkdir()

        def refuse(*arguments, **keywords):
            raise PermissionError(13, "Permission denied")

        def lacking(*arguments, **keywords):
            raise NotImplementedError("no flock here")

        monkeypatch.setattr(record, "write_atomically", refuse)
        monkeypatch.setattr(record, "FileLock", lacking if "locks" in request.param else refuse)
    monkeypatch.setenv("NNOPT_WORKSPACE", str(folder))
    return folder


def test_where_nothing_can_be_written_it_is_said_once_and_everything_goes_on_in_memory(unwritable, capsys):
    shown = use_everything()
    calls.check(ID, own(exercises()[ID].reference))
    out = capsys.readouterr().out
    assert out.count("cannot be written") == 1 and "kept until this kernel ends" in out
    assert f"{exercises()[ID].points} of {lesson_points(exercises()[ID].lesson)} points" in shown
    assert read(unwritable)["exercises"][ID] == {"passed": True, "points": exercises()[ID].points, "attempts": 2}
    assert "guessed 2" in repr(predictions.ledger())


def test_what_was_kept_in_memory_is_written_as_soon_as_it_can_be_and_overwrites_nothing(
    own_workspace, file, monkeypatch
):
    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full_disk:
        full_disk.setattr(record, "write_atomically", refuse)
        note_attempt("exercises", "mine", True, 1)
        note_attempt("exercises", "mine too", True, 1)
    others = {"exercises": {"another notebook's": PASSED}}
    file.write_text(json.dumps(others))
    assert read(own_workspace)["exercises"].keys() == {"mine", "mine too", "another notebook's"}
    with change() as contents:
        contents["hints"][ID] = 1
    assert json.loads(file.read_text())["exercises"].keys() == {"mine", "mine too", "another notebook's"}
    assert record.unwritten == {}


def test_a_lock_that_nobody_gives_back_does_not_stop_the_lesson(own_workspace, file, monkeypatch):
    monkeypatch.setattr(record, "LOCK_SECONDS", 0.05)
    held = FileLock(own_workspace / f".{FILE}.lock")
    with held:
        note_attempt("exercises", ID, True, 1)
    assert read(own_workspace)["exercises"][ID]["passed"]


def test_a_damaged_file_that_can_not_be_set_aside_is_no_reason_to_stop(own_workspace, file, monkeypatch, capsys):
    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    file.write_bytes(b"{")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        assert read(own_workspace) == EMPTY
        use_everything()
    assert "could not be read or archived" in capsys.readouterr().out
    assert file.read_bytes() == b"{"


def test_the_map_shows_the_lessons_that_have_points_and_what_was_earned(own_workspace):
    blank = course_map(own_workspace)
    assert [row[0] for row in blank.rows] == [name for name in lessons() if lesson_points(name)]
    assert all(row[2] == 0 for row in blank.rows)
    first = blank.rows[0][0]
    for section, items in (("exercises", exercises(first)), ("questions", questions(first))):
        for id, item in items.items():
            note_attempt(section, id, True, item.points)
    note_attempt("exercises", "of.an.older.course", True, 5)
    full = course_map(own_workspace)
    assert full.rows[0][2] == full.rows[0][3] == lesson_points(first)
    assert "█" * 20 in repr(full).splitlines()[0] and "░" * 20 in repr(full).splitlines()[1]


def test_points_come_from_the_course_not_from_the_file(own_workspace, file):
    file.write_text(json.dumps({"exercises": {ID: PASSED | {"points": 500}}}))
    assert course_map(own_workspace).rows[0][2] == exercises()[ID].points


def test_the_progress_file_is_where_the_workspace_is(own_workspace, file):
    assert workspace.workspace() == own_workspace
    note_attempt("exercises", ID, False, 1)
    assert file.is_file()
