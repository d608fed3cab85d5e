"""Answers go from the copy in one language into the other, and nothing that was written is replaced."""

import json

import pytest

from nnopt_lab.course import workspace as module
from nnopt_lab.course.carrying import carry_answers
from nnopt_lab.course.workspace import fill
from nnopt_lab.workbench.language import set_language

LESSON = "01_pruning"
STUB, ANSWER, OTHER = "def f(x):\n    raise NotImplementedError", "def f(x):\n    return 1", "def f(x):\n    return 2"


def cell(id, source, kind="code", **more):
    made = {"cell_type": kind, "id": id, "metadata": {}, "source": source}
    return made | ({"outputs": [], "execution_count": None} if kind == "code" else {}) | more


def notebook(title, answer=STUB, number=""):
    cells = [
        cell(f"{LESSON}-000", title, "markdown"),
        cell("exercise-a", answer, metadata={"exercise": "a"}),
        cell(f"{LESSON}-002", "check('a', f)"),
        cell("question-b", f"question('b'{number})", metadata={"question": "b"}),
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def course(tmp_path, monkeypatch, chinese):
    """A course of one lesson in two languages; English is spoken."""
    root = tmp_path / "course"
    (root / "notebooks" / "zh").mkdir(parents=True)
    (root / "notebooks" / f"{LESSON}.ipynb").write_text(json.dumps(notebook("# Title")))
    (root / "notebooks" / "zh" / f"{LESSON}.ipynb").write_text(json.dumps(notebook("# 标题")))
    monkeypatch.setattr(module, "root", lambda: root)
    chinese({})
    set_language("en")
    return root


@pytest.fixture
def mine(tmp_path, course):
    fill(tmp_path / "work")
    return tmp_path / "work"


def write(path, change):
    found = json.loads(path.read_text(encoding="utf-8"))
    change(found["cells"])
    path.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")


def sources(path):
    return ["".join(c["source"]) for c in json.loads(path.read_text(encoding="utf-8"))["cells"]]


def answered(cells):
    cells[1]["source"] = ANSWER.splitlines(keepends=True)
    cells[3]["source"] = "question('b', 3)"
    cells.insert(2, cell("mine", "my notes", "markdown"))


def chinese_copy(mine):
    set_language("zh")
    fill(mine)
    return mine / "zh" / f"{LESSON}.ipynb"


def test_answers_go_into_the_copy_in_the_other_language_and_back(mine):
    english = mine / f"{LESSON}.ipynb"
    write(english, answered)
    before = english.read_bytes()
    path = chinese_copy(mine)
    assert carry_answers(mine) == {LESSON: 2} and carry_answers(mine) == {}
    assert sources(path) == ["# 标题", ANSWER, "check('a', f)", "question('b', 3)"]
    assert english.read_bytes() == before
    english.unlink()
    set_language("en")
    fill(mine)
    assert carry_answers(mine) == {LESSON: 2}
    assert sources(english) == ["# Title", ANSWER, "check('a', f)", "question('b', 3)"]


def test_an_answer_that_is_there_stays(mine):
    write(mine / f"{LESSON}.ipynb", answered)
    path = chinese_copy(mine)
    write(path, lambda cells: cells[1].update(source=OTHER))
    assert carry_answers(mine) == {LESSON: 1}
    assert sources(path)[1] == OTHER and sources(path)[3] == "question('b', 3)"
    set_language("en")
    assert carry_answers(mine) == {}


def test_outputs_of_the_other_copy_do_not_come_along(mine):
    write(mine / f"{LESSON}.ipynb", answered)
    path = chinese_copy(mine)
    write(path, lambda cells: cells[1].update(outputs=[{"output_type": "stream"}], execution_count=3))
    carry_answers(mine)
    found = json.loads(path.read_text(encoding="utf-8"))["cells"][1]
    assert found["outputs"] == [] and found["execution_count"] is None


def test_cells_that_lost_their_ids_are_found_by_their_metadata(mine):
    def nameless(cells):
        answered(cells)
        for each in cells:
            each.pop("id")

    write(mine / f"{LESSON}.ipynb", nameless)
    path = chinese_copy(mine)
    assert carry_answers(mine) == {LESSON: 2} and ANSWER in sources(path)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"cells": 1}', b'{"cells": [1]}', b'{"cells": [{}]}', b"\xff"])
def test_a_damaged_copy_changes_nothing(mine, damage):
    (mine / f"{LESSON}.ipynb").write_bytes(damage)
    path = chinese_copy(mine)
    before = path.read_bytes()
    assert carry_answers(mine) == {} and path.read_bytes() == before
    set_language("en")
    assert carry_answers(mine) == {} and (mine / f"{LESSON}.ipynb").read_bytes() == damage


ENGLISH_STUB = 'def f(x):\n    """One."""\n    # Your answer here.\n    raise NotImplementedError'
CHINESE_STUB = 'def f(x):\n    """一。"""\n    # 在这里写答案。\n    raise NotImplementedError'


@pytest.fixture
def documented(tmp_path, course):
    """A workspace of a course whose blanks have docstrings and comments in their language."""
    for folder, stub in (("", ENGLISH_STUB), ("zh", CHINESE_STUB)):
        path = course / "notebooks" / folder / f"{LESSON}.ipynb"
        path.write_text(json.dumps(notebook("# Title", stub)), encoding="utf-8")
    fill(tmp_path / "work")
    return tmp_path / "work"


def test_a_blank_is_one_in_each_language_and_an_answer_replaces_it(documented):
    path = chinese_copy(documented)
    assert sources(path)[1] == CHINESE_STUB and carry_answers(documented) == {}
    done = ENGLISH_STUB.replace("raise NotImplementedError", "return 1")
    write(documented / f"{LESSON}.ipynb", lambda cells: cells[1].update(source=done))
    assert carry_answers(documented) == {LESSON: 1} and sources(path)[1] == done
    write(path, lambda cells: cells[1].update(source=ENGLISH_STUB))  # as copied before the translation
    assert carry_answers(documented) == {LESSON: 1} and sources(path)[1] == done


def test_a_learner_s_comment_is_no_answer_and_is_not_replaced(documented):
    path = chinese_copy(documented)
    noted = CHINESE_STUB.replace("    raise", "    # 先求和\n    raise")
    write(path, lambda cells: cells[1].update(source=noted))
    set_language("en")
    assert carry_answers(documented) == {}
    set_language("zh")
    write(documented / f"{LESSON}.ipynb", lambda cells: cells[1].update(source=ANSWER))
    assert carry_answers(documented) == {} and sources(path)[1] == noted
