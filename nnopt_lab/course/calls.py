"""The functions that a lesson calls: check, hint, question, claim, and `yours_or_ours`.

They never raise an error for a learner's mistake: check, hint and question return a card, or a box to answer in.
"""

import difflib
import math
from functools import partial
from pathlib import Path

from nnopt_lab.course import checking, mistakes, record, session, share_log, start_page
from nnopt_lab.course.cards import Card, Line, Renewing, without_buttons
from nnopt_lab.course.cell_output import seen, seen_at_once, shell
from nnopt_lab.course.checking import Verdict, examine, judge_answer, time_limit
from nnopt_lab.course.claims import claim
from nnopt_lab.course.differences import WRONG
from nnopt_lab.course.display import show
from nnopt_lab.course.exercises import Exercise, Question, exercises, questions
from nnopt_lab.course.failed_cells import failed_card
from nnopt_lab.course.following import follow_cells, stay
from nnopt_lab.course.help import HINTS, HelpCard, take_hint, titled_hint
from nnopt_lab.course.input_rows import input_rows
from nnopt_lab.course.kept import kept_lines, points_of
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.lesson_card import lesson_card
from nnopt_lab.course.notes import note
from nnopt_lab.course.own_lines import last_line
from nnopt_lab.course.patience import TooLong, patience
from nnopt_lab.course.premises import needs
from nnopt_lab.course.printing import translate_prints
from nnopt_lab.course.question_box import UnansweredCard, question_box
from nnopt_lab.course.seals import opened
from nnopt_lab.course.skipped_cells import load_ipython_extension
from nnopt_lab.course.solutions import other_solution
from nnopt_lab.course.workspace import speak_as_copies, workspace
from nnopt_lab.workbench.language import Message, _, counted, joined, spoken, translated, translated_sentences

__all__ = ["check", "claim", "hint", "lesson", "needs", "question", "yours_or_ours"]

_UNANSWERED = ("blank", "library")
_accepted: dict[str, object] = {}
_left_blank: set[str] = set()  # exercises that were blank at their last check
_mistakes: dict[str, str] = {}  # by exercise: the mistake that its last check named
_given_away: set[str] = set()  # exercises for which the lesson now uses the library's function
_wrong_numbers: dict[tuple[Path, str], list[float]] = {}  # different wrong answers, by workspace and question


@seen_at_once
def lesson(name: str) -> Card:
    """Open a lesson; claims and predictions from here on are recorded under its name."""
    if not _known(name, lessons()):
        close = difflib.get_close_matches(str(name), lessons(), 1)
        every = (_("These exist:"), (_("lessons"), "\n".join(lessons())))
        instead = (_("Did you mean {name}?", name=repr(close[0])),) if close else every
        return Card(_("There is no lesson {name}.", name=repr(name)), "bad", instead)
    session.enter(name)
    if shell() is not None:
        load_ipython_extension(shell())
        follow_cells()
    speak_as_copies(Path.cwd())
    translate_prints()
    share_log.note(name)
    return lesson_card(name, lessons()[name])


@seen
def check(id: str, answer) -> Card:
    """Check an answer on fresh random inputs; the card says whether it passed, or which mistake it looks like.

    Args:
        id: of the exercise, such as "pruning.l1_importance".
        answer: your function.
    """
    if not _known(id, exercises()):
        return _unknown(id)
    exercise = exercises()[id]
    if (failed := failed_card(exercise, _mistakes.get(id, ""))) is not None:
        return failed
    limit = time_limit(exercise)
    try:
        with patience(limit):
            verdict = examine(exercise, answer, own=True)
    except TooLong as stopped:
        return _endless_card(exercise, last_line(stopped, checking.__file__), limit)
    except KeyboardInterrupt:
        title = _("{exercise}: interrupted", exercise=translated(exercise.title))
        return Card(title, "quiet", (_("Your function was still running when you stopped it."),))
    if verdict.state != "library":  # a later cell bound the name to the library's function; this is no new answer
        (_left_blank.add if verdict.state == "blank" else _left_blank.discard)(id)
        _accepted.pop(id, None)
    if verdict.passed:
        _accepted[id] = answer
        _mistakes.pop(id, None)
    answered = verdict.state not in _UNANSWERED
    record.note_attempt("exercises", id, verdict.passed, exercise.points, answered=answered)
    share_log.note(exercise.lesson, id if answered else "", mistakes.of_verdict(exercise, verdict))
    start_page.follow(workspace(), exercise.lesson if answered else "")
    if verdict.passed:
        return _passed_card(exercise, answer)
    card = _open_card(exercise, verdict)
    if card.mood == "bad":
        _mistakes[id] = card.lines[0]
    return card


def yours_or_ours(id: str):
    """Return your function if its last check passed, else the library's, so that lessons run with blank exercises.

    A note tells when it is the library's, unless the card of a blank exercise stands above.

    Raises:
        ValueError: there is no such exercise.
    """
    if not _known(id, exercises()):
        raise ValueError(f"There is no exercise {id!r}. {_did_you_mean(id, exercises())}")
    if id in _accepted:
        if id in _given_away:
            _given_away.discard(id)
            stay()
        return _accepted[id]
    exercise = exercises()[id]
    _given_away.add(id)
    if id not in _left_blank:
        note(_library_instead(exercise))
    return exercise.reference


def _library_instead(exercise: Exercise) -> str:
    if points_of("exercises", exercise.id):
        return _(
            "From here on, `{name}` is the library's: your present version has not passed its check.",
            name=exercise.name,
        )
    return _("From here on, `{name}` is the library's: yours has not passed its check.", name=exercise.name)


@seen
def hint(id: str) -> Card:
    """Show the next of an exercise's three hints, and fold those before it; after the third, the third again."""
    if _known(id, questions()):
        allowed = _allowed(questions()[id])
        asked = _("Answer with {allowed}. A wrong answer gets a comment and costs no points.", allowed=allowed)
        return Card(_("Questions have no hints."), "neutral", (asked,))
    if not _known(id, exercises()):
        return _unknown(id)
    exercise, place = exercises()[id], take_hint(id)
    which = {"place": place + 1, "count": HINTS, "exercise": translated(exercise.title)}
    lines = (translated(exercise.hints[place]), _("Hints and further tries cost no points."))
    earlier = tuple(titled_hint(exercise, n) for n in range(place))
    return Card(_("Hint {place} of {count}: {exercise}", **which), "neutral", lines, earlier)


@seen
def question(id: str, answer=None):
    """Answer a question with a letter or a number.

    Returns:
        A card with the verdict. Without an answer, the question: in a notebook with buttons, or a field for a number,
        elsewhere as a card.
    """
    if not _known(id, questions()):
        lines = (_did_you_mean(id, questions()),)
        return Card(_("There is no question {id}.", id=repr(id)), "bad", lines)
    asked = questions()[id]
    if answer is not None:
        return _judged(asked, answer)
    choices = (f"{letter})  {translated(choice)}" for letter, choice in asked.choices.items())
    lines = (translated(asked.text), *choices, _("Answer with {allowed}.", allowed=_allowed(asked)))
    card = UnansweredCard(_("Question, not answered yet"), "quiet", lines)
    return question_box(asked, card, partial(_judged, asked)) if hasattr(shell(), "kernel") else card


def _judged(asked: Question, answer) -> Card:
    right = judge_answer(asked, answer)
    if right is None:
        refused = _("The answer must be {allowed}; {answer} was given.", allowed=_allowed(asked), answer=show(answer))
        return Card(refused, "bad")
    record.note_attempt("questions", asked.id, right, asked.points)
    asked = opened(asked, asked.letter(answer) if asked.choices else answer)
    share_log.note(asked.lesson, asked.id, "" if right else mistakes.of_answer(asked, answer))
    start_page.follow(workspace(), asked.lesson)
    if right:
        title = _("Right: {answer} ({points})", answer=answer, points=_points(asked.points))
        return Card(title, "good", (translated(asked.explanation),))
    comment = translated_sentences(asked.comment_on(answer))
    lines = (
        *_chosen(asked, answer),
        comment,
        *kept_lines("questions", asked.id),
        *_after_a_wrong_answer(asked, answer),
    )
    return Card(_("Wrong: {answer}", answer=answer), "bad", lines)


def _chosen(asked: Question, answer) -> tuple[str, ...]:
    """The text of a choice, which may be out of sight by the time its comment is read."""
    return (f"{asked.letter(answer)})  {translated(asked.choices[asked.letter(answer)])}",) if asked.choices else ()


def _after_a_wrong_answer(asked, answer) -> tuple[str, ...]:
    if asked.choices:
        return (_("Try again; it costs no points."),)
    tries, given = _wrong_numbers.setdefault((workspace(), asked.id), []), float(answer)
    if math.isfinite(given) and all(abs(given - other) > max(asked.tolerance, 1e-6 * abs(other)) for other in tries):
        tries.append(given)
    if asked.seal is not None:
        return (_("Try again; it costs no points."),)
    if len(tries) < 2:
        return (_("Try again; it costs no points. A second, different wrong number shows the explanation."),)
    return (translated(asked.explanation),)


def _passed_card(exercise, answer) -> Card:
    code = other_solution(exercise, answer)
    folds = ((_("The course's solution"), ("", code)),) if code else ()
    which = {"exercise": translated(exercise.title), "points": _points(exercise.points)}
    lines = (translated(exercise.debrief), *_taken_back(exercise, answer))
    return Card(_("{exercise}: passed ({points})", **which), "good", lines, folds)


def _taken_back(exercise: Exercise, answer) -> tuple[str, ...]:
    """Let the lesson use an answer that passed after the library's function took its place, and say so."""
    if exercise.id not in _given_away:
        return ()
    if shell() is not None:
        shell().user_ns[exercise.name] = answer
    older = _("Results below come from the library's function until their cells run again.")
    return (_("From here on, `{name}` is yours.", name=exercise.name), Renewing(older, exercise.name))


def _endless_card(exercise: Exercise, at: tuple[int, str] | None, seconds: float) -> Card:
    title = _("{exercise}: stopped after {seconds} s", exercise=translated(exercise.title), seconds=round(seconds))
    if at is None:
        told = _("Your function was still running. Probably a loop never ends.")
    else:
        told = _(
            "Your line {number}, `{line}`, was still running. Probably a loop never ends.", number=at[0], line=at[1]
        )
    lines = (told, _("This did not count as a try."), _('`hint("{id}")` helps.', id=exercise.id))
    return HelpCard(title, "bad", lines, exercise=exercise.id)


def _open_card(exercise, verdict: Verdict) -> Card:
    shown, folds = input_rows({name: spoken(text) for name, text in (verdict.inputs or {}).items()}, verdict.call)
    if verdict.state == "failed":
        shown += _results(verdict)
    which = {"exercise": translated(exercise.title), "points": _points(exercise.points)}
    title, mood = _("{exercise}: not answered yet ({points})", **which), "quiet"
    name = exercise.name
    if verdict.state == "blank":
        lines = [_("Write `{name}` above and press *Check*.", name=name), without_buttons()]
    elif verdict.state == "library":
        again = Message("Press *Check* under your own `{name}`.", name=name)
        lines = [translated(joined(verdict.mistake, again)), without_buttons()]
    elif verdict.state == "borrowed":
        title = _("{exercise}: right, but not all your own code", **which)
        again = Message("Write that part yourself; if it is an exercise, solve that one first and run its cells again.")
        lines = [translated(joined(verdict.mistake, again))]
    else:
        title, mood = _not_yet(points_of("exercises", exercise.id), which), "bad"
        lines = [_without_repetition(verdict), *shown]
    lines.append(_('`hint("{id}")` helps.', id=exercise.id))
    return HelpCard(title, mood, tuple(lines), folds, exercise=exercise.id)


def _results(verdict: Verdict) -> list[Line]:
    got, wanted = spoken(verdict.got), spoken(verdict.wanted)
    if verdict.summary:
        return [(spoken(verdict.summary), got)]
    if got == wanted:  # as where only an input was changed
        return []
    results = [(_("your result"), got), (_("expected"), wanted)]
    if WRONG in got and verdict.place.partition(" of ")[0] not in verdict.mistake:
        results.append(_("✗ and ✓ mark the values that differ; the first is at {place}.", place=spoken(verdict.place)))
    return results


def _not_yet(earned: int, which: dict[str, str]) -> str:
    if not earned:
        return _("{exercise}: not yet ({earned} of {points})", earned=earned, **which)
    return counted(
        earned,
        "{exercise}: not yet; you keep your point",
        "{exercise}: not yet; you keep your {count} points",
        exercise=which["exercise"],
    )


def _without_repetition(verdict: Verdict) -> str:
    """The mistake in the language in use, without what the card's rows say."""
    mistake = verdict.mistake
    if mistake == verdict.repeated:
        return _("The result is wrong for these inputs.")
    return translated_sentences(mistake.without_end(verdict.repeated) if isinstance(mistake, Message) else mistake)


def _points(count: int) -> str:
    return counted(count, "{count} point", "{count} points")


def _allowed(question) -> str:
    """The kind of answer that a question takes, in words."""
    if question.choices:
        return _("a letter: {letters}", letters=_(", ").join(question.choices))
    return _("a number")


def _unknown(id) -> Card:
    return Card(_("There is no exercise {id}.", id=repr(id)), "bad", (_did_you_mean(id, exercises()),))


def _known(name, names) -> bool:
    return isinstance(name, str) and name in names  # a list, for example, can't be looked up


def _did_you_mean(name, known) -> str:
    close = difflib.get_close_matches(str(name), known, 1)
    if close:
        return _("Did you mean {name}?", name=repr(close[0]))
    return _("These exist: {names}.", names=", ".join(known))
