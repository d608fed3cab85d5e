"""The lessons' sources: their code fits a notebook's cell."""

import ast

import pytest

from nnopt_lab.course.lesson_files import lesson_names
from nnopt_lab.course.statistics import WIDTH, statistics
from nnopt_lab.workbench.paths import root


@pytest.mark.parametrize("lesson", lesson_names())
def test_code_is_not_wider_than_a_cell(lesson):
    wide = statistics(lesson).too_wide
    assert not wide, f"longer than {WIDTH} characters:\n" + "\n".join(wide)


@pytest.mark.parametrize("lesson", lesson_names())
def test_no_card_is_displayed_by_hand_since_it_would_show_twice(lesson):
    source = (root() / "solutions" / f"{lesson}.py").read_text()
    tree = ast.parse(source)
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "display"
    ]
    shown = [argument for call in calls for argument in call.args]
    made = [getattr(argument.func, "id", "") for argument in shown if isinstance(argument, ast.Call)]
    assert not {"check", "hint", "predict", "question", "reveal"}.intersection(made)
