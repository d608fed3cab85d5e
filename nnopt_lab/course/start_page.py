"""The start page of a workspace, `course.md`: the course map with links, where to go on, and what is new.

It is written by `nnopt lab`, and again whenever an exercise or a question is passed.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nnopt_lab.course import record
from nnopt_lab.course.exercises import earned_points, is_passed, lesson_points
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.predictions import ledger_of
from nnopt_lab.course.workspace import START_PAGE, is_unchanged, write_atomically

NEWS = re.compile(r"## What is new\n\n(.*?)(?=\n## |\Z)", re.DOTALL)
BAR = 10  # characters


@dataclass
class Row:
    """A lesson of the workspace: its name, title, minutes, and points earned and possible."""

    name: str
    title: str
    minutes: int
    earned: int
    points: int

    @property
    def is_done(self) -> bool:
        return self.earned == self.points


def write(folder: Path, news: list[tuple[str, str]] | None = None) -> Path:
    """Write the start page of a workspace, and return its path.

    Args:
        folder: the workspace.
        news: of `workspace.fill`; default those that the page has.

    Raises:
        OSError: it can't be written.
    """
    path = folder / START_PAGE
    if news is None:
        kept = NEWS.search(path.read_text(encoding="utf-8")) if path.is_file() else None
        told = kept[1].strip() if kept else ""
    else:
        told = _told(news)
    write_atomically(path, _page(folder, told))
    return path


def follow(folder: Path) -> None:
    """Write the page again if the workspace has one; a failure is left to the next `nnopt lab`."""
    with suppress(OSError, ValueError):
        if (folder / START_PAGE).is_file():
            write(folder)


def rows(folder: Path) -> list[Row]:
    """The lessons in a workspace, in order."""
    noted = record.read(folder)
    return [
        Row(name, lesson.title, lesson.minutes, earned_points(noted, name), lesson_points(name))
        for name, lesson in lessons().items()
        if not lesson.draft and (folder / f"{name}.ipynb").is_file()
    ]


def _page(folder: Path, news: str) -> str:
    found, noted = rows(folder), record.read(folder)
    current = _current(folder, found)
    guesses = ledger_of(noted)
    lines = [
        "# NNOpt Lab",
        "",
        "Make PyTorch networks smaller and faster, and know why it worked.",
        "",
        _go_on(folder, current),
        "",
        _summary(found),
        *([f"\nYour predictions: {guesses.summary}."] if guesses.made else []),
        "",
        "| | lesson | points | | minutes |",
        "|:-:|:--|:--|--:|--:|",
        *(_table_row(row, row is current) for row in found),
        "",
        "✔ complete · ▶ where you are",
        "",
        *(["## What is new", "", news, ""] if news else []),
        "## How it works",
        "",
        "- Open a lesson with a click on its title, and run its cells from top to bottom with Shift+Enter.",
        "- Stuck? The button under an exercise's card gives three hints, one by one. They cost no points.",
        "- Your work is never overwritten. In a terminal, `nnopt update LESSON` takes a newer text of a lesson and "
        "keeps your answers, and `nnopt reset LESSON` fetches a fresh copy and keeps the old one.",
        "- This page follows your progress.",
        "",
    ]
    return "\n".join(lines)


def _summary(found: list[Row]) -> str:
    earned, points = sum(row.earned for row in found), sum(row.points for row in found)
    done, left = sum(row.is_done for row in found), sum(row.minutes for row in found if not row.is_done)
    if not earned:
        return f"The course has {len(found)} lessons with {points} points, and takes about {_hours(left)}."
    rest = f"; the others take about {_hours(left)}" if left else ""
    return f"You have {earned} of {points} points and have completed {done} of {len(found)} lessons{rest}."


def _table_row(row: Row, is_current: bool) -> str:
    mark = "✔" if row.is_done else "▶" if is_current else ""
    full = BAR * row.earned // row.points if row.points else BAR
    bar = "▰" * full + "▱" * (BAR - full)
    title = f"[{row.name[:2]} {row.title}]({row.name}.ipynb)"
    return f"| {mark} | {title} | {bar} | {row.earned} of {row.points} | {row.minutes} |"


def _current(folder: Path, found: list[Row]) -> Row | None:
    """The lesson that was saved last, or if it is complete, the next one that is not."""
    worked = [row for row in found if not is_unchanged(row.name, folder)]
    last = max(worked, key=lambda row: (folder / f"{row.name}.ipynb").stat().st_mtime_ns, default=None)
    begin = found.index(last) if last else 0
    return next((row for row in (*found[begin:], *found[:begin]) if not row.is_done), None)


def _go_on(folder: Path, row: Row | None) -> str:
    if row is None:
        return "**You have completed every lesson.**"
    heading, cell_id = _open_section(folder / f"{row.name}.ipynb", folder)
    begun = row.earned or not is_unchanged(row.name, folder)
    if not begun:
        return f"**Begin here: [{row.name[:2]} {row.title}]({row.name}.ipynb)**"
    place = f", section {heading}" if heading else ""
    # JupyterLab finds a heading's own address only in a notebook that is open already.
    anchor = f"#cell-id={cell_id}" if cell_id else ""
    return f"**Go on where you were: [{row.name[:2]} {row.title}{place}]({row.name}.ipynb{anchor})**"


def _open_section(notebook: Path, folder: Path) -> tuple[str, str]:
    """The heading above the first exercise or question that is not passed, and the id of its cell; "" if unknown."""
    noted, heading, cell_id = record.read(folder), "", ""
    for cell in _cells(notebook):
        text = "".join(cell.get("source", ""))
        if cell.get("cell_type") == "markdown" and (found := re.findall(r"^## (.+)$", text, re.MULTILINE)):
            heading, cell_id = found[-1].strip(), str(cell.get("id", ""))
        for kind in ("exercise", "question"):
            id = cell.get("metadata", {}).get(kind)
            if id and not is_passed(noted, f"{kind}s", id):
                return heading, cell_id
    return "", ""


def _cells(notebook: Path) -> Iterator[dict]:
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        yield from json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def _told(news: list[tuple[str, str]]) -> str:
    """The news as a list; lessons that are new all at once are not listed."""
    fresh = [name for name, what in news if what == "new"]
    if len(fresh) == len(news) > 1:
        return ""
    return "\n".join(f"- [{_titled(name)}]({name}.ipynb): {_sentence(what)}" for name, what in news)


def _titled(name: str) -> str:
    return f"{name[:2]} {lessons()[name].title}" if name in lessons() else name


def _sentence(what: str) -> str:
    command = re.fullmatch(r"(.*): (nnopt update \w+)", what)
    return f"{command[1]}: `{command[2]}`." if command else f"{what}."


def _hours(minutes: int) -> str:
    return f"{minutes} minutes" if minutes < 90 else f"{minutes / 60:.0f} hours"
