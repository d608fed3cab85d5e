"""Names of mistakes: each leads back to the course's own sentence, and none contains what a learner wrote."""

import pytest

from nnopt_lab.course import mistakes
from nnopt_lab.course.checking import Verdict, examine
from nnopt_lab.course.exercises import exercises, questions
from nnopt_lab.course.seals import opened, sealed

EXERCISE = exercises()["pruning.l1_importance"]
CHOICES = [q for q in questions().values() if q.choices]
NUMBERS = [q for q in questions().values() if not q.choices and q.comments]


@pytest.mark.parametrize("id", exercises())
def test_every_declared_mistake_is_found_by_its_name(id):
    exercise, names = exercises()[id], set()
    for index, wrong in enumerate(exercise.wrong_answers):
        name = mistakes.of_verdict(exercise, Verdict("failed", wrong.sentence, index))
        assert mistakes.sentence(id, name) == wrong.sentence and len(name) <= mistakes.LONGEST
        names.add(name)
    assert len(names) == len(exercise.wrong_answers)


def test_a_wrong_letter_and_a_commented_number_are_named():
    for question in CHOICES:
        for letter in question.choices:
            name = mistakes.of_answer(question, f" {letter.upper()}) ")
            assert question.choices[letter] in mistakes.sentence(question.id, name)
    for question in NUMBERS:
        for number, comment in question.comments.items():
            name = mistakes.of_answer(question, number)
            assert comment in mistakes.sentence(question.id, name) and len(name) <= mistakes.LONGEST
        other = mistakes.of_answer(question, 1.23456789e30)
        assert "234" not in other and mistakes.canonical(question.id, other) == mistakes.UNNAMED
        assert mistakes.sentence(question.id, mistakes.UNNAMED) == "Another number."


@pytest.mark.parametrize("question", [CHOICES[0], NUMBERS[0]], ids=lambda question: question.id)
def test_a_sealed_question_names_the_same_mistakes(question):
    closed = sealed(question, "salt")
    for given in question.choices or (*question.comments, 1.23456789e30):
        if given != question.answer:
            name, same = (mistakes.of_answer(one, given) for one in (opened(closed, given), question))
            assert mistakes.canonical(question.id, name) == mistakes.canonical(question.id, same) is not None


class SecretError(Exception):
    pass


def raise_secret(weight):
    raise SecretError("secret")


def raise_python(weight):
    secret = weight
    raise TypeError(f"secret {secret}")


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (lambda weight: weight.abs().sum((1, 2, 3)) + 123.4, "other"),
        (raise_secret, "raised"),
        (raise_python, "raised-TypeError"),
        (lambda secret, other: 1, "unusable"),
        (EXERCISE.reference, ""),  # the library's own function, which is no answer
        (lambda weight: EXERCISE.reference(weight), "borrowed"),
        (lambda weight: weight.abs().sum((1, 2, 3)), ""),
    ],
)
def test_other_mistakes_have_names_without_anything_of_the_learners(answer, name):
    verdict = examine(EXERCISE, answer, own=True)
    assert mistakes.of_verdict(EXERCISE, verdict) == name
    if name:
        said = mistakes.sentence(EXERCISE.id, name)
        assert said and "secret" not in said.lower() and "123" not in said


def test_a_blank_answer_is_no_mistake():
    def blank(weight):
        raise NotImplementedError

    assert mistakes.of_verdict(EXERCISE, examine(EXERCISE, blank)) == ""


@pytest.mark.parametrize(
    ("id", "name"),
    [
        (EXERCISE.id, "wrong-000000000000"),
        (EXERCISE.id, ""),
        (EXERCISE.id, "raised-<b>"),
        (EXERCISE.id, "raised-print"),
        (EXERCISE.id, "raised-raised"),
        (EXERCISE.id, "raised-"),
        (EXERCISE.id, "choice-a"),
        (CHOICES[0].id, "other"),
        (CHOICES[0].id, "choice-zzz"),
        (CHOICES[0].id, "comment-0"),
        (NUMBERS[0].id, "number-12345.6"),
        ("no.such", "other"),
        ("no.such", "comment-0"),
    ],
)
def test_what_the_course_does_not_know_has_no_sentence(id, name):
    assert mistakes.sentence(id, name) is None and mistakes.canonical(id, name) is None
