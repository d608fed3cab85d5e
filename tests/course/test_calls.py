"""What a lesson calls: a card for every mistake, and the library's version until an answer has passed."""

import functools
import math
import re
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnopt_lab.course import calls
from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.cards import Card
from nnopt_lab.course.checking import Verdict
from nnopt_lab.course.exercises import exercises, lesson_points, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.record import read
from nnopt_lab.techniques.pruning.scores import importance
from tests.course.answers import own

ID = "start.conv_parameters"
EXERCISE = exercises()[ID]
RIGHT = own(EXERCISE.reference)
NUMBER, LETTER = questions()["start.where_the_work_is"], questions()["start.three_percent"]


@pytest.fixture
def noted(own_workspace):
    return lambda section, id: read(own_workspace)[section].get(id)


def stub(*arguments):
    raise NotImplementedError


def wrong(in_channels, out_channels, kernel_size, bias):
    return "<script>alert('no')</script>"


def interrupted(in_channels, out_channels, kernel_size, bias):
    raise KeyboardInterrupt


def test_a_lesson_opens_with_what_awaits_the_learner():
    for name, opened in lessons().items():
        card = lesson(name)
        assert opened.title in card.title and f"About {opened.minutes} minutes" in card.lines[0]
        assert f"{lesson_points(name)} points" in card.lines[0]


def test_a_lesson_in_colab_says_whether_progress_is_kept(monkeypatch):
    before = lesson("01_pruning")
    monkeypatch.delenv("NNOPT_WORKSPACE")
    assert lesson("01_pruning") == before
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    (*_, last) = lesson("01_pruning").lines
    assert last.startswith("Your progress ends with this Colab session")


@pytest.mark.parametrize("answer", [RIGHT, stub, wrong, interrupted, None, 3, lambda: 1, exit, print])
def test_check_answers_every_answer_with_a_card(answer):
    card = check(ID, answer)
    assert isinstance(card, Card)
    assert EXERCISE.title in card.title
    assert "<script>" not in card._repr_html_()
    assert (card.mood == "good") == (answer is RIGHT)


def test_a_pass_is_told_with_its_points_and_the_debrief(noted):
    card = check(ID, RIGHT)
    assert card.title == f"{EXERCISE.title}: passed (1 point)" and card.lines == (EXERCISE.debrief,)
    assert noted("exercises", ID) == {"passed": True, "points": 1, "attempts": 1}


def test_points_are_noted_once_and_a_pass_is_kept_after_a_failure(noted):
    check(ID, wrong)
    assert noted("exercises", ID) == {"passed": False, "points": 0, "attempts": 1}
    for answer in (RIGHT, RIGHT, wrong, None):
        check(ID, answer)
    assert noted("exercises", ID) == {"passed": True, "points": EXERCISE.points, "attempts": 5}


def test_a_blank_answer_is_no_attempt_and_an_interrupted_one_is_not_noted(noted):
    card = check(ID, stub)
    assert "not answered yet" in card.title and card.mood == "quiet"
    assert "Without buttons, run both cells again." in repr(card)
    assert re.search(r'<div class="nnopt-without-buttons"[^>]*>Without buttons', card._repr_html_())
    assert noted("exercises", ID) == {"passed": False, "points": 0, "attempts": 0}
    card = check(ID, interrupted)
    assert card.title == f"{EXERCISE.title}: interrupted" and card.mood == "quiet"
    assert noted("exercises", ID)["attempts"] == 0


def test_a_wrong_answer_shows_its_inputs_its_result_and_what_was_wanted():
    card = check(ID, lambda i, o, k, b: o * i * k**2 + 0.25)
    rows = dict(line for line in card.lines if isinstance(line, tuple))
    assert list(rows) == ["inputs", "your result", "expected"]
    assert all(f"{name}=" in rows["inputs"] for name in EXERCISE.arguments)
    assert str(eval(rows["inputs"], {EXERCISE.name: EXERCISE.reference})) == rows["expected"]
    assert f'`hint("{ID}")` helps.' in card.lines


def test_a_wrong_answer_keeps_its_points_in_sight_and_shows_the_two_results_once():
    def off_by(amount):
        return lambda *arguments: RIGHT(*arguments) + amount

    for amount in (3, 7_771, 12_345):
        card = check(ID, off_by(amount))
        rows = dict(line for line in card.lines if isinstance(line, tuple))
        got, wanted = rows["your result"], rows["expected"]
        assert card.title.endswith("not yet (0 of 1 point)")
        assert f"Expected {wanted}" not in card.lines[0] and got not in card.lines[0]
    check(ID, RIGHT)
    card = check(ID, lambda *arguments: -1)
    assert card.title.endswith("not yet; you keep your point")  # a pass, once earned, is kept


@pytest.mark.parametrize("mistake, is_told", [("Keep axes [0, 2].", True), ("Two differ; the first at [0, 1].", False)])
def test_the_first_place_is_told_unless_the_sentence_says_it(mistake, is_told):
    verdict = Verdict("failed", mistake, got="[[1, ✗1]]", wanted="[[1, ✓2]]", place="[0, 1] of result 2")
    assert ("the first is at [0, 1]" in str(calls._results(verdict))) == is_told


def test_what_an_answer_holds_is_text_in_the_card():
    def raising(i, o, k, b):
        raise ValueError("<b onclick='x()'>")

    for card in (check(ID, wrong), check(ID, raising), check("<i>", wrong), question("<i>"), lesson("<i>")):
        html = card._repr_html_()
        assert not any(tag in html for tag in ("<script", "<b ", "<i>"))


BORROWED = [
    lambda *arguments: EXERCISE.reference(*arguments),
    functools.wraps(EXERCISE.reference)(lambda *arguments: EXERCISE.reference(*arguments)),
    lambda i, o, k, b: yours_or_ours(ID)(i, o, k, b),
]


@pytest.mark.parametrize("answer", [EXERCISE.reference, functools.partial(EXERCISE.reference), *BORROWED])
def test_the_librarys_function_earns_nothing_whatever_leads_to_it(answer, noted):
    card = check(ID, answer)
    assert card.mood == "quiet" and "passed" not in card.title and "library's" in card.lines[0]
    assert EXERCISE.debrief not in card.lines
    assert noted("exercises", ID) == {"passed": False, "points": 0, "attempts": int(answer in BORROWED)}
    assert yours_or_ours(ID) is EXERCISE.reference
    check(ID, RIGHT)
    check(ID, answer)
    assert noted("exercises", ID)["passed"]


def test_a_blank_exercise_stays_blank_when_the_check_runs_again_after_its_name_was_given_away(noted):
    levels = stub
    for _ in range(3):
        assert "not answered yet" in check(ID, levels).title
        levels = yours_or_ours(ID)
    assert noted("exercises", ID) == {"passed": False, "points": 0, "attempts": 0}
    check(ID, RIGHT)
    levels = yours_or_ours(ID)
    assert check(ID, levels).mood == "good" and yours_or_ours(ID) is RIGHT


def test_another_function_of_the_library_is_the_librarys_too():
    card = check("pruning.l1_importance", importance)
    assert card.mood == "quiet" and "`importance` is the library's own function" in card.lines[0]
    card = check("pruning.l1_importance", lambda weight: importance(weight, norm=1, per="filter"))
    assert card.mood == "quiet" and "calls the library's `importance`" in card.lines[0]


def test_a_wrong_function_that_calls_the_librarys_is_told_what_is_wrong():
    assert "one too large" in check(ID, lambda *arguments: EXERCISE.reference(*arguments) + 1).lines[0]


def test_what_an_answer_prints_is_shown_once_and_for_the_inputs_of_the_card(capsys):
    def talking(in_channels, out_channels, kernel_size, bias):
        print("bias", bias)
        return RIGHT(in_channels, out_channels, kernel_size, bias or wrong)

    wrong = False
    assert check(ID, talking).mood == "good" and capsys.readouterr().out.count("bias") == 1
    wrong = True
    shown = dict(line for line in check(ID, talking).lines if isinstance(line, tuple))
    assert capsys.readouterr().out == "bias False\n" and "bias=False" in shown["inputs"]


def test_yours_counts_only_while_its_last_check_passed():
    assert yours_or_ours(ID) is EXERCISE.reference
    check(ID, stub)
    assert yours_or_ours(ID) is EXERCISE.reference
    check(ID, EXERCISE.wrong_answers[0].function)
    assert yours_or_ours(ID) is EXERCISE.reference

    check(ID, RIGHT)
    assert yours_or_ours(ID) is RIGHT
    check(ID, interrupted)
    assert yours_or_ours(ID) is RIGHT
    check(ID, wrong)
    assert yours_or_ours(ID) is EXERCISE.reference


def test_a_note_says_why_the_lesson_uses_the_librarys_unless_the_card_above_says_it(capsys):
    def told() -> str:
        yours_or_ours(ID)
        return capsys.readouterr().out

    assert "yours has not passed its check" in told(), "its check has not run"
    check(ID, stub)
    assert not told()
    check(ID, wrong)
    assert "yours has not passed its check" in told()
    check(ID, RIGHT)
    assert not told()
    check(ID, wrong)
    assert "your present version has not passed its check" in told()


def test_a_pass_after_the_librarys_function_was_used_puts_yours_in_its_place_and_says_so(monkeypatch):
    notebook_shell = SimpleNamespace(user_ns={})
    monkeypatch.setattr(calls, "shell", lambda: notebook_shell)
    check(ID, RIGHT)
    assert not notebook_shell.user_ns, "no lesson's cell has run that uses it"
    check(ID, stub)
    notebook_shell.user_ns[EXERCISE.name] = yours_or_ours(ID)
    passed = check(ID, RIGHT)
    assert (
        passed.lines[1] == f"From here on, `{EXERCISE.name}` is yours." and "until their cells run" in passed.lines[2]
    )
    assert notebook_shell.user_ns == {EXERCISE.name: RIGHT}
    assert check(ID, RIGHT).lines == passed.lines, "what was computed below is still the library's"
    assert yours_or_ours(ID) is RIGHT
    assert check(ID, RIGHT).lines == (EXERCISE.debrief,)


@pytest.mark.parametrize("id", ["start.conv_parameter", "conv_parameters", "nothing.like.it", "", None, 3, [ID], {}])
def test_an_unknown_id_gets_a_card_that_helps(id, own_workspace):
    for card in (check(id, EXERCISE.reference), hint(id), question(id, 1), lesson(id)):
        assert card.mood == "bad" and card.title.startswith("There is no ")
        assert card.lines[0].startswith(("Did you mean", "These exist:"))
    assert not any(read(own_workspace).values())
    with pytest.raises(ValueError, match="There is no exercise"):
        yours_or_ours(id)


def test_a_slip_of_the_pen_is_met_with_the_right_name():
    assert hint("start.conv_parameter").lines == ("Did you mean 'start.conv_parameters'?",)
    assert lesson("01_prunning").lines == ("Did you mean '01_pruning'?",)
    assert question("start.three_percents").lines == ("Did you mean 'start.three_percent'?",)
    assert "start.conv_parameters" in check(EXERCISE.reference, ID).lines[0]


def test_hints_come_in_order_with_those_before_and_stay_at_the_third(noted):
    cards = [hint(ID) for _ in range(5)]  # the record knows, so that a new kernel goes on
    assert [card.title[:11] for card in cards] == [f"Hint {n} of 3" for n in (1, 2, 3, 3, 3)]
    assert [card.lines[0] for card in cards] == [EXERCISE.hints[n] for n in (0, 1, 2, 2, 2)]
    assert [len(card.folds) for card in cards] == [0, 1, 2, 2, 2]
    assert cards[2].folds == tuple((f"Hint {n + 1} of 3", EXERCISE.hints[n]) for n in (0, 1))
    assert noted("hints", ID) == 3


def test_a_hint_says_what_it_costs_and_that_questions_have_none(own_workspace):
    assert "cost no points" in hint(ID).lines[1]
    for asked, kind in ((NUMBER, "a number"), (LETTER, "a letter")):
        card = hint(asked.id)
        assert card.title == "Questions have no hints." and kind in card.lines[0]
    assert read(own_workspace)["hints"] == {ID: 1}


def test_a_question_is_shown_until_it_is_answered(noted):
    for asked in (NUMBER, LETTER):
        card = question(asked.id)
        assert card.title == "Question, not answered yet" and card.lines[0] == asked.text
        assert all(any(choice in line for line in card.lines) for choice in asked.choices.values())
        assert noted("questions", asked.id) is None


@pytest.mark.parametrize("answer", [13.9, 13.4, 14.4, "13.9", " 13.9 ", torch.tensor(13.9), torch.tensor([14.0])])
def test_a_number_within_the_tolerance_is_right(answer, noted):
    card = question(NUMBER.id, answer)
    assert card.mood == "good" and "(1 point)" in card.title and NUMBER.explanation in card.lines
    assert noted("questions", NUMBER.id) == {"passed": True, "points": 1, "attempts": 1}


@pytest.mark.parametrize("answer", ["c", "C", " c "])
def test_the_right_letter_is_right_in_either_case(answer):
    assert question(LETTER.id, answer).mood == "good"


def test_a_wrong_letter_is_told_why_below_the_text_of_its_choice():
    again = "Try again; it costs no points."
    assert question(LETTER.id, "A").lines == (f"a)  {LETTER.choices['a']}", LETTER.comments["a"], again)


def test_no_wrong_letter_shows_the_explanation_however_often_it_is_chosen():
    for asked in (asked for asked in questions().values() if asked.choices):
        for letter in set(asked.choices) - {str(asked.answer).lower()}:
            for _ in range(3):
                card = question(asked.id, letter)
                if card.mood == "bad":
                    assert asked.explanation not in card.lines and card.lines[-1] == "Try again; it costs no points."


def test_a_wrong_number_gets_a_comment_and_a_second_different_one_the_explanation(noted):
    for answer in (1390, 1390.0, "1390", math.nan, math.inf, 1390.2):
        card = question(NUMBER.id, answer)
        assert card.title.startswith("Wrong: ") and NUMBER.explanation not in card.lines
        assert not any(str(NUMBER.answer) in line for line in card.lines)
    assert "100 times too large" in question(NUMBER.id, 1390).lines[0]
    for answer in (-13.9, 1390):
        card = question(NUMBER.id, answer)
        assert card.title.startswith("Wrong: ") and card.lines[-1] == NUMBER.explanation
    assert noted("questions", NUMBER.id) == {"passed": False, "points": 0, "attempts": 9}
    question(NUMBER.id, 13.9)
    assert "You keep your point." in question(NUMBER.id, 1).lines
    assert noted("questions", NUMBER.id)["passed"]


def test_an_answer_of_the_wrong_kind_is_no_attempt(noted):
    for answer in ("13,9", "many", [13.9], {}, 1j, abs, torch.ones(2), pow(10, 400), pow(10, 5000)):
        card = question(NUMBER.id, answer)
        assert card.mood == "bad" and "The answer must be a number" in card.title
    for answer in ("d", "", 1, ["c"], "the third", abs):
        assert "The answer must be a letter: a, b, c" in question(LETTER.id, answer).title
    assert noted("questions", NUMBER.id) is None and noted("questions", LETTER.id) is None


@given(st.none() | st.text() | st.floats() | st.integers() | st.lists(st.integers()) | st.binary())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_a_learner_can_pass_raises(value):
    assert isinstance(check(ID, value), Card)
    assert isinstance(check(ID, lambda i, o, k, b: value), Card)
    for asked in (NUMBER, LETTER):
        card = question(asked.id, value)
        assert repr(card) and card._repr_html_()


def test_a_lesson_that_there_is_not_leaves_the_open_one_open(own_workspace):
    lesson("01_pruning")
    lesson("99_nowhere")
    claim("here", True)
    assert list(read(own_workspace)["claims"]) == ["01_pruning"]
