"""A measurement that waits for its guess: until there is one, a box asks for it instead of its card.

So running all cells spoils no guess. Until the measurement is shown, it is neither in an output nor on record.
"""

from collections.abc import Callable

from nnopt_lab.course.boxes import alert, form, number_row
from nnopt_lab.course.cards import FONT, Card, badge, inline
from nnopt_lab.workbench.language import _, translated

COVERS = "nnopt_covers"  # key of an output's metadata, and of a cell's until it has run: the words of `covers`
WAITS = "nnopt_waits"  # key of an output's metadata: the words of the button that leads to what waits

_waiting: dict[str, list[Callable[[], None]]] = {}  # by name: replaces each box by the card


def waiting_box(name: str, unit: str, commit: Callable[[str], Card], measure: Callable[[], Card]):
    """The box that asks for the guess; `end_waiting` puts the card of the measurement in its place.

    Args:
        name, unit: of the prediction.
        commit: called with the text of the field; returns a "bad" card if it is no guess.
        measure: puts the measurement on record; returns its card.
    """
    import ipywidgets as widgets

    shown, answer = translated(name), widgets.HTML()
    title = _("Measured: {name}", name=shown)

    def read(typed: str) -> None:
        card = commit(typed)
        if card.mood == "bad":
            answer.value = alert(card.title)
        else:
            end_waiting(name)

    told = _("The number is hidden until you guess it.")
    head = widgets.HTML(f'<div style="{FONT}">{badge("guess")}<strong>{inline(title)}</strong><br>{inline(told)}</div>')
    row = number_row(_("Your guess"), _("Your guess: {name}", name=shown), _("Commit my guess"), translated(unit), read)
    skip = widgets.Button(description=_("Show without a guess"))
    skip.on_click(lambda _button: end_waiting(name))
    skip_all = widgets.Button(description=_("Show all without guesses"))
    skip_all.on_click(lambda _button: [end_waiting(other) for other in tuple(_waiting)])
    skips = widgets.HBox([skip, skip_all], _dom_classes=["nnopt-skips"])
    saved = Card(title, "guess", (_("Waits for your guess: run this cell again."),))
    made = form([head, row, answer, skips], saved, "guess")
    made.noted = {COVERS: _counting_covers(), WAITS: _counting_waits()}
    _waiting.setdefault(name, []).append(lambda: made.replace(measure()))
    return made


def covers() -> str:
    """What JupyterLab's extension shows in the place of what tells a number that is still to be guessed."""
    return _("Hidden until you guess above.")


def _counting_covers() -> str:
    """Two lines: `covers` for one result, and for several, with {count} in the place of their number."""
    return "\n".join((covers(), _("{count} results are hidden until you guess above.", count="{count}")))


def _counting_waits() -> str:
    """Three lines: the button's text for one guess, its text for {count} guesses, and its tooltip."""
    several = _("≈ {count} guesses wait", count="{count}")
    return "\n".join((_("≈ 1 guess waits"), several, _("Go to the next guess that waits")))


def is_waiting(name: str) -> bool:
    """Whether the measurement waits for a guess."""
    return name in _waiting


def end_waiting(name: str) -> bool:
    """Show the measurement that waits for a guess; returns whether one did."""
    shows = _waiting.pop(name, [])
    for show in shows:
        show()
    return bool(shows)
