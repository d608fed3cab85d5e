"""Every declared exercise: the lesson's own answer passes, its stub doesn't, and each wrong answer gets its sentence.

The tests run exercise by exercise, on inputs that are drawn once; what a function gives for them is computed once.
"""

import re

import pytest
import torch
from hypothesis import settings

from nnopt_lab.course import checking
from nnopt_lab.course.cards import inline
from nnopt_lab.course.checking import CASES, examine
from nnopt_lab.course.exercises import exercises, lesson_points, questions
from nnopt_lab.course.lesson import lessons
from tests.lessons.cells import solved_answer

EXERCISES = exercises()
# A sentence that misses one batch in eight is found out with a probability of 80 %; in the profile "explore", where
# hypothesis draws more examples, too, in practice always.
BATCHES = 12 if settings.default.max_examples < 100 else 96
# In a text without its `code`: names, calls, subscripts, arguments and Python's constants.
BARE_CODE = re.compile(
    r"[A-Za-z]_\w|[A-Za-z]\w*\[|\b[a-z]\w+\(\S|[A-Za-z]\.[a-z]+[\w.]*\(|\b[a-z]\w*=\w|\b(?:True|False|None)\b"
)
FINISHED = [name for name, lesson in lessons().items() if not lesson.draft]


@pytest.fixture(scope="module", params=EXERCISES)
def exercise(request):
    return EXERCISES[request.param]


@pytest.fixture(scope="module")
def batches(exercise):
    drawn = [exercise.generate(torch.Generator().manual_seed(seed)) for seed in range(BATCHES * CASES)]
    return [drawn[i : i + CASES] for i in range(0, len(drawn), CASES)]


@pytest.fixture(scope="module")
def called_once(batches):
    """Outcomes are kept by function and inputs, since each wrong answer is compared with the others on the same ones.

    The texts for a card, a quarter of the time, are left out.
    """
    call, kept, ours = checking.call, {}, {id(inputs) for cases in batches for inputs in cases}

    def call_once(exercise, function, inputs):
        if id(inputs) not in ours:
            return call(exercise, function, inputs)
        if (function, id(inputs)) not in kept:
            kept[function, id(inputs)] = call(exercise, function, inputs)
        return kept[function, id(inputs)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checking, "call", call_once)
        patch.setattr(checking, "show", lambda *_: "")
        yield


def spoken_texts():
    """Every hint, and every comment on a wrong answer, with the id of its exercise or question."""
    for exercise in EXERCISES.values():
        sentences = (*exercise.hints, *(each.sentence for each in (*exercise.wrong_answers, *exercise.properties)))
        yield from ((exercise.id, text) for text in sentences)
    for question in questions().values():
        yield from ((question.id, text) for text in question.comments.values())


def test_names_and_code_in_hints_and_comments_stand_in_backticks():
    assert [(id, text) for id, text in spoken_texts() if BARE_CODE.search(re.sub("`[^`]*`", "", text))] == []


@pytest.mark.parametrize(
    "text",
    ["Divide by batch_size.", "Take top[i].", "Use abs(x).", "Use torch.cat(x).", "With bias=True.", "Return None."],
)
def test_bare_code_is_found(text):
    assert BARE_CODE.search(text)


def test_code_in_hints_and_comments_is_whole():
    for id, text in spoken_texts():
        pieces = text.split("`")
        assert len(pieces) % 2 == 1 and all(piece == piece.strip() != "" for piece in pieces[1::2]), (id, text)
        assert inline(text).count("<code>") == len(pieces) // 2, (id, text)


def outcomes(exercise, function, cases):
    found = [checking.call(exercise, function, inputs) for inputs in cases]
    assert not any(outcome.error for outcome in found), found
    return found


def test_the_answer_of_the_solved_cell_passes(exercise, batches, called_once):
    answer = solved_answer(exercise)
    for cases in batches:
        verdict = checking.compare(exercise, cases, outcomes(exercise, answer, cases))
        assert verdict.passed, verdict.mistake
        assert not any(outcome.changed for outcome in outcomes(exercise, exercise.reference, cases))


def test_an_untouched_stub_is_blank(exercise):
    def stub(*arguments):
        raise NotImplementedError

    assert examine(exercise, stub).state == "blank"


def test_each_wrong_answer_gets_its_own_sentence_whatever_the_inputs(exercise, batches, called_once):
    for wrong in exercise.wrong_answers:
        for cases in batches:
            verdict = checking.compare(exercise, cases, outcomes(exercise, wrong.function, cases))
            assert (verdict.state, verdict.mistake) == ("failed", wrong.sentence)


def test_no_constant_and_no_echo_passes(exercise, batches):
    first = exercise.reference(*batches[0][0])
    assert not examine(exercise, lambda *arguments: first).passed
    assert not examine(exercise, lambda *arguments: arguments[0]).passed


def test_sentences_are_different_and_hints_are_three(exercise):
    assert len({w.sentence for w in exercise.wrong_answers}) == len(exercise.wrong_answers) >= 3
    assert len(set(exercise.hints)) == 3
    assert exercise.debrief


def test_inputs_and_results_can_cross_a_process_border_as_plain_data(exercise, batches):
    inputs = batches[0][0]
    assert _plain(list(inputs)) and _plain(exercise.reference(*inputs))


def _plain(value) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_plain(v) for v in value)
    return type(value) in (int, float, bool, str, torch.Tensor)


@pytest.mark.parametrize("lesson", FINISHED)
def test_a_finished_lesson_has_at_least_four_exercises_and_two_questions(lesson):
    assert len(exercises(lesson)) >= 4
    assert len(questions(lesson)) >= 2
    assert lesson_points(lesson) > 0
