"""Boxes in which a learner answers, with buttons or a number; where no kernel runs, a notebook shows a card instead."""

import asyncio
import unicodedata
from collections.abc import Callable
from functools import cache

from nnopt_lab.course.cards import ACCENTS, FONT, WIDTH, Card, inline
from nnopt_lab.course.static_outputs import CURRENT
from nnopt_lab.workbench.language import _

CLASS = "nnopt-box"
ARRIVES = 1  # seconds until a field's text has followed its Enter, on a busy machine too


def number_row(label: str, tooltip: str, button: str, unit: str, commit: Callable[[str], None], value: str = ""):
    """A row with a field for a number, its unit and a button; the button and Enter commit the field's text.

    Args:
        label: the field's name, also for screen readers.
        tooltip: of the field.
        button: its text.
        unit: shown after the field.
        commit: called with the text as Python writes numbers: with a decimal point for a comma, in ASCII, and without
            the unit, which is a percent sign where there is none.
        value: the text in the field at first.
    """
    import ipywidgets as widgets

    # Not a FloatText, which starts at 0, so that an early click would commit 0.
    number = widgets.Text(
        value=value,
        description=label,
        placeholder=_("a number"),
        tooltip=tooltip,
        continuous_update=False,  # else Enter could overtake the last letters of a fast hand
        style={"description_width": "initial"},
        layout=widgets.Layout(width="14em"),
    )
    pressed = widgets.Button(description=button, button_style="primary")

    def read(*_) -> None:
        commit(_plain(number.value, unit))

    entered = []  # the timer of an Enter whose text may still be on its way: a page sends Enter first

    def finish(*_) -> None:
        if entered:
            entered.pop().cancel()
            read()

    def on_message(_, content, __) -> None:
        if content.get("event") != "submit" or entered:  # `on_submit` is deprecated
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            read()
        else:
            entered.append(loop.call_later(ARRIVES, finish))

    number.observe(finish, "value")
    pressed.on_click(read)
    number.on_msg(on_message)
    return widgets.HBox([number, widgets.Label(unit), pressed])


def alert(text: str) -> str:
    """What is wrong with an answer, in HTML that screen readers say at once."""
    return f'<div role="alert" style="{FONT}">{inline(text)}</div>'


def _plain(typed: str, unit: str) -> str:
    """A number as Python writes it, without its unit; Chinese keyboards type wide digits and points, too."""
    plain = unicodedata.normalize("NFKC", typed).strip().replace(",", ".")
    for end in {"": "%", "×": "×xX"}.get(unit) or [unit]:
        plain = plain.removesuffix(end).rstrip()
    return plain


def box(parts: list, without_kernel: Card):
    """Widgets one below the other; where no kernel runs, and as text, they are shown as a card.

    Once it is shown, `box.replace(card)` puts a card in its place, and `box.keep(card)` leaves the widgets, and the
    card for when the kernel has ended. `box.leave(card)` does so without drawing the widgets again.
    """
    import ipywidgets as widgets

    static = widgets.HTML(without_kernel._repr_html_(), _dom_classes=[CURRENT], layout={"display": "none"})
    made = _class()([*parts, static])
    made.add_class(CLASS)
    made.without_kernel, made.static = without_kernel, static
    return made


def form(parts: list, without_kernel: Card, mood: str = "neutral"):
    """A `box` that looks like a card of a mood."""
    made = box(parts, without_kernel)
    # The background is in the style sheet of JupyterLab's extension, because no widget's layout has one.
    made.layout = {"border_left": f"4px solid {ACCENTS[mood]}", "padding": "8px 14px", "max_width": WIDTH}
    made.add_class("nnopt-form")
    made.add_class(f"nnopt-{mood}")
    return made


@cache
def _class() -> type:
    import ipywidgets as widgets

    class Box(widgets.VBox):
        without_kernel = static = place = wait = remind = noted = None  # noted: metadata of the output

        def __repr__(self) -> str:
            return repr(self.without_kernel)

        def _ipython_display_(self) -> None:
            from IPython.display import display

            self.place = display(self._forms(), metadata=self.noted, raw=True, display_id=True)

        def leave(self, card: Card) -> None:
            self.static.value = card._repr_html_()

        def keep(self, card: Card) -> None:
            self.without_kernel = card
            self.leave(card)
            self._update(self._forms())

        def replace(self, card: Card) -> None:
            self._update(card.forms())

        def _update(self, forms: dict) -> None:
            if self.place is not None:
                self.place.update(forms, raw=True)

        def _forms(self) -> dict:
            card = self.without_kernel  # ipywidgets would cut the text
            forms = {"text/plain": repr(card), "text/html": f'<div class="{CLASS}">{card._repr_html_()}</div>'}
            return self._repr_mimebundle_() | forms

    return Box
