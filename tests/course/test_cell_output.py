"""In a notebook's cell every card is shown once, and a print in an answer too. The cells run in a real kernel."""

import nbformat
import pytest

from nnopt_lab.course import record
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.runner import execute
from tests.lessons.cells import shown

ID = "start.conv_parameters"
TITLE = exercises()[ID].title
SETUP = """
from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.predictions import predict, reveal
"""
BLANK = "def conv_parameters(in_channels, out_channels, kernel_size, bias):\n    raise NotImplementedError"
RIGHT = "def conv_parameters(i, o, k, b):\n    print('called')\n    display('shown')\n    return o * i * k**2 + o * b"
CHECK = f'check("{ID}", conv_parameters)'
REBIND = f'conv_parameters = yours_or_ours("{ID}")'
CELLS = {
    "setup": SETUP,
    "blank": BLANK,
    "two checks": f"{CHECK}\n{CHECK}",
    "in the middle": f"{CHECK}\nprint('later')",
    "alone": CHECK,
    "kept for later": f"card = {CHECK}\ncard",
    "many kinds": f'hint("{ID}")\nquestion("start.three_percent")\npredict("a")\nreveal("a", 3)\nclaim("b", True)',
    "nothing": "3",
    "lesson and table": "lesson('00_start_here')\n3",
    "lesson alone": "lesson('00_start_here')",
    "rebound": REBIND,
    "checked again": CHECK,
    "with an error above": f"def conv_parameters(:\n    pass\n{CHECK}",
    "solved": RIGHT,
    "passed": CHECK,
    "rebound to mine": REBIND,
    "passed again": CHECK,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    tags = {"tags": ["raises-exception"]}
    cells = [nbformat.v4.new_code_cell(source, metadata=tags) for source in CELLS.values()]
    notebook = nbformat.v4.new_notebook(cells=cells)
    assert execute(notebook, folder) == ""
    texts = {}
    for name, cell in zip(CELLS, notebook.cells, strict=True):
        outputs = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
        texts[name] = [text for text in outputs if text]
    return texts, record.read(folder), dict(zip(CELLS, notebook.cells, strict=True))


def test_a_lessons_card_is_shown_once_and_above_what_else_its_cell_shows(run):
    texts, _, _ = run
    card, three = texts["lesson and table"]
    assert "Start here" in card and three == "3" and texts["lesson alone"] == [card]


@pytest.mark.parametrize(
    ("name", "count"), [("two checks", 2), ("in the middle", 1), ("alone", 1), ("kept for later", 1)]
)
def test_each_card_is_shown_once(run, name, count):
    texts, _, _ = run
    assert sum(TITLE in text for text in texts[name]) == count


def test_cards_boxes_and_claims_of_one_cell_are_all_shown_in_their_order(run):
    texts, _, _ = run
    kinds = ["Hint 1", "Question", "Predict: a", "Measured: a"]
    found = [next(kind for kind in kinds if kind in text) for text in texts["many kinds"] if "✔ b" not in text]
    assert found == kinds
    assert texts["nothing"] == ["3"]


def test_a_blank_exercise_is_blank_after_its_name_was_bound_to_the_librarys(run):
    texts, _, cells = run
    for name in ("alone", "checked again"):
        assert "not answered yet" in texts[name][0] and "✔" not in shown(cells[name])
    assert cells["with an error above"].outputs[0].output_type == "error"


def test_what_an_answer_prints_and_displays_is_shown_once_above_its_card(run):
    texts, _, _ = run
    for name in ("passed", "passed again"):
        assert [text.strip() for text in texts[name][:2]] == ["called", "'shown'"]
        assert "passed" in texts[name][2] and len(texts[name]) == 3


def test_only_the_learners_own_function_counts(run):
    _, noted, _ = run
    assert noted["exercises"][ID] == {"passed": True, "points": 1, "attempts": 2}
