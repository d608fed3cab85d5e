"""What a lesson's cells print is shown in the language in use, and what else is printed stays as it is."""

import io

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nnopt_lab.course import cell_output, session
from nnopt_lab.course.printing import translating_print
from nnopt_lab.workbench.language import Message
from nnopt_lab.workbench.measure import Interval, Ratio

SAID = {"weights": "权重", "{0} bits lose {1} points": "{0} 位损失 {1} 个百分点"}


@pytest.fixture
def notebook(monkeypatch):
    """A notebook's shell; a function that runs code in it."""
    shell = InteractiveShell()
    monkeypatch.setattr(session, "_lesson", session.current_lesson())  # which the tests' lesson replaces
    monkeypatch.setattr(cell_output, "shell", lambda: shell)
    monkeypatch.setattr("nnopt_lab.course.printing.shell", lambda: shell)
    yield lambda code: shell.run_cell(code).raise_error()


def test_lessons_texts_are_translated_and_others_are_not(chinese, capsys):
    chinese({"layer": "层"}, SAID)
    translating_print("weights   ", 3, "2 bits lose 0.5 points", "layer", ["weights"], sep="|")
    translating_print("a weights b", end="")
    assert capsys.readouterr().out == "权重   |3|2 位损失 0.5 个百分点|layer|['weights']\na weights b"


INTERVALS = {
    "{0}× faster ({1} % interval {2} to {3})": "速度是 {0} 倍（{1}% 区间 {2} 到 {3}）",
    "{0}× slower ({1} % interval {2} to {3})": "用时是 {0} 倍（{1}% 区间 {2} 到 {3}）",
    "no difference measured (ratio {0}, {1} % interval {2} to {3})": "没有测出差别（比值 {0}，{1}% 区间 {2} 到 {3}）",
    "{0} ({1} % interval {2} to {3})": "{0}（{1}% 区间 {2} 到 {3}）",
}


@pytest.mark.parametrize(
    ("measured", "shown"),
    [
        (Ratio(2.4, 2.3, 2.5, 0.95), "速度是 2.40 倍（95% 区间 2.30 到 2.50）"),
        (Ratio(0.8, 0.8, 0.8, 0.9), "用时是 1.25 倍（90% 区间 1.25 到 1.25）"),
        (Ratio(0.99, 0.97, 1.02, 0.95), "没有测出差别（比值 0.99，95% 区间 0.97 到 1.02）"),
        (Interval(-5.0, -6.0, 4.0, 0.995), "−5.00（99.5% 区间 −6.00 到 4.00）"),
    ],
)
def test_measured_intervals_are_translated_as_values_and_as_texts(chinese, capsys, measured, shown):
    chinese(INTERVALS, SAID)
    translating_print(measured, f"    {measured}", [1], sep="|")
    assert capsys.readouterr().out == f"{shown}|    {shown}|[1]\n"


def test_the_library_s_messages_are_translated_and_a_learner_s_objects_are_not(chinese, capsys):
    class Layer:
        def __str__(self):
            return "layer"

    chinese({"layer": "层", "{count} layers": "{count} 层"} | INTERVALS)
    translating_print(Message("{count} layers", count=2), Layer(), "a layer (faster)", sep="|")
    assert capsys.readouterr().out == "2 层|layer|a layer (faster)\n"


def test_a_file_gets_the_text_as_it_is(chinese):
    chinese({}, SAID)
    file = io.StringIO()
    translating_print("weights", file=file)
    assert file.getvalue() == "weights\n"


def test_a_lesson_gives_the_notebook_a_translating_print(chinese, notebook, capsys):
    code = "from nnopt_lab.course.calls import lesson\nlesson('01_pruning')"
    notebook(code)
    capsys.readouterr()
    notebook("print('weights')")
    assert capsys.readouterr().out.splitlines()[-1] == "weights"
    chinese({}, SAID)
    notebook(code)
    capsys.readouterr()
    notebook("print('weights')\ndef f():\n    print('weights', flush=True)\nf()")
    assert capsys.readouterr().out.splitlines()[-2:] == ["权重", "权重"]


def test_a_print_of_the_learner_s_own_is_kept(chinese, notebook, capsys):
    chinese({}, SAID)
    notebook("def print(*values): pass")
    notebook("from nnopt_lab.course.calls import lesson\nlesson('01_pruning')")
    capsys.readouterr()
    notebook("print('weights')")
    assert capsys.readouterr().out == ""


def test_no_space_stands_behind_a_full_width_mark_of_a_lesson(chinese, capsys):
    chinese({}, {"copies:": "副本："})
    translating_print("copies:", 3, "", "你好，", "x")
    translating_print()
    assert capsys.readouterr().out == "副本：3  你好， x\n\n"
