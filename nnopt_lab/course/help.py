"""Help under the card of an exercise that is not passed yet: a button for its hints, and at last a solution."""

from dataclasses import dataclass, replace

from nnopt_lab.course import record
from nnopt_lab.course.cards import FONT, Card, Line, fold, inline
from nnopt_lab.course.cell_output import shell
from nnopt_lab.course.exercises import Exercise, exercises
from nnopt_lab.course.solutions import solution
from nnopt_lab.course.static_outputs import CURRENT
from nnopt_lab.course.workspace import workspace
from nnopt_lab.workbench.language import _, translated

HINTS = 3
CLASS = "nnopt-help"  # of the widget, which the course's extension of JupyterLab gives its look
TRIES = 5  # with three hints, before the solution is shown


@dataclass(frozen=True, repr=False)
class HelpCard(Card):
    """The card of an exercise that is not passed yet; its last line says how to get a hint.

    A notebook shows a button for that instead of the line. Every hint taken so far stands in a fold.

    Attributes:
        exercise: its id.
    """

    exercise: str = ""

    def _repr_html_(self) -> str:
        return _within(super()._repr_html_(), _folds(self.exercise))

    def _ipython_display_(self) -> None:
        from IPython.display import display

        bundle = self.forms()
        if hasattr(shell(), "kernel"):
            bundle = box(self)._repr_mimebundle_() | bundle
        display(bundle, raw=True)


def take_hint(id: str) -> int:
    """Record a hint, and return its place, 0 to 2; after the third, that of the third again."""
    with record.change() as contents:
        place = min(contents["hints"].get(id, 0), HINTS - 1)
        contents["hints"][id] = place + 1
    return place


def titled_hint(exercise: Exercise, place: int) -> tuple[str, str]:
    """A hint's title, which counts it, and its text."""
    return _("Hint {place} of {count}", place=place + 1, count=HINTS), translated(exercise.hints[place])


def box(card: HelpCard):
    """The card as a widget, with a button that opens the next hint."""
    import ipywidgets as widgets

    id = card.exercise
    without_line = Card._repr_html_(replace(card, lines=card.lines[:-1]))
    shown, folds = widgets.HTML(without_line), widgets.HTML()
    static = widgets.HTML(_dom_classes=[CURRENT], layout={"display": "none"})  # seen only in a saved notebook
    button = widgets.Button(tooltip=_("Hints cost no points"), layout={"width": "auto", "align_self": "flex-start"})
    how = f'<div style="margin-top:6px;opacity:0.75">{inline(_("*Check* again for a hint."))}</div>'

    def update(are_open: bool = False) -> None:
        taken, hints = _taken(id), _folds(id, are_open)
        static.value = _within(without_line, hints, "" if taken >= HINTS else how)
        button.description = _("Hint {place} of {count}", place=taken + 1, count=HINTS)
        button.layout.display = "none" if taken >= HINTS else None
        folds.value = hints  # last, so that what is seen is also what would be saved

    def open_next(button) -> None:
        take_hint(id)
        update(are_open=True)

    update()
    button.on_click(open_next)
    return widgets.VBox([shown, folds, button, static], _dom_classes=[CLASS, f"nnopt-{card.mood}"])


def _within(card: str, *more: str) -> str:
    """A card's HTML with more in it, below its lines."""
    return card.removesuffix("</div>") + "".join(more) + "</div>"


def _folds(id: str, are_open: bool = False) -> str:
    """The hints taken so far, and the solution or what is missing for it, in HTML."""
    exercise, taken = exercises()[id], _taken(id)
    hints = [fold(*titled_hint(exercise, n), are_open) for n in range(taken)]
    after = [fold(summary, line) for summary, line in _solution(exercise)] if taken == HINTS else []
    return f'<div style="{FONT}">{"".join(hints + after)}</div>' if hints else ""


def _solution(exercise: Exercise) -> list[tuple[str, Line]]:
    code = solution(exercise)
    tries = record.read(workspace())["exercises"].get(exercise.id, {}).get("attempts", 0)
    if not code:
        return []
    if tries < TRIES:
        told = _("It is shown here after {most} tries; so far you have made {tries}.", most=TRIES, tries=tries)
        return [(_("A solution"), told)]
    return [(_("A solution"), ("", code))]


def _taken(id: str) -> int:
    return min(record.read(workspace())["hints"].get(id, 0), HINTS)
