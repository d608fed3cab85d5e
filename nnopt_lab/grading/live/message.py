"""Read a learner's message: everything in it is checked, because anyone on the network can send one.

What has the wrong form is refused. What this course does not know, such as an exercise of another version, is left out.
"""

import json
from dataclasses import dataclass, field

from nnopt_lab.course import mistakes
from nnopt_lab.course.exercises import exercises, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.sharing import LONGEST_NAME, MISTAKES, RECENT_SECONDS, clean_name

_MOST = 10**6  # tries, and seconds
_RESULTS = 1_000


class Unreadable(ValueError):
    """A message that is refused; the text says why in a sentence."""


@dataclass(frozen=True)
class Message:
    """What a learner shares, as in `nnopt_lab.course.sharing.message`.

    Attributes:
        name: on one line, without control characters.
        lesson, item: ids of this course, or "".
        idle: seconds since the learner did something.
        results: id of this course → (points, tries).
        mistakes: (id, name of a mistake of this course, seconds ago).
        left: whether the learner has ended the sharing.
    """

    name: str
    lesson: str = ""
    item: str = ""
    idle: int = 0
    results: dict[str, tuple[int, int]] = field(default_factory=dict)
    mistakes: tuple[tuple[str, str, int], ...] = ()
    left: bool = False


def parse(body: bytes) -> Message:
    """Read a message.

    Raises:
        Unreadable: it is no message.
    """
    try:
        found = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise Unreadable("The message is not JSON.") from None
    if not isinstance(found, dict):
        raise Unreadable("The message is no object.")
    return read(found)


def read(found: dict) -> Message:
    """Check a message's fields.

    Raises:
        Unreadable: one is missing or has the wrong form.
    """
    name = clean_name(_field(found, "name", str))
    if not name:
        raise Unreadable(f"The name must have 1 to {LONGEST_NAME} characters.")
    lesson, item = _field(found, "lesson", str), _field(found, "item", str)
    points = {id: one.points for id, one in (*exercises().items(), *questions().items())}
    return Message(
        name=name,
        lesson=lesson if lesson in lessons() else "",
        item=item if item in points else "",
        idle=_count(found.get("idle"), "idle"),
        results=_results(_field(found, "results", dict), points),
        mistakes=_mistakes(_field(found, "mistakes", list)),
        left=_field(found, "left", bool, False),
    )


def _results(found: dict, possible: dict[str, int]) -> dict[str, tuple[int, int]]:
    if len(found) > _RESULTS:
        raise Unreadable(f"The results must be at most {_RESULTS}.")
    results = {}
    for id, pair in found.items():
        if not isinstance(pair, list) or len(pair) != 2:
            raise Unreadable("A result must be points and tries.")
        points, tries = (_count(value, "results") for value in pair)
        if id in possible:
            results[id] = (min(points, possible[id]), tries)
    return results


def _mistakes(found: list) -> tuple[tuple[str, str, int], ...]:
    if len(found) > MISTAKES:
        raise Unreadable(f"The mistakes must be at most {MISTAKES}.")
    kept = []
    for one in found:
        if not isinstance(one, list) or len(one) != 3 or not all(isinstance(text, str) for text in one[:2]):
            raise Unreadable("A mistake must be an id, a name and seconds.")
        (id, name), ago = one[:2], _count(one[2], "mistakes")
        known = mistakes.canonical(id, name) if len(name) <= mistakes.LONGEST else None
        if known and ago <= RECENT_SECONDS:
            kept.append((id, known, ago))
    return tuple(kept)


def _field(found: dict, name: str, kind: type, otherwise=None):
    value = found.get(name, otherwise)
    if not isinstance(value, kind):
        raise Unreadable(f"{name} is missing, or not of the right type.")
    return value


def _count(value, name: str) -> int:
    if type(value) is not int or not 0 <= value <= _MOST:
        raise Unreadable(f"{name} must be a whole number from 0 to {_MOST}.")
    return value
