"""What a lesson's cells print is shown in the language in use, and what else is printed stays as it is."""

import io

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nnopt_lab.course import cell_output, session
from nnopt_lab.course.printing import translating_print

SAID = {"weights": "权重", "{0} bits lose {1} points": "{0} 位损失 {1} 个百分点"}


@pytest.fixture
def notebook(monkeypatch):
    """A notebook's shell; a function that runs code in it."""
    shell = InteractiveShell()
    monkeypatch.setattr(session, "_lesson", session.current_lesson())  # which the tests' lesson replaces
    monkeypatch.setattr(cell_output, "shell", lambda: shell)
    monkeypatch.setattr("nnopt_lab.course.printing.shell", lambda: shell)
    yield lambda code: shell.run_cell(code).raise_error()
    InteractiveShell.clear_instance()


def test_lessons_texts_are_translated_and_others_are_not(chinese, capsys):
    chinese({"layer": "层"}, SAID)
    translating_print("weights   ", 3, "2 bits lose 0.5 points", "layer", ["weights"], sep="|")
    translating_print("a weights b", end="")
    assert capsys.readouterr().out == "权重   |3|2 位损失 0.5 个百分点|layer|['weights']\na weights b"


def test_a_file_gets_the_text_as_it_is(chinese):
    chinese({}, SAID)
    file = io.StringIO()
    translating_print("weights", file=file)
    assert file.getvalue() == "weights\n"


def test_a_lesson_gives_the_notebook_a_translating_print(chinese, notebook, capsys):
    code = "from nnopt_lab.course.calls import lesson\nlesson('01_pruning')"
    notebook(code)
    notebook("print('weights')")
    assert capsys.readouterr().out.splitlines()[-1] == "weights"
    chinese({}, SAID)
    notebook(code)
    notebook("print('weights')\ndef f():\n    print('weights', flush=True)\nf()")
    assert capsys.readouterr().out.splitlines()[-2:] == ["权重", "权重"]


def test_a_print_of_the_learner_s_own_is_kept(chinese, notebook, capsys):
    chinese({}, SAID)
    notebook("def print(*values): pass")
    notebook("from nnopt_lab.course.calls import lesson\nlesson('01_pruning')")
    capsys.readouterr()
    notebook("print('weights')")
    assert capsys.readouterr().out == ""
