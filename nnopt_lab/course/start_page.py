"""The start page of a workspace, `course.md`: the course map with links, where to go on, and what is new.

It is written by `nnopt lab`, and again after each cell, answer and guess. Each language has its own, beside
its copies of the lessons.
"""

import html
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from nnopt_lab.course import last_work, record
from nnopt_lab.course.exercises import earned_points, exercises, lesson_points, questions
from nnopt_lab.course.ledger import ENOUGH, ledger_of
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.open_section import open_section, section_of
from nnopt_lab.course.workspace import NEW, NEWER, START_PAGE, UPDATED, edition_folder, is_unchanged, write_atomically
from nnopt_lab.workbench.language import _, continued, counted, labelled, translated
from nnopt_lab.workbench.language.typography import with_whole_units

BAR = 10  # characters, where a page can't draw bars
ROUNDED = 5  # minutes


@dataclass(frozen=True)
class Row:
    """A lesson of the workspace: its name, title, minutes, points earned and possible, summary and chapter."""

    name: str
    title: str
    minutes: int
    earned: int
    points: int
    summary: str = ""
    chapter: str = ""

    @property
    def is_done(self) -> bool:
        return self.earned == self.points

    @property
    def minutes_left(self) -> int:
        """The minutes that the points not earned yet take."""
        if self.is_done:
            return 0
        return max(ROUNDED, ROUNDED * round(self.minutes * (1 - self.earned / self.points) / ROUNDED))


def write(folder: Path, news: list[tuple[str, str]] | None = None) -> Path:
    """Write the start page of a workspace in the language in use, and return its path.

    Args:
        folder: the workspace.
        news: of `workspace.fill`; default those that the page has.

    Raises:
        OSError: it can't be written.
    """
    path = edition_folder(folder) / START_PAGE
    write_atomically(path, _page(folder, _kept_news(path) if news is None else _told(news)))
    return path


def follow(folder: Path, lesson: str = "", place: str | None = None) -> None:
    """Write the page again if the workspace has one; a failure is left to the next `nnopt lab`.

    Args:
        folder: the workspace.
        lesson: the one that the learner has just worked on, if it is known.
        place: of `last_work.note`.
    """
    path = edition_folder(folder) / START_PAGE
    with suppress(OSError, ValueError):
        if not path.is_file():
            return
        if lesson:
            last_work.note(folder, lesson, place)
        text = _page(folder, _kept_news(path))
        if path.read_bytes() != text.encode():  # else JupyterLab would load the same page again
            write_atomically(path, text)


def _kept_news(path: Path) -> str:
    heading = re.escape(_("What is new"))
    found = re.compile(rf"## {heading}\n\n(.*?)(?=\n## |\Z)", re.DOTALL)
    kept = found.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    return kept[1].strip() if kept else ""


def rows(folder: Path) -> list[Row]:
    """The lessons in a workspace, in order, in the language in use."""
    return _rows(folder, record.read(folder))


def _rows(folder: Path, noted: dict) -> list[Row]:
    return [
        Row(
            name,
            translated(lesson.title),
            lesson.minutes,
            earned_points(noted, name),
            lesson_points(name),
            translated(lesson.summary),
            lesson.chapter and translated(lesson.chapter),
        )
        for name, lesson in lessons().items()
        if not lesson.draft and (edition_folder(folder) / f"{name}.ipynb").is_file()
    ]


def _page(folder: Path, news: str) -> str:
    noted = record.read(folder)
    found = _rows(folder, noted)
    current = _current(folder, found, noted)
    guesses = ledger_of(noted)
    is_new = _is_new(folder, current, found)
    lines = [
        "# NNOpt Lab",
        "",
        _("Make PyTorch networks smaller and faster, and know why it worked."),
        "",
        f"> {_go_on(folder, current, noted, any(row.earned for row in found))}",
        "",
        _summary(found),
        *(["", _("Your predictions: {summary}.", summary=guesses.summary)] if len(guesses.made) >= ENOUGH else []),
        "",
        *(_how_it_works(is_new) if is_new else []),
        *(line for chapter, held in groupby(found, lambda row: row.chapter) for line in _table(chapter, held, current)),
        *([f"## {_('What is new')}", "", news, ""] if news else []),
        *([] if is_new else _how_it_works(is_new)),
    ]
    return "\n".join(lines)


def _how_it_works(is_new: bool) -> list[str]:
    """The section of that name; for a new learner, without what matters only after a first lesson."""
    begin = _("Click on a lesson's title to open it, and run its cells from top to bottom with Shift+Enter.")
    later = _(
        "Coming back later? Run the cell where you want to continue. If it needs cells above it, it shows a button "
        "“Run the cells above and this one”. (The menu has Run ▸ Run All Above Selected Cell, and VS Code Execute "
        "Above Cells.)"
    )
    stuck = _("Stuck? The button under an exercise's card gives three hints, one by one. They cost no points.")
    kept = _(
        "Your work is never overwritten. In a terminal, `nnopt update LESSON` takes a newer text of a lesson and "
        "keeps your answers, and `nnopt reset LESSON` fetches a fresh copy and keeps the old one."
    )
    said = [begin, stuck] if is_new else [begin, later, stuck, kept]
    return [f"## {_('How it works')}", "", *(f"- {line}" for line in said), ""]


def _summary(found: list[Row]) -> str:
    earned, points = sum(row.earned for row in found), sum(row.points for row in found)
    done, left = sum(row.is_done for row in found), sum(row.minutes_left for row in found)
    so_far = {"earned": earned, "points": points, "done": done, "count": len(found), "time": _hours(left)}
    if not earned:
        return _("{count} lessons · {points} points · about {time}. Each lesson stands alone.", **so_far)
    if not done:
        return _("{earned} of {points} points · about {time} left", **so_far)
    if left:
        return _("{earned} of {points} points · {done} of {count} lessons complete · about {time} left", **so_far)
    return _("{earned} of {points} points · {done} of {count} lessons complete", **so_far)


def _table(chapter: str, found: Iterable[Row], current: Row | None) -> list[str]:
    return [
        *([f"## {chapter}", ""] if chapter else []),
        f"| | {_('lesson')} | | {_('points')} | {_('time')} |",
        "|:-:|:--|:--|--:|--:|",
        *(_table_row(row, row is current) for row in found),
        "",
    ]


def _table_row(row: Row, is_current: bool) -> str:
    mark = _mark("nnopt-done", "✔") if row.is_done else _mark("nnopt-here", "▶") if is_current else ""
    title = f"[{row.name[:2]} {row.title}]({row.name}.ipynb)"
    if row.summary:
        title += f"<br><small>{html.escape(row.summary)}</small>"
    bar = _bar(row.earned, row.points)
    earned = _("{earned} of {points}", earned=row.earned, points=row.points)
    return f"| {mark} | {title} | {bar} | {earned} | {_minutes(row)} |"


def _minutes(row: Row) -> str:
    if row.is_done:
        return ""
    if row.earned:
        return with_whole_units(_("about {minutes} min left", minutes=row.minutes_left))
    return with_whole_units(_("about {minutes} min", minutes=row.minutes))


def _mark(kind: str, sign: str) -> str:
    """A sign to which the style sheet of JupyterLab's extension gives a colour."""
    return f'<span class="{kind}">{sign}</span>'


def _bar(earned: int, points: int) -> str:
    full = BAR * earned // points if points else BAR
    as_text = "▰" * full + "▱" * (BAR - full)
    done = ' class="nnopt-done"' if earned >= points else ""
    return f'<progress{done} max="{max(points, 1)}" value="{earned if points else 1}">{as_text}</progress>'


def _current(folder: Path, found: list[Row], noted: dict) -> Row | None:
    """The lesson that was worked on last, or if it is complete, the next one that is not.

    One of which all cells ran at once, without an answer, counts only after those that were worked on. A save tells
    when a lesson was worked on only where nothing else does, since JupyterLab saves lessons long after they were left.
    """
    times = last_work.times(folder)
    times = {row: times.get(row.name, 0) for row in found}
    if not any(times.values()):
        times = {row: _saved(folder, row.name) for row in found}
    begun = {row: bool(last_work.place(folder, row.name)) or _is_answered(noted, row.name) for row in found}
    last = max(filter(times.get, found), key=lambda row: (begun[row], times[row]), default=None)
    begin = found.index(last) if last else 0
    return next((row for row in (*found[begin:], *found[:begin]) if not row.is_done), None)


def _is_answered(noted: dict, lesson: str) -> bool:
    """Whether a lesson has an answer, right or wrong, or a guess."""
    tried = [noted["exercises"].get(id) for id in exercises(lesson)]
    tried += [noted["questions"].get(id) for id in questions(lesson)]
    guesses = (made["guess"] for made in noted["predictions"].values() if made["lesson"] == lesson)
    return any(entry and entry["attempts"] for entry in tried) or any(guess is not None for guess in guesses)


def _saved(folder: Path, lesson: str) -> float:
    """When a copy was saved, in seconds; 0 if it is as it was copied."""
    if is_unchanged(lesson, folder):
        return 0
    return (edition_folder(folder) / f"{lesson}.ipynb").stat().st_mtime


def next_step(folder: Path) -> tuple[str, str] | None:
    """The lesson to go on with, and the heading of the section, "" if unknown; None after the last lesson."""
    noted = record.read(folder)
    row = _current(folder, _rows(folder, noted), noted)
    if row is None:
        return None
    copy = edition_folder(folder) / f"{row.name}.ipynb"
    return row.name, section_of(copy, last_work.place(folder, row.name))[0] or open_section(copy, noted)[0]


def _is_new(folder: Path, current: Row | None, found: list[Row]) -> bool:
    """Whether no lesson has been started."""
    return not any(row.earned for row in found) and current is not None and _is_untouched(folder, current)


def _is_untouched(folder: Path, row: Row) -> bool:
    return not row.earned and not last_work.place(folder, row.name) and is_unchanged(row.name, folder)


def _go_on(folder: Path, row: Row | None, noted: dict, has_begun: bool) -> str:
    if row is None:
        return f"**{_('You have completed every lesson.')}**"
    title = f"{row.name[:2]} {row.title}"
    place = last_work.place(folder, row.name)
    if _is_untouched(folder, row):
        told = {"title": title, "file": f"{row.name}.ipynb"}
        if has_begun:
            return _("**Continue with [{title}]({file})**", **told)
        return _("**Begin here: [{title}]({file})**", **told)
    copy = edition_folder(folder) / f"{row.name}.ipynb"
    first, cell_id = open_section(copy, noted)
    last = section_of(copy, place)
    heading, target = last if any(last) else (first, cell_id)
    if heading:
        title = _("{title}, section {heading}", title=title, heading=heading)
    go_on = _("**Continue with [{title}]({file})**", title=title, file=_address(row.name, target))
    if not heading:
        return go_on
    why = _("You were there last.") if any(last) else _("It is the first section with something unfinished.")
    if first in ("", heading):
        return f"{go_on}<br>{why}"
    unfinished = _("First unfinished: [section {heading}]({file})", heading=first, file=_address(row.name, cell_id))
    return f"{go_on}<br>{continued(why, unfinished)}"


def _address(lesson: str, cell_id: str) -> str:
    # JupyterLab finds a heading's own address only in a notebook that is open already.
    return f"{lesson}.ipynb#cell-id={cell_id}" if cell_id else f"{lesson}.ipynb"


def _told(news: list[tuple[str, str]]) -> str:
    """The news as a list; lessons that are new all at once are not listed."""
    fresh = [name for name, what in news if what == NEW]
    if len(fresh) == len(news) > 1:
        return ""
    return "\n".join("- " + labelled(f"[{_titled(name)}]({name}.ipynb)", in_words(name, what)) for name, what in news)


def in_words(lesson: str, what: str) -> str:
    """What `workspace.fill` tells of a lesson, as a sentence in the language in use, in Markdown."""
    if what == NEWER:
        return _(
            "a newer text is there; your copy was kept, and this command takes the text and keeps your answers: "
            "`nnopt update {lesson}`.",
            lesson=lesson,
        )
    return {NEW: _("new."), UPDATED: _("updated.")}[what]


def _titled(name: str) -> str:
    return f"{name[:2]} {translated(lessons()[name].title)}" if name in lessons() else name


def _hours(minutes: int) -> str:
    if minutes < 90:
        return counted(minutes, "{count} minute", "{count} minutes")
    return _("{hours} hours", hours=f"{round(minutes / 30) / 2:g}")
