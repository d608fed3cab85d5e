"""Short names of mistakes: they tell a teacher which mistake was made, and nothing that the learner wrote.

A name is made from the course's own declarations, so that `sentence` finds the text again on another machine. Code,
values and messages of errors are never part of it.
"""

import builtins
import hashlib

from nnopt_lab.course.checking import Verdict
from nnopt_lab.course.exercises import Exercise, Question, exercises, questions

LONGEST = 48  # characters of a name
UNNAMED = "other"
_STATES = {
    UNNAMED: "Another mistake, which the exercise does not name.",
    "raised": "The function raised an error.",
    "unusable": "Not a function, or one with other arguments.",
    "borrowed": "The function calls the library's own solution.",
}


def of_verdict(exercise: Exercise, verdict: Verdict) -> str:
    """The name of the mistake in an answer, "" if the verdict is about none: a pass or a blank answer."""
    if verdict.state == "failed":
        if verdict.wrong_answer is None:
            return UNNAMED
        return _declared(exercise.wrong_answers[verdict.wrong_answer].sentence)
    if verdict.state == "raised" and _is_pythons(verdict.error):
        return f"raised-{verdict.error}"
    return verdict.state if verdict.state in _STATES else ""


def of_answer(question: Question, answer) -> str:
    """The name of a wrong answer of the allowed kind: its letter, or the comment on the number.

    Args:
        question: as the answer opens it, if it is sealed.
        answer: a letter or a number.
    """
    if question.choices:
        return f"choice-{question.letter(answer)}"
    return _comment(question.comment_on(answer))


def canonical(id: str, name: str) -> str | None:
    """A name that this course knows: the given one, or the one that stands for all others; None if it is no name."""
    if sentence(id, name) is None and id in questions() and name.startswith("comment-"):
        return canonical(id, UNNAMED)  # the comment on a number that the question does not list
    return name if sentence(id, name) is not None else None


def sentence(id: str, name: str) -> str | None:
    """The text of a mistake in an exercise or a question; None if this course has no such mistake."""
    if id in questions():
        return _of_question(questions()[id], name)
    if id not in exercises():
        return None
    error = name.removeprefix("raised-")
    if error != name:
        return f"The function raised a {error}." if _is_pythons(error) else None
    declared = {_declared(wrong.sentence): wrong.sentence for wrong in exercises()[id].wrong_answers}
    return (_STATES | declared).get(name)


def _of_question(question: Question, name: str) -> str | None:
    if question.choices:
        return {f"choice-{letter}": f"{letter}) {text}" for letter, text in question.choices.items()}.get(name)
    if name == UNNAMED:
        return "Another number."
    return {_comment(text): f"{number:g}: {text}" for number, text in question.comments.items()}.get(name)


def _declared(sentence: str) -> str:
    # Not its index: with another version of the course, that would be another mistake.
    return f"wrong-{_digest(sentence)}"


def _comment(text: str) -> str:
    return f"comment-{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _is_pythons(error: str) -> bool:
    """Whether an error's class is one of Python's own; the names of others are the learner's."""
    found = getattr(builtins, error, None) if error else None
    return isinstance(found, type) and issubclass(found, BaseException)
