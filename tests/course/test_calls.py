"""What a lesson calls: a card for every mistake, and the library's version until an answer has passed."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnopt_lab.course import calls, session
from nnopt_lab.course.calls import check, claim, hint, lesson, question, yours_or_ours
from nnopt_lab.course.cards import Card
from nnopt_lab.course.exercises import exercises, lesson_points, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.record import read

ID = "start.conv_parameters"
EXERCISE = exercises()[ID]
NUMBER, LETTER = questions()["start.where_the_work_is"], questions()["start.three_percent"]


@pytest.fixture(autouse=True)
def a_new_kernel(monkeypatch):
    monkeypatch.setattr(calls, "_accepted", {})
    monkeypatch.setattr(session, "_lesson", "00_start_here")


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


@pytest.mark.parametrize("answer", [EXERCISE.reference, stub, wrong, interrupted, None, 3, lambda: 1, exit, print])
def test_check_answers_every_answer_with_a_card(answer):
    card = check(ID, answer)
    assert isinstance(card, Card)
    assert EXERCISE.title in card.title
    assert "<script>" not in card._repr_html_()
    assert (card.mood == "good") == (answer is EXERCISE.reference)


def test_a_pass_is_told_with_its_points_and_the_debrief(noted):
    card = check(ID, EXERCISE.reference)
    assert card.title == f"{EXERCISE.title}: passed (1 point)" and card.lines == (EXERCISE.debrief,)
    assert noted("exercises", ID) == {"passed": True, "points": 1, "attempts": 1}


def test_points_are_noted_once_and_a_pass_is_kept_after_a_failure(noted):
    check(ID, wrong)
    assert noted("exercises", ID) == {"passed": False, "points": 0, "attempts": 1}
    for answer in (EXERCISE.reference, EXERCISE.reference, wrong, None):
        check(ID, answer)
    assert noted("exercises", ID) == {"passed": True, "points": EXERCISE.points, "attempts": 5}


def test_a_blank_answer_is_no_attempt_and_an_interrupted_one_is_not_noted(noted):
    card = check(ID, stub)
    assert "not answered yet" in card.title and card.mood == "quiet"
    assert noted("exercises", ID) == {"passed": False, "points": 0, "attempts": 0}
    card = check(ID, interrupted)
    assert card.title == f"{EXERCISE.title}: interrupted" and card.mood == "quiet"
    assert noted("exercises", ID)["attempts"] == 0


def test_a_wrong_answer_shows_its_inputs_its_result_and_what_was_wanted():
    card = check(ID, lambda i, o, k, b: o * i * k**2 + 0.25)
    labels = [line[0] for line in card.lines if isinstance(line, tuple)]
    assert labels == [*(f"input {name}" for name in EXERCISE.arguments), "your result", "expected"]
    assert f'`hint("{ID}")` helps.' in card.lines


def test_what_an_answer_holds_is_text_in_the_card():
    def raising(i, o, k, b):
        raise ValueError("<b onclick='x()'>")

    for card in (check(ID, wrong), check(ID, raising), check("<i>", wrong), question("<i>"), lesson("<i>")):
        html = card._repr_html_()
        assert not any(tag in html for tag in ("<script", "<b ", "<i>"))


def test_yours_counts_only_while_its_last_check_passed():
    def mine(*arguments):
        return EXERCISE.reference(*arguments)

    assert yours_or_ours(ID) is EXERCISE.reference
    check(ID, stub)
    assert yours_or_ours(ID) is EXERCISE.reference
    check(ID, EXERCISE.wrong_answers[0].function)
    assert yours_or_ours(ID) is EXERCISE.reference

    answer = lambda i, o, k, b: mine(i, o, k, b)  # noqa: E731
    check(ID, answer)
    assert yours_or_ours(ID) is answer
    check(ID, interrupted)
    assert yours_or_ours(ID) is answer
    check(ID, wrong)
    assert yours_or_ours(ID) is EXERCISE.reference


@pytest.mark.parametrize("id", ["start.conv_parameter", "conv_parameters", "nothing.like.it", "", None, 3, [ID], {}])
def test_an_unknown_id_gets_a_card_that_helps(id, own_workspace):
    for card in (check(id, EXERCISE.reference), hint(id), question(id, 1), lesson(id)):
        assert card.mood == "bad" and card.title.startswith("There is no ")
        assert card.lines[0].startswith(("Did you mean", "There are:"))
    assert not any(read(own_workspace).values())
    with pytest.raises(ValueError, match="There is no exercise"):
        yours_or_ours(id)


def test_a_slip_of_the_pen_is_met_with_the_right_name():
    assert hint("start.conv_parameter").lines == ("Did you mean 'start.conv_parameters'?",)
    assert lesson("01_prunning").lines == ("Did you mean '01_pruning'?",)
    assert question("start.three_percents").lines == ("Did you mean 'start.three_percent'?",)
    assert "start.conv_parameters" in check(EXERCISE.reference, ID).lines[0]


def test_hints_come_in_order_and_begin_again(noted):
    cards = [hint(ID) for _ in range(5)]
    assert [card.title[:11] for card in cards] == [
        "Hint 1 of 3",
        "Hint 2 of 3",
        "Hint 3 of 3",
        "Hint 1 of 3",
        "Hint 2 of 3",
    ]
    assert [card.lines[0] for card in cards[:3]] == list(EXERCISE.hints)
    assert noted("hints", ID) == 5


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


def test_a_wrong_answer_is_told_why(noted):
    assert question(LETTER.id, "a").lines[-1] == LETTER.comments["a"]
    for answer in (12, -13.9, float("nan"), float("inf")):
        card = question(NUMBER.id, answer)
        assert card.title.startswith("Not so: ") and card.lines[-1] == NUMBER.explanation
    assert noted("questions", NUMBER.id) == {"passed": False, "points": 0, "attempts": 4}
    question(NUMBER.id, 13.9)
    question(NUMBER.id, 1)
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
