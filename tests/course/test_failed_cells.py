"""A check after a cell that failed: the older function is not judged as if it were the new one."""

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nnopt_lab.course import calls, cell_runs
from nnopt_lab.course.exercises import cell_id, exercises
from nnopt_lab.course.failed_cells import failed_card
from nnopt_lab.course.record import read

ID = "start.conv_parameters"
HEAD = "def conv_parameters(in_channels, out_channels, kernel_size, bias):\n"
WRONG, RIGHT = HEAD + "    return -1", HEAD + "    return out_channels * (in_channels * kernel_size**2 + bias)"
BROKEN = HEAD + "    return out_channels * (in_channels"
CELL = cell_id("exercise", ID)


@pytest.fixture
def notebook(monkeypatch, capsys, own_workspace):
    """Runs a cell in a new kernel, with or without its id; `check` judges what its name stands for then."""
    shell = InteractiveShell()
    for module in (cell_runs, calls):
        monkeypatch.setattr(module, "shell", lambda: shell)
    calls.lesson("00_start_here")

    def run(source: str, id: str | None = None):
        shell.run_cell(source, cell_id=id)

    run.check = lambda: calls.check(ID, shell.user_ns["conv_parameters"])
    run.tries = lambda: read(own_workspace)["exercises"].get(ID, {}).get("attempts", 0)
    return run


STOPS = {
    "SyntaxError, line 2": BROKEN,
    "IndentationError, line 3": HEAD + "    return 1\n   + 2",
    "NameError, line 2": "\n \n# IPython counts from here\nnot_there + 1\n" + RIGHT,
    "NameError, line 1": RIGHT.replace("bias)", "bias=not_there)", 1),
}


@pytest.mark.parametrize("id", [None, CELL])
@pytest.mark.parametrize("stop", STOPS)
def test_an_older_function_is_not_judged_after_its_cell_stopped(notebook, stop, id):
    for older in (WRONG, RIGHT):
        notebook(older, id)
        notebook.check()
        tries = notebook.tries()
        notebook(STOPS[stop], id)
        for _ in range(2):
            card = notebook.check()
            assert card.mood == "quiet" and card.title == f"{exercises()[ID].title}: not checked"
            assert card.lines[0] == f"Your cell above stopped with an error ({stop}), so there is nothing new to check."
        assert notebook.tries() == tries
    notebook(RIGHT, id)
    assert notebook.check().mood == "good" and notebook.tries() == tries + 1


def test_an_open_bracket_or_string_is_named(notebook):
    for broken, told in ((BROKEN, True), (HEAD + "    return 'one", True), (HEAD + "    return 1 +* 2", False)):
        notebook(RIGHT)
        notebook(broken)
        assert ("A bracket or a quotation mark in it is not closed." in notebook.check().lines) == told


def test_the_mistake_that_the_learner_was_mending_stays_on_the_card_until_a_pass(notebook):
    def last_said() -> bool:
        notebook(BROKEN)
        return any("The last check said" in line for line in notebook.check().lines)

    notebook(RIGHT)
    assert not last_said()
    notebook(WRONG)
    mistake = notebook.check().lines[0]
    notebook(BROKEN)
    assert f"The last check said: {mistake}" in notebook.check().lines
    notebook(RIGHT)
    notebook.check()
    assert not last_said()


def test_a_cell_whose_def_is_broken_is_known_by_its_id(notebook):
    notebook(WRONG, CELL)
    notebook("de f conv_parameters(:", CELL)
    assert "SyntaxError" in notebook.check().lines[0]
    notebook(RIGHT, "another cell")
    assert notebook.check().mood == "good"


@pytest.mark.parametrize(
    "after", ["\n1 / 0", "\nraise SyntaxError", "\n\nprint(conv_parameters(1, 2, 3))", "\nraise KeyboardInterrupt"]
)
def test_a_function_that_was_defined_before_its_cell_stopped_is_judged(notebook, after):
    notebook(WRONG, CELL)
    notebook(RIGHT + after, CELL)
    assert notebook.check().mood == "good"
    notebook(WRONG + after, CELL)
    assert notebook.check().mood == "bad"


def test_errors_of_other_cells_are_of_no_concern(notebook):
    notebook(RIGHT, CELL)
    for other in ("1 / 0", "def (", "conv_parameters(1)", "def conv_parameters_too(:", "%%time\n1 / 0"):
        notebook(other)
        assert notebook.check().mood == "good"


def test_outside_a_notebook_nothing_is_followed(monkeypatch):
    monkeypatch.setattr(cell_runs, "shell", lambda: None)
    cell_runs.watch()
    assert failed_card(exercises()[ID]) is None


def test_lessons_opened_again_are_followed_once(notebook):
    for _ in range(3):
        calls.lesson("01_pruning")
    assert len(cell_runs.shell().events.callbacks["pre_run_cell"]) == 1


@pytest.mark.parametrize("stop", STOPS)
def test_a_function_that_its_cell_never_defined_is_explained_in_place_of_a_traceback(notebook, capsys, stop):
    notebook(STOPS[stop])
    capsys.readouterr()
    notebook("print(conv_parameters(1, 2, 3, True))")
    shown = capsys.readouterr().out
    assert "`conv_parameters` is not defined yet" in shown and f"stopped with an error ({stop})" in shown
    assert "Traceback" not in shown and notebook.tries() == 0
    notebook("unheard_of")
    assert "Traceback" in capsys.readouterr().out
