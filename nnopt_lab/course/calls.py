"""The functions that a lesson calls: check, hint, question, claim, and `yours_or_ours`.

Check, hint and question return a card and never raise an error for a learner's mistake.
"""

import difflib
import math
from pathlib import Path

from nnopt_lab.course import mistakes, record, session, share_log, start_page
from nnopt_lab.course.cards import Card
from nnopt_lab.course.cell_output import seen
from nnopt_lab.course.checking import Verdict, examine, judge_answer
from nnopt_lab.course.claims import claim
from nnopt_lab.course.display import show
from nnopt_lab.course.exercises import exercises, lesson_points, questions
from nnopt_lab.course.help import HINTS, HelpCard, take_hint
from nnopt_lab.course.kit import kit
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.premises import needs
from nnopt_lab.course.printing import translate_prints
from nnopt_lab.course.seals import opened
from nnopt_lab.course.solutions import other_solution
from nnopt_lab.course.workspace import where_progress_stays, workspace

__all__ = ["check", "claim", "hint", "lesson", "needs", "question", "yours_or_ours"]

_FREE = "Hints and further tries cost no points."
_UNANSWERED = ("blank", "library")
_accepted: dict[str, object] = {}
_wrong_numbers: dict[tuple[Path, str], list[float]] = {}  # different wrong answers, by workspace and question


@seen
def lesson(name: str) -> Card:
    """Open a lesson; claims and predictions from here on are recorded under its name."""
    if not _known(name, lessons()):
        close = difflib.get_close_matches(str(name), lessons(), 1)
        instead = (f"Did you mean {close[0]!r}?",) if close else ("These exist:", ("lessons", "\n".join(lessons())))
        return Card(f"There is no lesson {name!r}.", "bad", instead)
    session.enter(name)
    translate_prints()
    share_log.note(name)
    opened = lessons()[name]
    exercise_count, question_count = len(exercises(name)), len(questions(name))
    return Card(
        f"Lesson {name[:2]}{' (draft)' if opened.draft else ''}: {opened.title}",
        "neutral",
        (
            f"About {opened.minutes} minutes, {exercise_count} exercises and {question_count} questions, "
            f"{lesson_points(name)} points. Run the cells from top to bottom; they all work even if you leave "
            "exercises blank.",
            *([f"Due: {kit().due}."] if kit() and kit().due else []),
            *filter(None, [where_progress_stays()]),
        ),
    )


@seen
def check(id: str, answer) -> Card:
    """Check an answer on fresh random inputs; the card says whether it passed, or which mistake it looks like.

    Args:
        id: of the exercise, such as "pruning.l1_importance".
        answer: your function.
    """
    if not _known(id, exercises()):
        return Card(f"There is no exercise {id!r}.", "bad", (_did_you_mean(id, exercises()),))
    exercise = exercises()[id]
    try:
        verdict = examine(exercise, answer, own=True)
    except KeyboardInterrupt:
        return Card(
            f"{exercise.title}: interrupted", "quiet", ("Your function was still running when you stopped it.",)
        )
    if verdict.state != "library":  # a later cell bound the name to the library's function; this is no new answer
        _accepted.pop(id, None)
    if verdict.passed:
        _accepted[id] = answer
    answered = verdict.state not in _UNANSWERED
    record.note_attempt("exercises", id, verdict.passed, exercise.points, answered=answered)
    share_log.note(exercise.lesson, id if answered else "", mistakes.of_verdict(exercise, verdict))
    if verdict.passed:
        start_page.follow(workspace())
    return _passed_card(exercise, answer) if verdict.passed else _open_card(exercise, verdict)


def yours_or_ours(id: str):
    """Return your function if its last check passed, else the library's, so that lessons run with blank exercises.

    Raises:
        ValueError: there is no such exercise.
    """
    if not _known(id, exercises()):
        raise ValueError(f"There is no exercise {id!r}. {_did_you_mean(id, exercises())}")
    return _accepted.get(id, exercises()[id].reference)


@seen
def hint(id: str) -> Card:
    """Show the next of an exercise's three hints; after the third, start again with the first."""
    if _known(id, questions()):
        asked = f"Answer with {questions()[id].allowed}. A wrong answer gets a comment and costs no points."
        return Card("Questions have no hints.", "neutral", (asked,))
    if not _known(id, exercises()):
        return Card(f"There is no exercise {id!r}.", "bad", (_did_you_mean(id, exercises()),))
    exercise = exercises()[id]
    place = take_hint(id)
    return Card(f"Hint {place + 1} of {HINTS}: {exercise.title}", "neutral", (exercise.hints[place], _FREE))


@seen
def question(id: str, answer=None) -> Card:
    """Answer a question with a letter or a number; without an answer, the card shows the question."""
    if not _known(id, questions()):
        return Card(f"There is no question {id!r}.", "bad", (_did_you_mean(id, questions()),))
    asked = questions()[id]
    text = (asked.text, *(f"{letter})  {choice}" for letter, choice in asked.choices.items()))
    if answer is None:
        return Card("Question, not answered yet", "quiet", (*text, f"Answer with {asked.allowed}."))
    right = judge_answer(asked, answer)
    if right is None:
        return Card(f"The answer must be {asked.allowed}; {show(answer)} was given.", "bad", text)
    record.note_attempt("questions", id, right, asked.points)
    asked = opened(asked, asked.letter(answer) if asked.choices else answer)
    share_log.note(asked.lesson, id, "" if right else mistakes.of_answer(asked, answer))
    if right:
        start_page.follow(workspace())
        return Card(f"Right: {answer} ({_points(asked.points)})", "good", (*text, asked.explanation))
    return Card(f"Wrong: {answer}", "bad", (*text, asked.comment_on(answer), *_after_a_wrong_answer(asked, answer)))


def _after_a_wrong_answer(asked, answer) -> tuple[str, ...]:
    if asked.choices:
        return ()
    tries, given = _wrong_numbers.setdefault((workspace(), asked.id), []), float(answer)
    if math.isfinite(given) and all(abs(given - other) > max(asked.tolerance, 1e-6 * abs(other)) for other in tries):
        tries.append(given)
    if len(tries) < 2 or asked.seal is not None:
        again = "Try again; it costs no points."
        return (f"{again} A second, different wrong number shows the explanation." if asked.seal is None else again,)
    return (asked.explanation,)


def _passed_card(exercise, answer) -> Card:
    code = other_solution(exercise, answer)
    folds = (("The course's solution", ("", code)),) if code else ()
    return Card(f"{exercise.title}: passed ({_points(exercise.points)})", "good", (exercise.debrief,), folds)


def _open_card(exercise, verdict: Verdict) -> Card:
    shown = [(f"input {name}", text) for name, text in (verdict.inputs or {}).items()]
    if verdict.state == "failed":
        shown += [("your result", verdict.got), ("expected", verdict.wanted)]
    state, mood, lines = f"not answered yet ({_points(exercise.points)})", "quiet", []
    if verdict.state == "blank":
        lines = [f"Write `{exercise.name}` above and run both cells again."]
    elif verdict.state == "library":
        lines = [f"{verdict.mistake} Run the cell with your own `{exercise.name}` again, then this one."]
    elif verdict.state == "borrowed":
        state = "right, but not all your own code"
        again = "Write that part yourself; if it is an exercise, solve that one first and run its cells again."
        lines = [f"{verdict.mistake} {again}"]
    else:
        state, mood, lines = "not yet", "bad", [verdict.mistake, *shown]
    lines.append(f'`hint("{exercise.id}")` helps.')
    return HelpCard(f"{exercise.title}: {state}", mood, tuple(lines), exercise=exercise.id)


def _points(count: int) -> str:
    return f"{count} point{'s' if count != 1 else ''}"


def _known(name, names) -> bool:
    return isinstance(name, str) and name in names  # a list, for example, can't be looked up


def _did_you_mean(name, known) -> str:
    close = difflib.get_close_matches(str(name), known, 1)
    return f"Did you mean {close[0]!r}?" if close else f"These exist: {', '.join(known)}."
