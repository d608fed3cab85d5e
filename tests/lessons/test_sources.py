"""The lessons' sources: their code fits a notebook's cell."""

import ast
import re

import pytest

from nnopt_lab.course.builder import to_notebook
from nnopt_lab.course.cell_roles import claims_in
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.lesson_files import lesson_names
from nnopt_lab.course.statistics import WIDTH, statistics
from nnopt_lab.workbench.paths import root

LONGEST = 30  # lines of a cell that a learner is to read


def shown(lesson, solved=True):
    """The code cells of a lesson whose code JupyterLab shows."""
    cells = to_notebook(root() / "solutions" / f"{lesson}.py", solved).cells
    return [cell for cell in cells if cell.cell_type == "code" and "jupyter" not in cell.metadata]


@pytest.mark.parametrize("lesson", lesson_names())
def test_a_cell_that_is_not_folded_is_short_enough_to_read(lesson):
    long = [c.source[:60] for solved in (True, False) for c in shown(lesson, solved) if c.source.count("\n") >= LONGEST]
    assert not long, "split these cells, or fold what only draws or tabulates: " + "; ".join(long)


@pytest.mark.parametrize("lesson", lesson_names())
def test_cells_that_mostly_claim_are_folded(lesson):
    for cell in shown(lesson):
        lines = sum(call.end_lineno - call.lineno + 1 for call in claims_in(cell.source))
        assert 2 * lines <= sum(bool(line.strip()) for line in cell.source.splitlines()), cell.source


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


def unseen(source):
    """Figures and tables that JupyterLab doesn't show: it shows a last expression, and none in an `if`."""
    tree = ast.parse(source)
    made = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    return [
        ast.unparse(n) for n in made if ast.unparse(n.value.func) in ("plots.finish", "Table") and n != tree.body[-1]
    ]


@pytest.mark.parametrize("lesson", lesson_names())
def test_what_a_cell_draws_is_shown(lesson):
    cells = to_notebook(root() / "solutions" / f"{lesson}.py", True).cells
    assert not [line for c in cells if c.cell_type == "code" for line in unseen(c.source)]


def test_an_unseen_figure_is_found():
    assert unseen("if known:\n    plots.finish(fig)") == ["plots.finish(fig)"]
    assert not unseen("if known:\n    display(plots.finish(fig))")
    assert not unseen("plots.finish(fig)")


@pytest.mark.parametrize("lesson", lesson_names())
def test_a_lesson_that_says_how_long_it_takes_agrees_with_its_minutes(lesson):
    introduction = to_notebook(root() / "solutions" / f"{lesson}.py", solved=True).cells[0].source
    said = re.search(r"takes (?:about )?(an hour and a half|an hour|.*hours?)", introduction)
    assert not said or abs({"an hour": 60, "an hour and a half": 90}[said[1]] - lessons()[lesson].minutes) <= 10
