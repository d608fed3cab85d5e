"""The bug hunt of lesson 00: mark the lines in which you see a bug, then hear which have one, but not what it is."""

from collections.abc import Iterable

from nnopt_lab.course.boxes import box
from nnopt_lab.course.cards import ACCENTS, WIDTH, Card
from nnopt_lab.course.cell_output import seen
from nnopt_lab.workbench.language import _

PROGRAM = range(1, 22)  # its lines
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
        lines: their numbers, 1 to 21; without any, a box with a button for each line is shown.

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
    return _compared(set(marked)) if marked else _box()


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


def _box():
    import ipywidgets as widgets

    buttons = [
        widgets.ToggleButton(description=str(line), tooltip=_("line {line}", line=line), layout={"width": "3.2em"})
        for line in PROGRAM
    ]
    compare = widgets.Button(description=_("Compare"), button_style="primary")
    answer = widgets.HTML()

    def show(_button) -> None:
        marked = {line for line, button in zip(PROGRAM, buttons, strict=True) if button.value}
        card = _compared(marked)
        answer.value = card._repr_html_()
        if made.place is not None:
            made.place.update(card)  # the card stays when the kernel ends, the box would not

    compare.on_click(show)
    asked = _("In which lines do you see a bug?")
    row = widgets.HBox([*buttons, compare], layout={"flex_flow": "row wrap"})
    written = _(
        "Write the numbers of the lines into this cell, such as {code}, and run it.", code="`mark_bugs([3, 8])`"
    )
    made = box([widgets.HTML(f"<b>{asked}</b>"), row, answer], Card(asked, "neutral", (written,)))
    made.layout = {"border_left": f"4px solid {ACCENTS['neutral']}", "padding": "8px 14px", "max_width": WIDTH}
    made.add_class("nnopt-form")
    return made
