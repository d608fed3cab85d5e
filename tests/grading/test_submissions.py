"""Submissions are read as data: which cells answer, and whatever else the bytes may be."""

import json
import os
import re
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnopt_lab.grading import submissions
from nnopt_lab.grading.sources import find
from nnopt_lab.grading.submissions import read
from tests.grading.classroom import ATTACKED, LESSON, QUIET, RIGHT, archive, hand_in, honest, notebook, solved


@pytest.fixture
def reading(tmp_path):
    def of(content, lesson=None):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        hand_in(folder, "alice", content)
        return read(find([folder])[0], lesson)

    return of


def test_the_answer_cells_of_the_lesson_are_found(reading):
    found = reading(honest())
    assert (found.lesson, found.malformed) == (LESSON, "")
    assert found.cells[ATTACKED].source == RIGHT
    assert not any(cell.trouble for cell in found.cells.values())


def test_cells_without_ids_are_found_by_what_they_answer(reading):
    content = honest()
    for cell in content["cells"]:
        del cell["id"]
        cell["source"] = cell["source"].splitlines(keepends=True) if isinstance(cell["source"], str) else cell["source"]
    assert reading(content).cells[ATTACKED].source == RIGHT


def test_another_lesson_than_the_one_wanted_is_malformed(reading):
    assert "contains no answer cell of 00_start_here" in reading(honest(), "00_start_here").malformed


def test_a_byte_order_mark_is_no_trouble(reading):
    assert not reading(b"\xef\xbb\xbf" + json.dumps(honest()).encode()).malformed


WHOLE = json.dumps(notebook({ATTACKED: RIGHT})).encode()


@given(st.data())
@settings(max_examples=200)
def test_whatever_bytes_are_handed_in_they_are_a_notebook_or_a_sentence(tmp_path_factory, data):
    """The fuzz test: damaged, cut, doubled and shuffled pieces of a real notebook, and bytes that are none."""
    whole = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 5))):
        at, length = data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, 200))
        piece = data.draw(st.binary(max_size=20) | st.sampled_from([b"[", b"]}", b'"', b"null", b"1e999", b"\\ud800"]))
        whole[at : at + length] = piece * data.draw(st.sampled_from([1, 1, 1, 50]))
    file = tmp_path_factory.mktemp("fuzz") / "alice.ipynb"
    file.write_bytes(bytes(whole))
    found = read(find([file])[0])
    assert bool(found.malformed) != bool(found.cells)
    assert all(isinstance(cell.source, str) for cell in found.cells.values())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(st.sampled_from(["id", "cell_type", "source", "metadata"]), json_values), max_size=4))
def test_whatever_is_in_a_cell_it_is_an_answer_or_none(tmp_path_factory, cells):
    file = tmp_path_factory.mktemp("fuzz") / "alice.ipynb"
    content = honest()
    content["cells"] = cells + content["cells"]
    file.write_text(json.dumps(content))
    assert read(find([file])[0]).cells[ATTACKED].source == RIGHT


def test_the_caps_are_above_what_a_lesson_with_its_outputs_needs():
    from nnopt_lab.course.lesson_files import paths

    sizes = [path.stat().st_size for path in paths(LESSON).values()]
    brackets = [path.read_bytes().count(b"[") + path.read_bytes().count(b"{") for path in paths(LESSON).values()]
    assert max(sizes) * 10 < submissions.MAX_BYTES and max(brackets) * 10 < submissions.MAX_BRACKETS


OTHER = "def l1_importance(weight):\n    return weight.sum((1, 2, 3))"


def code(source: str, id: str, **metadata) -> dict:
    return {"cell_type": "code", "id": id, "metadata": metadata, "source": source, "outputs": [], "execution_count": 1}


def with_cells(original: str | None, *more: dict) -> dict:
    """A notebook whose answer cell holds `original` (None: it is as it was handed out), and more cells."""
    content = notebook({} if original is None else {ATTACKED: original})
    content["cells"] += more
    return content


@pytest.mark.parametrize(
    ("content", "source", "trouble"),
    [
        # A copy, as JupyterLab makes it: another id, the same mark.
        (with_cells(None, code(RIGHT, "copy", exercise=ATTACKED)), RIGHT, ""),
        (with_cells("", code(RIGHT, "copy", exercise=ATTACKED)), RIGHT, ""),
        (with_cells("# below\n", code(RIGHT, "copy", exercise=ATTACKED)), RIGHT, ""),
        (with_cells(RIGHT, code("", "copy", exercise=ATTACKED)), RIGHT, ""),
        (with_cells(RIGHT, code(RIGHT + "\n", "copy", exercise=ATTACKED)), RIGHT, ""),
        (with_cells(RIGHT, code(OTHER, "copy", exercise=ATTACKED)), "", "doubled"),
        (with_cells(None, *(code(s, s[-9:], exercise=ATTACKED) for s in (RIGHT, OTHER))), "", "doubled"),
        # The two halves of a cell that was split.
        (with_cells(RIGHT, code("l1_importance(w)", "half", exercise=ATTACKED)), RIGHT, ""),
        # A copy without a mark, as some other tools make it.
        (with_cells(None, code(RIGHT, "elsewhere")), RIGHT, ""),
        (with_cells(RIGHT, code(OTHER, "an experiment")), RIGHT, ""),
        (with_cells(None, code(RIGHT, "one"), code(OTHER, "two")), "", "doubled"),
        (with_cells(None, code("x = l1_importance(w)", "use")), None, ""),
        (with_cells(None, code('l1_importance = yours_or_ours("x")', "course")), None, ""),
        # A note under the same id.
        (with_cells(RIGHT, code("why", "exercise-pruning-l1_importance") | {"cell_type": "markdown"}), RIGHT, ""),
        (with_cells(RIGHT, code("why", "exercise-pruning-l1_importance") | {"cell_type": "raw"}), RIGHT, ""),
    ],
)
def test_the_answer_is_found_in_the_cell_or_in_a_copy_of_it(reading, content, source, trouble):
    stub = reading(notebook({})).cells[ATTACKED].source
    cell = reading(content).cells[ATTACKED]
    assert cell.trouble == trouble
    assert trouble or cell.source.strip() == (stub if source is None else source).strip()


def test_a_note_before_the_answer_under_its_id_does_not_hide_it(reading):
    content = notebook({ATTACKED: RIGHT})
    note = code("# Why", "exercise-pruning-l1_importance", exercise=ATTACKED) | {"cell_type": "markdown"}
    content["cells"].insert(0, note)
    assert reading(content).cells[ATTACKED].source == RIGHT
    content["cells"] = [cell for cell in content["cells"] if cell is note or cell["id"] != note["id"]]
    assert reading(content).cells[ATTACKED].trouble == "mistyped"


def test_a_question_that_is_answered_in_a_copy_counts(reading):
    answered = 'choice = "b"\nquestion("pruning.l1_or_l2", choice)'
    content = with_cells(None, code(answered, "copy", question="pruning.l1_or_l2"))
    assert reading(content).cells["pruning.l1_or_l2"].source == answered


@pytest.mark.parametrize("seconds", [1e12, -1e12, 253402300800.0, -62135596801.0])
def test_a_time_that_no_calendar_has_is_unknown(tmp_path, seconds):
    hand_in(tmp_path, "alice", honest())
    (source,) = find([tmp_path])
    assert submissions.in_utc(seconds) == ""
    try:
        os.utime(source.path, (seconds, seconds))
    except OSError:
        return
    found = read(source)
    assert (found.malformed, found.cells[ATTACKED].source) == ("", RIGHT)


def test_a_submission_in_an_archive_is_read_like_any_other(tmp_path):
    path = tmp_path / "class.zip"
    path.write_bytes(archive({"alice/01_pruning.ipynb": json.dumps(honest()).encode(), "bob/01_pruning.ipynb": b"PK"}))
    alice, bob = map(read, find([path]))
    assert (alice.cells[ATTACKED].source, alice.submitted_at[:4]) == (RIGHT, "2026")
    assert "not JSON" in bob.malformed and bob.lesson == LESSON


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (archive({"01_pruning.ipynb": b"x"}, external_attr=(stat.S_IFLNK | 0o777) << 16, create_system=3), "a link"),
        (archive({"../01_pruning.ipynb": b"x"}), "leads out"),
        (archive({"01_pruning.ipynb": bytes(submissions.MAX_BYTES + 1)}), "larger than"),
        (b"PK\x03\x04", "archive without a readable notebook"),
    ],
)
def test_what_can_t_be_read_in_an_archive_is_malformed(tmp_path, content, said):
    (tmp_path / "alice").mkdir()
    (tmp_path / "alice" / "01_pruning.zip").write_bytes(content)
    (source,) = find([tmp_path])
    found = read(source)
    assert source.learner == "alice" and said in found.malformed and found.lesson == LESSON


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ("2026-11-30 17:02:11 UTC", "2026-11-30T17:02:11+00:00"),
        ("2026-11-30 12:02:11.948203 America/New_York", "2026-11-30T17:02:11+00:00"),
        ("2026-11-30 17:02:11 Nowhere/At_All", ""),
        ("soon", ""),
        ("\x00" * 300, ""),
    ],
)
def test_the_time_that_nbgrader_wrote_comes_before_the_files(tmp_path, stamp, time):
    hand_in(tmp_path / "submitted" / "alice", "ps1", honest())
    (tmp_path / "submitted" / "bob").mkdir()
    folder = next((tmp_path / "submitted" / "alice").rglob("*.ipynb")).parent
    (folder / "timestamp.txt").write_text(stamp)
    (source,) = find([tmp_path / "submitted"])
    submitted = read(source).submitted_at
    assert submitted == time if time else submitted > "2026-11-27"


def test_a_time_that_a_learner_wrote_does_not_count(tmp_path):
    hand_in(tmp_path / "in", "alice", honest())
    (tmp_path / "in" / "alice" / "timestamp.txt").write_text("2020-01-01 00:00:00 UTC")
    (source,) = find([tmp_path / "in"])
    assert read(source).submitted_at > "2026"


def without_marks(notebook: dict) -> dict:
    """As a tool leaves it that knows neither cells' ids nor metadata."""
    cells = [
        {key: value for key, value in cell.items() if key != "id"} | {"metadata": {}} for cell in notebook["cells"]
    ]
    return notebook | {"cells": cells}


@pytest.mark.parametrize("name", [f"{LESSON}.ipynb", "homework.ipynb"])
@pytest.mark.parametrize("wanted", [None, LESSON])
def test_a_notebook_without_ids_and_metadata_is_read_by_its_functions_names(tmp_path, name, wanted):
    answers = {ATTACKED: RIGHT, "pruning.flatten_columns": "x = 1"}
    (tmp_path / name).write_text(json.dumps(without_marks(notebook(answers))))
    found = read(find([tmp_path / name])[0], wanted)
    assert found.lesson == LESSON and not found.malformed and "answers were found by their functions" in found.note
    assert found.cells[ATTACKED].source == RIGHT and found.cells["pruning.flatten_columns"].trouble == "missing"
    blank = read_blank(tmp_path)
    assert found.cells[QUIET] == blank.cells[QUIET] and not found.cells[QUIET].trouble  # untouched
    assert all(not cell.trouble for cell in blank.cells.values())


def read_blank(folder):
    (folder / "blank.ipynb").write_text(json.dumps(notebook({})))
    found = read(find([folder / "blank.ipynb"])[0])
    assert not found.note
    return found


def test_questions_without_ids_are_found_by_theirs(tmp_path):
    (tmp_path / "x.ipynb").write_text(json.dumps(without_marks(solved())))
    found = read(find([tmp_path / "x.ipynb"])[0])
    assert found.lesson == LESSON and not any(cell.trouble for cell in found.cells.values())
    whole = json.dumps(solved())
    (tmp_path / "y.ipynb").write_text(whole)
    assert {id: c.source.strip() for id, c in found.cells.items()} == {
        id: c.source.strip() for id, c in read(find([tmp_path / "y.ipynb"])[0]).cells.items()
    }


def test_another_lesson_without_ids_is_not_the_wanted_one(tmp_path):
    (tmp_path / "x.ipynb").write_text(json.dumps(without_marks(solved())))
    assert read(find([tmp_path / "x.ipynb"])[0], "02_convolutions").malformed.startswith("It contains no answer cell")
    (tmp_path / "z.ipynb").write_text(json.dumps(without_marks(notebook({})) | {"cells": []}))
    assert read(find([tmp_path / "z.ipynb"])[0]).malformed == "It contains no answer cell of the course."


def in_chinese(content: dict) -> dict:
    """A notebook with docstrings and comments in Chinese."""
    for cell in content["cells"]:
        text = "".join(cell["source"]).replace("# Your answer here.", "# 在这里写答案。")
        cell["source"] = re.sub(r'"""[^"]+"""', '"""求范数。\\n\\n    weight：float [N]。\\n    """', text)
    return content


def test_a_blank_in_another_language_is_blank(reading):
    content = in_chinese(notebook({}))
    content["cells"] += [code(RIGHT, "own-1", exercise=ATTACKED)]
    found = reading(content)
    assert found.cells[ATTACKED].source == RIGHT and not found.cells[QUIET].trouble


def test_a_cell_in_two_languages_is_one_answer(reading):
    said = RIGHT.replace("return", '"""{}"""\n    return')
    content = notebook({ATTACKED: said.format("The norm.")})
    content["cells"].append(code(said.format("范数。"), "own-1", exercise=ATTACKED))
    assert not reading(content).cells[ATTACKED].trouble


def test_without_ids_a_chinese_notebook_is_read_by_its_functions_names(tmp_path):
    (tmp_path / "x.ipynb").write_text(json.dumps(in_chinese(without_marks(notebook({ATTACKED: RIGHT})))))
    found = read(find([tmp_path / "x.ipynb"])[0])
    assert found.cells[ATTACKED].source == RIGHT and not found.cells[QUIET].trouble
