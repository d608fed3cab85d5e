"""Submissions are read as data: which cells answer, and whatever else the bytes may be."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnopt_lab.grading import submissions
from nnopt_lab.grading.sources import find
from nnopt_lab.grading.submissions import read
from tests.grading.classroom import ATTACKED, LESSON, RIGHT, hand_in, honest, notebook


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
    assert "holds no answer cell of 00_start_here" in reading(honest(), "00_start_here").malformed


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
