"""The bug hunt of lesson 00: click the lines in which you see a bug, then see which have one, and what you found."""

from collections.abc import Callable, Iterable

from nnopt_lab.course import record
from nnopt_lab.course.boxes import form
from nnopt_lab.course.cards import Card
from nnopt_lab.course.cell_output import seen
from nnopt_lab.course.workspace import workspace
from nnopt_lab.lessons.start_here.buggy_program import BUGS, NUMBERS, code
from nnopt_lab.lessons.start_here.marked_program import marked_program
from nnopt_lab.workbench.language import _, counted

NAME = "bug_hunt"
CLASS = "nnopt-lines"


@seen
def mark_bugs(lines: Iterable[int] = ()):
    """Compare the lines that you mark with those that have a bug.

    Args:
        lines: their numbers, 1 to 21; without any, a box with the program is shown, whose lines are buttons, or the
            card of those that were marked last.

    Returns:
        A card, or the box.
    """
    marked = list(lines) if isinstance(lines, Iterable) else [lines]
    if not all(line in NUMBERS for line in marked):
        wanted = _(
            "Mark the bugs with the numbers of lines from 1 to {last}, such as {code}.",
            last=NUMBERS[-1],
            code="`mark_bugs([3, 8])`",
        )
        return Card(wanted, "bad")
    if not marked:
        return _box()
    _keep(set(map(int, marked)))
    return _compared(set(map(int, marked)))


def _compared(marked: set[int]) -> Card:
    missed = sorted({bug.lines[0] for bug in BUGS.values() if marked.isdisjoint(bug.lines)})
    innocent = sorted(marked.difference(*(bug.lines for bug in BUGS.values())))
    told = [_("Bugs that you have not marked are in these lines: {lines}.", lines=_listed(missed))] if missed else []
    if innocent:
        told.append(_("These of your lines have no bug: {lines}.", lines=_listed(innocent)))
    closing = _("The program has {bugs} bugs; some lines have two. Now find out what is wrong in each.", bugs=len(BUGS))
    return Card(
        _title(len(marked), len(innocent)), "neutral", (closing,), picture=marked_program(marked), in_words=tuple(told)
    )


def _title(marked: int, innocent: int) -> str:
    """The number of lines, not of bugs: who marks a line with two has perhaps seen one."""
    if not marked:
        return _("You marked no line")
    if marked - innocent == 1 < marked:
        return _("1 of your {count} lines has a bug", count=marked)
    return counted(
        marked,
        "{right} of your {count} line has a bug",
        "{right} of your {count} lines have a bug",
        right=marked - innocent,
    )


def handed_in() -> bool:
    """Whether the learner has compared marks with the bugs."""
    return bool(_kept())


def _listed(lines: list[int]) -> str:
    return _(", ").join(map(str, lines))


def _kept() -> list[int]:
    return record.read(workspace())["marks"].get(NAME, [])


def _keep(marked: Iterable[int]) -> None:
    with record.change() as contents:
        contents["marks"][NAME] = sorted(marked)


def _box():
    import ipywidgets as widgets

    kept = _kept()
    picker, compare = _picker(kept)
    answer = widgets.HTML()
    answer.add_class("nnopt-unframed")
    again = widgets.Button(description=_("Mark again"), layout={"align_self": "flex-start"})

    def show(card: Card | None) -> None:
        answer.value = card._repr_html_() if card else ""
        picker.layout.display, again.layout.display = ("none", "") if card else ("", "none")

    def finish(marked: list[int]) -> None:
        _keep(marked)
        card = _compared(set(marked))
        show(card)
        made.keep(card)

    compare(finish)
    again.on_click(lambda _button: show(None))
    first = _compared(set(kept)) if kept else None
    show(first)
    written = _(
        "Write the numbers of the lines into this cell, such as {code}, and run it.", code="`mark_bugs([3, 8])`"
    )
    made = form([picker, answer, again], first or Card(_asked(), "neutral", (written,)))
    return made


def _picker(marked: list[int]):
    """The program's lines as buttons, and a function that calls another with the marked ones after "Compare"."""
    import ipywidgets as widgets

    buttons = [
        widgets.ToggleButton(
            value=line in marked,
            description=_as_written(f"{line:2}  {code(line)}"),
            tooltip=_("line {line}", line=line),
            style={"font_family": "var(--jp-code-font-family, monospace)"},
            layout={"width": "auto", "height": "auto", "margin": "0"},
        )
        for line in NUMBERS
    ]
    program = widgets.VBox(buttons)
    program.add_class(CLASS)
    compare = widgets.Button(description=_("Compare"), button_style="primary", layout={"align_self": "flex-start"})

    def on_compare(then: Callable[[list[int]], None]) -> None:
        compare.on_click(lambda _button: then([line for line in NUMBERS if buttons[line - 1].value]))

    made = widgets.VBox([widgets.HTML(f"<b>{_asked()}</b>"), program, compare])
    return made, on_compare


def _as_written(code: str) -> str:
    return code.replace(" ", "\N{NO-BREAK SPACE}")  # a button would shorten the spaces


def _asked() -> str:
    return _("In which lines do you see a bug?")
