"""The form in which a learner guesses a number, and changes the guess until it is measured."""

from collections.abc import Callable
from dataclasses import replace

from nnopt_lab.course.boxes import alert, form, number_row
from nnopt_lab.course.cards import FONT, Card, inline
from nnopt_lab.workbench.language import _, translated


def prediction_box(name: str, unit: str, guess: float | None, committed: Card | None, commit: Callable[[str], Card]):
    """The form, with the guess so far.

    Args:
        name, unit: of the prediction.
        guess, committed: the guess so far and its card; None without one.
        commit: called with the text of the field; returns a "bad" card if it is no guess, a "quiet" one if the guess
            is fixed, else the guess's card.

    Returns:
        A box. `box.wait()` leaves a line of it as long as the measurement itself asks for the guess. `box.remind()`
        says until when a guess can be made.
    """
    import ipywidgets as widgets

    shown, answer = translated(name), widgets.HTML()
    unanswered = Card(_("Predict: {name}", name=shown), "neutral", (_("Run this cell to guess."),))

    def read(typed: str) -> None:
        card = commit(typed)
        {"bad": refuse, "quiet": made.replace}.get(card.mood, accept)(card)

    def refuse(card: Card) -> None:
        answer.value = alert(card.title)

    def accept(card: Card) -> None:
        again = _("Run this cell to change your guess.")
        made.leave(replace(card, lines=(*card.lines, again)))
        button.description = _("Change my guess")
        answer.value = "".join(map(_line, card.lines))  # last, so that what is seen is also what would be saved

    def wait() -> None:
        row.layout.display, answer.value = "none", ""
        label.value = _line(_("Go to the field below to make your guess."))
        made.remove_class("nnopt-form")
        made.add_class("nnopt-below")
        made.layout.border_left = made.layout.padding = "0"

    def remind() -> None:
        answer.value = _line(_("You can still guess until it is measured."))

    typed = "" if guess is None else f"{guess:.15g}"
    tooltip = _("Your guess: {name}", name=shown)
    row = number_row(_("Your guess"), tooltip, _("Commit my guess"), translated(unit), read, typed)
    button = row.children[-1]
    label = widgets.HTML(_("<b>Predict:</b> {name}", name=inline(shown)))
    made = form([label, row, answer], committed or unanswered, "guess")
    if committed is not None:
        accept(committed)
    made.wait, made.remind = wait, remind
    return made


def _line(text: str) -> str:
    return f'<div style="{FONT}">{inline(text)}</div>'
