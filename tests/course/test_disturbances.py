"""A time that another program disturbed: the card of its reveal says so, and the ledger doesn't judge its guess."""

from types import SimpleNamespace

import jupytext
import pytest
from IPython.core.interactiveshell import InteractiveShell

from nnopt_lab.course import disturbances
from nnopt_lab.course.disturbances import disturbance
from nnopt_lab.course.ledger import Ledger, Prediction, rounded_factor
from nnopt_lab.course.lesson_files import lesson_names
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.record import read
from nnopt_lab.workbench.paths import PACKAGE

TIMED = {  # the lessons' reveals of numbers in which there are measured times
    "00": 1, "01": 2, "02": 4, "04": 2, "08": 4, "09": 1, "10": 6, "11": 1, "12": 7, "13": 1, "15": 3,
}  # fmt: skip
MEASURES = "x = latency()"
REVEALS = "reveal('gain', x, low, high, because='The reason.')"


@pytest.fixture
def notebook(monkeypatch):
    """Runs cells in which `latency()` measures 203, with these ends of its interval; returns the last one's card."""
    shell = InteractiveShell()
    monkeypatch.setattr(disturbances, "shell", lambda: shell)

    def run(*cells, low=200, high=206, busy=False):
        monkeypatch.setattr(disturbances, "is_busy", lambda: busy)
        shell.push({"reveal": reveal, "latency": lambda: 203, "low": low, "high": high})
        return [shell.run_cell(cell, store_history=True).result for cell in cells][-1]

    return run


def test_a_quiet_measurement_shows_nothing_new(notebook, own_workspace):
    predict("gain", 3)
    card = notebook(MEASURES, REVEALS)
    assert card.lines == (
        "Measured: 203× (interval 200 to 206).", "You guessed 3×: 68 times too low.", "The reason.",
    )  # fmt: skip
    assert "disturbed" not in read(own_workspace)["predictions"]["gain"]


@pytest.mark.parametrize(
    ("cells", "ends", "busy", "sentence"),
    [
        ((MEASURES, REVEALS), (200, 206), True, "run the measuring cell and this cell again."),
        ((MEASURES, REVEALS), (120, 206), False, "run the measuring cell and this cell again."),
        ((f"{MEASURES}\n{REVEALS}",), (120, 206), False, "Close other programs, then run this cell again."),
        (("def time(): return latency()", f"x = time()\n{REVEALS}"), (200, 206), True, "then run this cell again."),
        ((MEASURES, f"if x:\n    card = {REVEALS}\ncard"), (120, 206), False, "and this cell again."),
    ],
)
def test_a_disturbed_one_says_so_and_what_to_do_and_is_not_judged(notebook, own_workspace, cells, ends, busy, sentence):
    predict("gain", 3)
    low, high = ends
    measured, guessed, disturbed, reason = notebook(*cells, low=low, high=high, busy=busy).lines
    assert measured == f"Measured: 203× (interval {low} to {high})."
    assert guessed == "You guessed 3×: not judged (disturbed)." and disturbed.endswith(sentence)
    assert reason == "The reason." and read(own_workspace)["predictions"]["gain"]["disturbed"] is True
    assert ledger().summary == "1 guess; 1 too noisy to judge" and "not judged (disturbed)" in ledger()._repr_html_()


def test_measured_again_on_a_quiet_machine_it_counts(notebook):
    predict("gain", 3)
    notebook(MEASURES, REVEALS, busy=True)
    notebook(MEASURES, REVEALS)
    assert ledger().summary == "1 guess; typically off by a factor of 68"


def test_it_is_said_without_a_guess_too(notebook):
    card = notebook(MEASURES, REVEALS, busy=True)
    assert card.lines[1].startswith("Other programs use the processor") and card.lines[2] == "The reason."


@pytest.mark.parametrize("cells", [("x = 5", REVEALS), (MEASURES, "reveal('gain', 5, low, high)"), ("x = 5", MEASURES)])
def test_what_is_no_time_is_never_disturbed(notebook, cells):
    notebook(*cells, low=1, high=206, busy=True)
    assert disturbance("gain", 1, 206) == ""


def test_a_short_run_says_that_its_times_say_nothing(notebook, monkeypatch):
    monkeypatch.setenv("NNOPT_SMOKE", "1")
    assert "short run" in notebook(MEASURES, REVEALS).lines[1]


def test_outside_a_notebook_nothing_is_disturbed():
    assert disturbance("gain", 1, 206) == ""


@pytest.mark.parametrize("lesson", lesson_names())
def test_the_times_that_a_lesson_reveals_are_found(lesson, monkeypatch):
    """Also in loops and branches, and none in accuracies, sizes and recorded results."""
    parsed = jupytext.read(PACKAGE.parent / "solutions" / f"{lesson}.py").cells
    cells, found = [cell.source for cell in parsed if cell.cell_type == "code"], []
    monkeypatch.setattr(disturbances, "is_busy", lambda: True)
    for place, statement in ((i, s) for i, cell in enumerate(cells) for s in disturbances.statements([cell])):
        shell = SimpleNamespace(history_manager=SimpleNamespace(input_hist_parsed=cells[: place + 1]))
        monkeypatch.setattr(disturbances, "shell", lambda shell=shell: shell)
        found += [disturbance(call.args[0].value, 1, 1) for call in disturbances._reveals_in(statement.node)]
    assert len(found) >= 1 and sum(map(bool, found)) == TIMED.get(lesson[:2], 0)


def test_the_mean_leaves_out_what_was_disturbed():
    made = {str(i): Prediction("01_a", "×", 1.0, 2.0, 1.9, 2.1) for i in range(2)}
    made |= {f"d{i}": Prediction("01_a", "×", 1.0, 203.0, 1.0, 300.0, disturbed=True) for i in range(3)}
    assert Ledger(made).summary == "5 guesses; 3 too noisy to judge; typically off by a factor of 2.0"


@pytest.mark.parametrize(
    ("factor", "text"),
    [(1, "1.0"), (1.0004, "1.0"), (1.04, "1.04"), (1.004, "1.004"),
     (1.06, "1.1"), (1.96, "2.0"), (9.94, "9.9"), (9.96, "10"),
     (57.97, "58"), (99.6, "100"), (203.4, "200"), (1250, "1,200"), (1e6, "1,000,000")],
)  # fmt: skip
def test_a_factor_has_two_digits(factor, text):
    assert rounded_factor(factor) == text
