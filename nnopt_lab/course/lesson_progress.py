"""The end of a lesson: its points, what is still open in it, and links to the next lesson and to the start page."""

import html
from pathlib import Path

from nnopt_lab.course import record
from nnopt_lab.course.cards import FONT, Card
from nnopt_lab.course.exercises import earned_points, exercises, is_passed, lesson_points, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.workspace import START_PAGE, edition_folder
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
        open_now = [] if is_done else [_("Still open: {items}.", items=_open(contents, lesson))]
        self.card = Card(title, "good" if is_done else "neutral", (*open_now, *entries))

    def __repr__(self) -> str:
        return "\n".join([repr(self.card), *(f"  {text}" for text in self._targets().values())])

    def _repr_html_(self) -> str:
        links = " · ".join(
            f'<a href="{html.escape(target)}">{html.escape(text)}</a>' for target, text in self._targets().items()
        )
        return self.card._repr_html_() + (f'<div style="margin:0 0 4px 18px;{FONT}">{links}</div>' if links else "")

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


def _open(contents: dict, lesson: str) -> str:
    """The first open exercises by their titles, and the number of all others and of the open questions."""
    tasks, asked = (
        [item for id, item in items.items() if not is_passed(contents, part, id)]
        for part, items in (("exercises", exercises(lesson)), ("questions", questions(lesson)))
    )
    parts = [translated(exercise.title) for exercise in tasks[:LISTED]]
    if len(tasks) > LISTED:
        parts.append(counted(len(tasks) - LISTED, "{count} more exercise", "{count} more exercises"))
    if asked:
        parts.append(counted(len(asked), "{count} question", "{count} questions"))
    first = _(", ").join(parts[:-1])
    return _("{first} and {last}", first=first, last=parts[-1]) if first else parts[-1]
