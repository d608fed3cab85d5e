"""The state of a workshop: a row per learner who shares, and what the teacher's page shows of them. Memory only."""

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass

from nnopt_lab.course import mistakes
from nnopt_lab.course.exercises import Exercise, Question, exercises, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.sharing import RECENT_SECONDS, SIGN_SECONDS
from nnopt_lab.grading.live.message import Message, Unreadable, read
from nnopt_lab.workbench.language import translated, translated_sentences

MOST_ROWS = 1_000
MOST_MISTAKES = 8  # on the page
STUCK_TRIES = 4  # at one exercise, without a pass
AWAY_SECONDS = 3 * SIGN_SECONDS  # without a message
PAUSE_SECONDS = 0.3  # between two messages of a learner; an earlier one is not read


class Full(ValueError):
    """There are as many learners as the page holds."""


class Removed(ValueError):
    """The teacher has removed the learner's row."""


@dataclass
class Row:
    """A learner's row.

    Attributes:
        number: in the order of arrival; shown instead of the name on a projector.
        name: the message's, with a number if another learner had it first.
        message: the last one.
        seen: when it arrived, in seconds.
        source: the network address that it came from; neither shown nor stored.
    """

    number: int
    name: str
    message: Message
    seen: float
    source: str = ""

    def is_away(self, now: float) -> bool:
        """Whether nothing was heard of the learner for a while, or the sharing has ended."""
        return self.message.left or now - self.seen > AWAY_SECONDS

    @property
    def tries_without_pass(self) -> int:
        """The tries at the exercise or question that was tried last; 0 if it is passed."""
        points, tries = self.message.results.get(self.message.item, (0, 0))
        return 0 if points else tries


class Board:
    """The learners by the secret that each one's messages carry; only its hash is kept."""

    def __init__(self):
        self._rows: dict[str, Row] = {}
        self._removed: set[str] = set()
        self._count = 0
        self.version = 0  # rises with every change

    def receive(self, token: str, message: Message, now: float, source: str = "") -> str:
        """Take a learner's message, and return the name that is shown for it.

        Args:
            token: the learner's secret.
            message: what is shared.
            now: the time, in seconds.
            source: the network address that it came from.

        Raises:
            Removed, Full: no row is kept for this learner.
        """
        key = _key(token)
        if key in self._removed:
            raise Removed("The teacher has removed you from the page.")
        row = self._rows.get(key)
        if row is None:
            self._make_room(now, source)
            self._count += 1
            row = self._rows[key] = Row(self._count, self._free_name(message.name), message, now, source)
        elif message.left or now - row.seen >= PAUSE_SECONDS:
            row.message, row.seen = message, now
        self.version += 1
        return row.name

    def remove(self, number: int) -> None:
        """Remove a row, and take no more messages for it."""
        for key, row in list(self._rows.items()):
            if row.number == number:
                del self._rows[key]
                self._removed.add(key)
                self.version += 1

    def view(self, now: float) -> dict:
        """What the page shows, ready for JSON."""
        rows = sorted(self._rows.values(), key=lambda row: row.number)
        items = {name: {**exercises(name), **questions(name)} for name in lessons()} | {"": {}}
        return {
            "here": sum(not row.is_away(now) for row in rows),
            "learners": [_learner(row, items[row.message.lesson], now) for row in rows],
            "lessons": sorted(
                (lesson for name in items if (lesson := _lesson(name, rows, items[name], now))),
                key=lambda lesson: (-lesson["here"], lesson["name"]),
            ),
            "mistakes": _mistakes(rows, now),
        }

    def stored(self) -> dict:
        """Everything, to be restored by `restore`."""
        rows = [
            {"key": key, "number": row.number, "name": row.name, "message": asdict(row.message), "seen": row.seen}
            for key, row in self._rows.items()
        ]
        return {"rows": rows, "removed": sorted(self._removed), "count": self._count}

    def restore(self, stored: dict) -> None:
        """Replace everything by what `stored` returned.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is something else.
        """
        rows = {}
        for row in stored["rows"]:
            message = read({**row["message"], "mistakes": [list(one) for one in row["message"]["mistakes"]]})
            if not isinstance(row["name"], str) or type(row["number"]) is not int:
                raise Unreadable("A row has no name or number.")
            rows[str(row["key"])] = Row(row["number"], row["name"], message, float(row["seen"]))
        self._removed = {str(key) for key in stored["removed"]}
        self._rows, self._count = rows, max([int(stored["count"]), *(row.number for row in rows.values())])
        self.version += 1

    def _make_room(self, now: float, source: str) -> None:
        """If all rows are taken, give up an empty and silent one, or one of a machine that has taken many."""
        if len(self._rows) < MOST_ROWS:
            return
        given_up = [key for key, row in self._rows.items() if row.is_away(now) and not row.message.results]
        if not given_up:
            counts = Counter(row.source for row in self._rows.values())
            greediest, count = counts.most_common(1)[0] if counts else ("", 0)
            if count <= counts[source] + 1:
                raise Full(f"The page holds {MOST_ROWS} learners, and all places are taken.")
            given_up = [key for key, row in self._rows.items() if row.source == greediest]
        del self._rows[min(given_up, key=lambda key: self._rows[key].seen)]

    def _free_name(self, name: str) -> str:
        taken = {_folded(row.name) for row in self._rows.values()}
        shown, count = name, 1
        while _folded(shown) in taken:
            count += 1
            shown = f"{name} ({count})"
        return shown


def _key(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _learner(row: Row, items: dict, now: float) -> dict:
    """A row of the page; `items` are the exercises and questions of the learner's lesson."""
    sent, tries = row.message, row.tries_without_pass
    return {
        "number": row.number,
        "name": row.name,
        "lesson": _lesson_title(sent.lesson),
        "item": _title(items[sent.item]) if sent.item in items else "",
        "strip": [[*sent.results.get(id, (0, 0)), item.points] for id, item in items.items()],
        "points": sum(points for points, _ in sent.results.values()),
        "idle": round(now - row.seen) + sent.idle,
        "state": "left" if sent.left else "away" if row.is_away(now) else "here",
        "stuck": tries if tries >= STUCK_TRIES and not row.is_away(now) else 0,
    }


def _lesson(name: str, rows: list[Row], items: dict, now: float) -> dict | None:
    """A lesson's sums; None if nobody is in it and nobody has tried anything."""
    those = [row for row in rows if row.message.lesson == name or row.message.results.keys() & items.keys()]
    if not those or not items:
        return None
    results = [row.message.results for row in those]
    counted = [
        {
            "id": id,
            "title": _title(item),
            "passed": sum(r.get(id, (0, 0))[0] > 0 for r in results),
            "tried": sum(r.get(id, (1, 0))[0] == 0 for r in results),
            "learners": len(those),
        }
        for id, item in items.items()
    ]
    here = sum(row.message.lesson == name and not row.is_away(now) for row in rows)
    return {"name": name, "title": _lesson_title(name), "here": here, "items": counted}


def _mistakes(rows: list[Row], now: float) -> list[dict]:
    """The mistakes that most learners met in the last ten minutes."""
    tries, learners = defaultdict(int), defaultdict(set)
    for row in rows:
        for id, name, ago in row.message.mistakes:
            if now - row.seen + ago <= RECENT_SECONDS:
                tries[id, name] += 1
                learners[id, name].add(row.number)
    known = {**exercises(), **questions()}
    order = sorted(tries, key=lambda one: (-len(learners[one]), -tries[one], one))[:MOST_MISTAKES]
    return [
        {
            "lesson": _lesson_title(known[id].lesson),
            "item": _title(known[id]),
            "text": _mistake(mistakes.sentence(id, name) or ""),
            "learners": len(learners[id, name]),
            "tries": tries[id, name],
        }
        for id, name in order
    ]


def _lesson_title(name: str) -> str:
    return f"{name[:2]} {translated(lessons()[name].title)}" if name else ""


def _title(item: Exercise | Question) -> str:
    """An exercise's title, or a question's text."""
    return translated(item.title if isinstance(item, Exercise) else item.text)


def _mistake(english: str) -> str:
    """A mistake's text; that of a choice or a number begins with it."""
    given, text = re.fullmatch(r"(\w\) |[\d.e+-]+: |)(.*)", english, re.DOTALL).groups()
    return given + translated_sentences(text)
