"""Tables and progress bars of the commands on a terminal."""

import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from nnopt_lab.course.lesson import lessons
from nnopt_lab.workbench.language import _, translated

console = Console()


@contextmanager
def lessons_progress() -> Iterator[Callable[[str], Callable[[int, int, str], None]]]:
    """Show a progress bar per lesson and its section; yields a function lesson name → `on_cell` of its run."""
    cells = _("cell {count} of {total}", count="{task.completed}", total="{task.total}")
    columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn(cells))
    section = TextColumn(
        "{task.fields[section]}", style="dim", markup=False, table_column=Column(no_wrap=True, ratio=1)
    )
    with Progress(*columns, TimeElapsedColumn(), section, console=console, expand=True) as progress:

        def show(name: str):
            task = progress.add_task(name, total=None, section="")

            def on_cell(done: int, total: int, section: str = "") -> None:
                progress.update(task, completed=done, total=total, section=section)

            return on_cell

        yield show


@contextmanager
def book_progress() -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar while the book is built; yields a function of (steps done, all steps)."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task(_("reading the lessons"), total=None)

        def show(done: int, total: int) -> None:
            # Each page is read once and written once.
            what = _("reading the pages") if done <= total // 2 else _("writing the pages")
            progress.update(task, completed=done, total=total, description=what)

        yield show


@contextmanager
def submissions_progress(count: int) -> Iterator[Callable[[object], None]]:
    """Show a progress bar for `count` submissions; yields the function to call with each finished one."""
    columns = (TextColumn(_("grading")), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("", total=count, rate="")
        started = time.perf_counter()

        def done(_submission) -> None:
            so_far = progress.tasks[0].completed + 1
            rate = so_far / (time.perf_counter() - started)
            progress.update(task, advance=1, rate=_("{rate} per second", rate=f"{rate:.1f}"))

        yield done


def doctor_table(findings) -> Table:
    """A row per `doctor.Finding`: a tick, or what to do in a second line."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for label, found, advice in findings:
        text = Text(found)
        if advice:
            text.append(f" → {advice}", style="yellow")
        table.add_row(Text("!", style="yellow") if advice else Text("✔", style="green"), Text(label), text)
    return table


def print_map(course_map, following: str = "") -> None:
    """Print a `CourseMap` with the lessons' titles, coloured bars, the sums of points and minutes, and the next step.

    Args:
        course_map: the map.
        following: the next step, a sentence.
    """
    earned, points = (sum(row[i] for row in course_map.rows) for i in (2, 3))
    known = lessons()
    minutes = [known[name].minutes if name in known else 0 for name, *_rest in course_map.rows]
    rows = [("", Text(_("lesson")), Text(""), Text(_("points")), Text(_("minutes")))]
    rows += [
        (name[:2], Text(translated(title)), *_points(*counts), Text(str(time or "")))
        for (name, title, *counts), time in zip(course_map.rows, minutes, strict=True)
    ]
    rows.append(("", Text(_("all lessons"), style="bold"), *_points(earned, points), Text(str(sum(minutes)))))
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "left", "left", "left", "right"):
        table.add_column(justify=justify, no_wrap=True)
    room = console.width - sum(max(cell_len(str(row[i])) for row in rows) + 2 for i in (0, 2, 3, 4))
    for place, (number, title, *counts) in enumerate(rows):  # in a narrow terminal the titles are cut
        title.truncate(max(room, 1), overflow="ellipsis")
        table.add_row(number, title, *counts, style="" if place else "bold")
    console.print(table)
    if following:
        console.print(Text(f"\n{following}"))


def _points(earned: int, points: int, width: int = 20) -> tuple[Text, Text]:
    """The bar and the numbers of one row."""
    full = width * earned // points if points else 0
    is_done = 0 < points <= earned
    bar = Text("█" * full, style="green" if is_done else "cyan").append("░" * (width - full), style="dim")
    told = _("{earned} of {points}", earned=f"{earned:>3}", points=points)
    return bar, Text(f"{told}{' ✔' if is_done else ''}", style="" if earned else "dim")


def translations_table(rows: Iterable[tuple]) -> Table:
    """A table of translations from (language, lesson, counts)."""
    table = Table("lesson", "language", *(Column(name, justify="right") for name in ("entries", "translated")))
    for name in ("stale", "missing"):
        table.add_column(name, justify="right")
    for language, lesson, counts in rows:
        table.add_row(lesson, language, f"{sum(counts):,}", *(f"{count:,}" for count in counts))
    return table


def results_table(results) -> Table:
    """A row per `runner.Result`; claims on measured times are counted apart, and those that do not apply here."""
    columns = ("claims true", "timing claims true", "not judged: busy", "do not apply here")
    table = Table("lesson", "time", "exercises passed", "points", *columns)
    table.columns[0].no_wrap = True
    for r in results:
        held, timed = (_true_claims(list(claims.values())) for claims in (r.claims, r.timing_claims))
        elsewhere = list((r.claims | r.timing_claims).values()).count(None)
        table.add_row(
            r.lesson,
            f"{r.seconds:.0f} s",
            str(r.exercises_passed),
            f"{r.points} of {r.points_possible}",
            "[red]failed[/red]" if r.failure else held,
            timed,
            f"[yellow]{len(r.not_judged)}[/yellow]" if r.not_judged else "0",
            str(elsewhere),
        )
    return table


def _true_claims(states: list[bool | str | None]) -> str:
    """How many claims of those that were judged are true."""
    true, false = (sum(state is value for state in states) for value in (True, False))
    return f"{true} of {true + false}"


def statistics_table(lessons) -> Table:
    """A row per `statistics.Statistics`, with excesses in red."""
    table = Table("lesson", "min", "words", "code", "folded", "claims", "shown", "crowded", "wide")
    table.columns[0].no_wrap = True
    for s in lessons:
        numbers = (s.minutes, s.words, s.lines_shown, s.lines_folded, s.claims, s.claims_shown)
        beyond = (f"[red]{n}[/red]" if n else "0" for n in (len(s.crowded), len(s.too_wide)))
        table.add_row(s.lesson, *map(str, numbers), *beyond)
    return table


def grades_table(grades, seed: int) -> Table:
    """A row per lesson with the number of learners and their mean points."""
    columns = _("lesson"), _("learners"), _("graded"), _("incomplete"), _("mean points")
    table = Table(*columns, title=_("seed {seed}", seed=seed))
    for name in sorted({g.lesson for g in grades}):
        those = [g for g in grades if g.lesson == name]
        whole = sum(g.entry.graded.state == "graded" for g in those)
        points = f"{sum(g.points for g in those) / len(those):.1f}"
        mean = _("{points} of {possible}", points=points, possible=those[0].possible)
        table.add_row(name or _("no lesson"), str(len(those)), str(whole), str(len(those) - whole), mean)
    return table


def preflight_table(found) -> Table:
    """What a search would do, from a `preflight.Preflight`; cells of more than two lines are cut to fit a screen."""
    table = Table(show_header=False, box=None, padding=(0, 1))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    width = 2 * max(console.width - max(len(label) for label, _ in found.rows) - 4, 30)
    told = {_("note"), *(_("not {engine}", engine=name) for name in found.missing)}
    for label, text in found.rows:
        style = "yellow" if label in told else ""
        table.add_row(Text(label), Text(textwrap.shorten(text, width, placeholder=" …"), style=style))
    return table
