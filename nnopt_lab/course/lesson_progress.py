"""The end of a lesson: its points, what is still open in it, and links to the next lesson and to the start page."""

import html
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nnopt_lab.course import record
from nnopt_lab.course.cards import FONT, Card, inline
from nnopt_lab.course.exercises import cell_id, earned_points, exercises, is_passed, lesson_points, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.workspace import START_PAGE, edition_folder, shipped
from nnopt_lab.workbench.language import _, counted, translated

LISTED = 3  # open exercises by their titles
CAPSTONE = "15_capstone"
ENTRIES = 30  # points: 10 in each of three divisions


class LessonProgress:
    """The points of a lesson and the way on: a card with links in a notebook, lines of text elsewhere.

    Args:
        lesson: its name.
        folder: the workspace.
    """

    def __init__(self, lesson: str, folder: Path):
        contents = record.read(folder)
        earned, points = earned_points(contents, lesson), lesson_points(lesson)
        self._lesson, self._folder, self._titles = lesson, folder, _titles()
        self.earned, self.points = earned, points
        name, is_done = self._titles.get(lesson, lesson), earned >= points
        which = {"lesson": name, "earned": earned, "points": points}
        title = _("{lesson}: {earned} of {points} points", **which)
        if is_done:
            title = _("{lesson}: complete, {points} of {points} points", **which)
        entries = [
            _("Your best entries: {earned} of {points} points.", earned=row[-2], points=row[-1])
            for row in _entries(contents, lesson)
        ]
        self._open = [] if is_done else _open(contents, lesson)
        open_now = [_sentence([text for text, _id in self._open])] if self._open else []
        self.card = Card(title, "good" if is_done else "neutral", (*open_now, *entries))

    def __repr__(self) -> str:
        return "\n".join([repr(self.card), *(f"  {text}" for text in self._targets().values())])

    def _repr_html_(self) -> str:
        links = " · ".join(
            f'<a href="{html.escape(target)}">{html.escape(text)}</a>' for target, text in self._targets().items()
        )
        card = self.card._repr_html_()
        if self._open and (edition_folder(self._folder) / f"{self._lesson}.ipynb").is_file():
            # Marks that no text contains hold the places of the links, which a card would escape.
            marked = inline(_sentence([f"\ue000{place}\ue001" for place in range(len(self._open))]))
            for place, (text, id) in enumerate(self._open):
                target = html.escape(f"{self._lesson}.ipynb#cell-id={id}")
                marked = marked.replace(f"\ue000{place}\ue001", f'<a href="{target}">{inline(text)}</a>')
            card = card.replace(inline(self.card.lines[0]), marked, 1)
        return card + (f'<div style="margin:0 0 4px 18px;{FONT}">{links}</div>' if links else "")

    def _targets(self) -> dict[str, str]:
        """The next lesson and the start page, as far as the workspace has them: file → text of the link."""
        names = list(self._titles)
        after = names.index(self._lesson) + 1 if self._lesson in names else len(names)
        targets = {f"{name}.ipynb": _("Next: {lesson}", lesson=self._titles[name]) for name in names[after : after + 1]}
        targets[START_PAGE] = _("Course map")
        folder = edition_folder(self._folder)
        return {target: text for target, text in targets.items() if (folder / target).is_file()}


def capstone_row(contents: dict) -> list[tuple[str, str, int, int]]:
    """The best capstone entries in a progress file as a row of the course map; none without entries."""
    earned = int(sum(contents["entries"].values()))
    return [(f"{CAPSTONE} entry", "Capstone: your best entries", earned, ENTRIES)] if contents["entries"] else []


def _entries(contents: dict, lesson: str) -> list[tuple]:
    return capstone_row(contents) if lesson == CAPSTONE else []


def _titles() -> dict[str, str]:
    return {name: f"{name[:2]} {translated(lesson.title)}" for name, lesson in lessons().items() if not lesson.draft}


def _open(contents: dict, lesson: str) -> list[tuple[str, str]]:
    """The first open exercises by their titles, and the number of all others and of the open questions.

    Returns:
        (text, id of the first cell that it is about) pairs, in the lesson's order.
    """
    tasks, asked = (
        sorted((id for id in items if not is_passed(contents, f"{kind}s", id)), key=_places(lesson, kind))
        for kind, items in (("exercise", exercises(lesson)), ("question", questions(lesson)))
    )
    parts = [(translated(exercises()[id].title), cell_id("exercise", id)) for id in tasks[:LISTED]]
    if more := tasks[LISTED:]:
        told = counted(len(more), "{count} more exercise", "{count} more exercises")
        parts.append((told, cell_id("exercise", more[0])))
    if asked:
        parts.append((counted(len(asked), "{count} question", "{count} questions"), cell_id("question", asked[0])))
    return parts


def _places(lesson: str, kind: str) -> Callable[[str], int]:
    """Where each exercise or question stands in the course's notebook; after all others if it is not in there."""
    cells = []
    with suppress(OSError, ValueError, KeyError, TypeError):
        cells = json.loads(shipped(lesson).read_text(encoding="utf-8"))["cells"]
    places = {cell.get("metadata", {}).get(kind): place for place, cell in enumerate(cells)}
    return lambda id: places.get(id, len(places))


def _sentence(parts: list[str]) -> str:
    first = _(", ").join(parts[:-1])
    items = _("{first} and {last}", first=first, last=parts[-1]) if first else parts[-1]
    return _("Still open: {items}.", items=items)
