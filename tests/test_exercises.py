"""Every declared exercise: its reference passes, its stub doesn't, and each wrong answer is met by its own sentence."""

import pytest
import torch

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import Exercise, Question, WrongAnswer, declare, exercises, lesson_points, questions

EXERCISES = exercises()
WRONG = [(id, i) for id, e in EXERCISES.items() for i in range(len(e.wrong_answers))]
LESSONS = sorted({e.lesson for e in EXERCISES.values()})


@pytest.mark.parametrize("id", EXERCISES)
def test_the_reference_passes_with_1000_seeds(id):
    exercise = EXERCISES[id]
    assert examine(exercise, exercise.reference, seeds=range(1000)).passed


@pytest.mark.parametrize("id", EXERCISES)
def test_an_untouched_stub_is_blank(id):
    def stub(*arguments):
        raise NotImplementedError

    assert examine(EXERCISES[id], stub).state == "blank"


@pytest.mark.parametrize(("id", "place"), WRONG)
def test_each_wrong_answer_gets_its_own_sentence_whatever_the_inputs(id, place):
    exercise = EXERCISES[id]
    for start in range(0, 40 * 16, 16):
        verdict = examine(exercise, exercise.wrong_answers[place].function, seeds=range(start, start + 16))
        assert verdict.state == "failed"
        assert verdict.mistake == exercise.wrong_answers[place].sentence


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


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_has_at_least_four_exercises_and_two_questions(lesson):
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
