"""Help with an exercise: the hints taken so far, and after three of them and five tries a solution."""

import inspect

import pytest

from nnopt_lab.course import calls, help, solutions
from nnopt_lab.course.calls import check, hint
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.help import TRIES, HelpCard, box
from nnopt_lab.course.record import read
from nnopt_lab.course.solutions import other_solution, solution
from nnopt_lab.course.static_outputs import CURRENT, VIEW
from nnopt_lab.workbench.language import set_language
from tests.course.answers import own

EXERCISE = exercises()["start.conv_parameters"]
ID = EXERCISE.id
SOLUTION = "return out_channels * in_channels"


def wrong(in_channels, out_channels, kernel_size, bias):
    return 0


def stub(in_channels, out_channels, kernel_size, bias):
    raise NotImplementedError


def parts(card):
    """The card, the folds and the button of a help box."""
    return box(card).children[:3]


def test_a_button_opens_the_hints_one_by_one_records_them_and_then_goes_away(own_workspace):
    card, folds, button = parts(check(ID, wrong))
    assert 'hint("' not in card.value and folds.value == ""
    for n, text in enumerate(EXERCISE.hints, 1):
        assert button.description == f"Hint {n} of 3" and button.layout.display is None
        button.click()
        assert folds.value.count("<details") == n + (n == 3)
        assert folds.value.count(" open>") == n, "the hints before stay readable, and the solution is closed"
        assert text.partition("`")[0] in folds.value.split(" open>")[n]
        assert read(own_workspace)["hints"][ID] == n
    assert button.layout.display == "none"


def test_a_saved_notebook_says_how_to_get_a_hint_as_long_as_there_is_one(own_workspace):
    *_, button, static = box(check(ID, wrong)).children
    assert static.layout.display == "none" and CURRENT in static._dom_classes
    for _ in EXERCISE.hints:
        assert "<em>Check</em> again for a hint." in static.value
        button.click()
    assert "again for a hint" not in static.value and static.value.count("Hint ") == 3
    assert static.value.count("<div") == static.value.count("</div>") and static.value.endswith(
        "</details></div></div>"
    )


def test_hints_taken_before_are_there_again_and_the_function_counts_too():
    assert isinstance(hint(ID), calls.Card)
    _, folds, button = parts(check(ID, wrong))
    assert "Hint 1 of 3" in folds.value and " open>" not in folds.value and button.description == "Hint 2 of 3"
    for _ in range(4):
        hint(ID)
    _, folds, button = parts(check(ID, wrong))
    assert folds.value.count("Hint") == 3 and button.layout.display == "none"


def test_the_solution_takes_three_hints_and_five_tries():
    for _ in range(TRIES):
        card = check(ID, wrong)
        assert SOLUTION not in card._repr_html_()
    for taken in (1, 2, 3):
        hint(ID)
        assert (SOLUTION in card._repr_html_()) == (taken == 3)


@pytest.mark.parametrize("tries", range(TRIES))
def test_with_fewer_tries_it_says_how_many_are_missing_and_a_blank_answer_is_none(tries):
    for _ in range(3):
        hint(ID)
        check(ID, stub)
    for _ in range(tries):
        check(ID, wrong)
    shown = check(ID, stub)._repr_html_()
    assert SOLUTION not in shown and f"so far you have made {tries}." in shown


def test_a_pass_shows_the_courses_code_unless_it_is_the_learners(monkeypatch):
    card = check(ID, own(EXERCISE.reference))
    assert not isinstance(card, HelpCard) and card.folds[0][1][1] == solution(EXERCISE)
    assert SOLUTION in card._repr_html_() and "<details" in card._repr_html_()
    code = solution(EXERCISE)
    monkeypatch.setattr(inspect, "getsource", lambda f: code.replace(" * ", "  *  ") + "\n\n")
    assert other_solution(EXERCISE, wrong) == ""


@pytest.mark.parametrize("exercise", exercises().values(), ids=list(exercises()))
def test_every_exercise_has_a_solution_without_markers(exercise):
    code = solution(exercise)
    assert f"def {exercise.name}(" in code and "###" not in code and "raise NotImplementedError" not in code


def test_a_kit_has_no_solutions_and_shows_none(monkeypatch, tmp_path):
    monkeypatch.setattr(solutions, "root", lambda: tmp_path)
    assert check(ID, own(EXERCISE.reference)).folds == ()
    for _ in range(3):
        hint(ID)
    for _ in range(TRIES):
        card = check(ID, wrong)
    assert "A solution" not in card._repr_html_() and card._repr_html_().count("<details") == 3


def test_a_kernel_gets_a_box_and_everything_else_the_card(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **more: shown.append(bundle))
    card = check(ID, wrong)
    card._ipython_display_()
    monkeypatch.setattr(help, "shell", lambda: type("Shell", (), {"kernel": 1}))
    card._ipython_display_()
    plain, rich = shown
    assert VIEW not in plain and VIEW in rich
    for bundle in shown:
        assert bundle["text/plain"] == repr(card) and bundle["text/html"] == card._repr_html_()
    assert f'`hint("{ID}")` helps.' in repr(card)


def test_the_card_is_as_readable_in_plain_text_as_any_card():
    card = HelpCard("Title", "bad", ("one line",), exercise="pruning.l1_importance")
    assert repr(card) == "✘ Title\n  one line"


def test_the_solution_speaks_the_language_in_use(chinese, monkeypatch):
    chinese({})
    known = {
        "Number of parameters of a convolution with square kernels.\n\n"
        "bias is a bool, all other arguments are integers.": "方核卷积的参数量。"
    }
    monkeypatch.setattr("nnopt_lab.course.translation.catalogs.translations", lambda catalog: known)
    told = solution(EXERCISE)
    assert '"""方核卷积的参数量。\n\n    >>> ' in told and SOLUTION in told
    set_language("en")
    assert "Number of parameters" in solution(EXERCISE)


def test_the_learner_s_own_code_with_other_docstrings_is_no_other_solution(monkeypatch):
    code = solution(EXERCISE).replace("Number of parameters", "参数量") + "  # 好"
    monkeypatch.setattr(inspect, "getsource", lambda f: code)
    assert other_solution(EXERCISE, wrong) == ""
