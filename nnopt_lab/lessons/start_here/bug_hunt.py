"""The bug hunt of lesson 00: mark the lines in which you see a bug, then hear which have one, but not what it is."""

from collections.abc import Callable, Iterable

from nnopt_lab.course import record
from nnopt_lab.course.boxes import form
from nnopt_lab.course.cards import Card
from nnopt_lab.course.cell_output import seen
from nnopt_lab.course.workspace import workspace
from nnopt_lab.workbench.language import _

NAME = "bug_hunt"
PROGRAM = range(1, 22)  # its lines
IN_A_ROW = 7  # buttons, three rows of them
BUGS = {  # by number, as in the lesson: the lines that show it, the plainest one first
    1: (7, 16),
    2: (4,),
    3: (10,),
    4: (11,),
    5: (12,),
    6: (7,),
    7: (7, 10, 11, 12),
    8: (9, 10, 11, 12),
    9: (15, 16),
    10: (19, 20, 21),
    11: (19,),
    12: (18,),
    13: (17,),
}


@seen
def mark_bugs(lines: Iterable[int] = ()):
    """Compare the lines that you mark with those that have a bug.

    Args:
        lines: their numbers, 1 to 21; without any, a box with a button for each line is shown, or the card
            of those that were marked last.

    Returns:
        A card, or the box.
    """
    marked = list(lines) if isinstance(lines, Iterable) else [lines]
    if not all(line in PROGRAM for line in marked):
        wanted = _(
            "Mark the bugs with the numbers of lines from 1 to {last}, such as {code}.",
            last=PROGRAM[-1],
            code="`mark_bugs([3, 8])`",
        )
        return Card(wanted, "bad")
    if not marked:
        return _box()
    _keep(set(map(int, marked)))
    return _compared(set(marked))


def _compared(marked: set[int]) -> Card:
    missed = sorted({lines[0] for lines in BUGS.values() if marked.isdisjoint(lines)})
    found = sum(not marked.isdisjoint(lines) for lines in BUGS.values())
    innocent = sorted(marked.difference(*BUGS.values()))
    told = [_("Bugs that you have not marked are in these lines: {lines}.", lines=_listed(missed))] if missed else []
    if innocent:
        told.append(_("These of your lines have no bug: {lines}.", lines=_listed(innocent)))
    title = _("Your lines hold {count} of the {bugs} bugs", count=found, bugs=len(BUGS))
    return Card(title, "neutral", (*told, _("Now find out what is wrong in each.")))


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
    again = widgets.Button(description=_("Mark again"))

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
    """Buttons for the lines, and a function that calls another with the marked lines when they are to be compared."""
    import ipywidgets as widgets

    buttons = [
        widgets.ToggleButton(
            value=line in marked,
            description=str(line),
            tooltip=_("line {line}", line=line),
            layout={"width": "3.2em"},
        )
        for line in PROGRAM
    ]
    compare = widgets.Button(description=_("Compare"), button_style="primary")
    grid = widgets.GridBox(buttons, layout={"grid_template_columns": f"repeat({IN_A_ROW}, max-content)"})

    def on_compare(then: Callable[[list[int]], None]) -> None:
        compare.on_click(lambda _button: then([line for line in PROGRAM if buttons[line - 1].value]))

    made = widgets.VBox([widgets.HTML(f"<b>{_asked()}</b>"), grid, compare])
    return made, on_compare


def _asked() -> str:
    return _("In which lines do you see a bug?")
