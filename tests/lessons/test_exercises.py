"""Every declared exercise: its reference passes, its stub doesn't, and each wrong answer is met by its own sentence."""

import pytest
import torch

from nnopt_lab.course import checking
from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import Exercise, Question, WrongAnswer, declare, exercises, lesson_points, questions
from nnopt_lab.course.lesson import lessons

EXERCISES = exercises()
BATCHES = 24  # a sentence that misses one batch in eight is found out with a probability of 96 %
FINISHED = [name for name, lesson in lessons().items() if not lesson.draft]


@pytest.mark.parametrize("id", EXERCISES)
def test_the_reference_passes_with_1000_seeds(id):
    exercise = EXERCISES[id]
    assert examine(exercise, exercise.reference, seeds=range(1000)).passed


@pytest.mark.parametrize("id", EXERCISES)
def test_an_untouched_stub_is_blank(id):
    def stub(*arguments):
        raise NotImplementedError

    assert examine(EXERCISES[id], stub).state == "blank"


@pytest.fixture
def called_once(monkeypatch):
    """An outcome is kept by function and inputs: each of an exercise's wrong answers is held against all the others."""
    call, kept = checking.call, {}

    def remembered(exercise, function, inputs):
        key = function, id(inputs)
        if key not in kept:
            kept[key] = inputs, call(exercise, function, inputs)  # with the inputs, so that no others have their id
        return kept[key][1]

    monkeypatch.setattr(checking, "call", remembered)


@pytest.mark.parametrize("id", EXERCISES)
def test_each_wrong_answer_gets_its_own_sentence_whatever_the_inputs(id, called_once):
    exercise = EXERCISES[id]
    drawn = [exercise.generate(torch.Generator().manual_seed(seed)) for seed in range(BATCHES * checking.CASES)]
    batches = [drawn[i : i + checking.CASES] for i in range(0, len(drawn), checking.CASES)]
    for wrong in exercise.wrong_answers:
        for cases in batches:
            outcomes = [checking.call(exercise, wrong.function, inputs) for inputs in cases]
            assert not any(outcome.error for outcome in outcomes), wrong.sentence
            verdict = checking.compare(exercise, cases, outcomes)
            assert (verdict.state, verdict.mistake) == ("failed", wrong.sentence)


@pytest.mark.parametrize("id", EXERCISES)
def test_no_constant_and_no_echo_passes(id):
    exercise = EXERCISES[id]
    first = exercise.reference(*exercise.generate(torch.Generator().manual_seed(1)))
    assert not examine(exercise, lambda *arguments: first).passed
    assert not examine(exercise, lambda *arguments: arguments[0]).passed


@pytest.mark.parametrize("id", EXERCISES)
def test_sentences_are_different_and_hints_are_three(id):
    exercise = EXERCISES[id]
    assert len({w.sentence for w in exercise.wrong_answers}) == len(exercise.wrong_answers) >= 3
    assert len(set(exercise.hints)) == 3
    assert exercise.debrief


@pytest.mark.parametrize("id", EXERCISES)
def test_inputs_and_results_can_cross_a_process_border_as_plain_data(id):
    exercise = EXERCISES[id]
    inputs = exercise.generate(torch.Generator().manual_seed(0))
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


def _question(**changes):
    fields = {"id": "x.q", "lesson": "00_start_here", "points": 1, "text": "?", "answer": 1.0, "explanation": "!"}
    return Question(**(fields | changes))


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (_question(id="pruning.levels"), "declared twice"),
        (_question(lesson="99_nowhere"), "not a lesson"),
        (_question(points=6), "must be 1 to 5"),
        (_question(choices={"a": "A"}, answer="b"), "one of its choices"),
        (
            Exercise("x.e", "00_start_here", "t", 1, abs, None, ("1", "2"), (WrongAnswer(abs, "no"),) * 3, "d"),
            "three hints",
        ),
    ],
)
def test_a_bad_declaration_is_refused(item, sentence):
    with pytest.raises(ValueError, match=sentence):
        declare(item)
