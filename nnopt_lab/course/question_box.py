"""A question's buttons, or its field for a number, where the course's extension of JupyterLab does not show its own.

A kernel can't write into a cell's code, which graders read; so after a press, the box says what to type there.
"""

from collections.abc import Callable
from dataclasses import dataclass

from nnopt_lab.course.boxes import box, number_row
from nnopt_lab.course.cards import Card
from nnopt_lab.course.exercises import Question
from nnopt_lab.workbench.language import _


@dataclass(frozen=True, repr=False)
class UnansweredCard(Card):
    """The card of a question without an answer, which the course's extension of JupyterLab shows as fields instead."""

    def _repr_html_(self) -> str:
        return f'<div class="nnopt-unanswered">{super()._repr_html_()}</div>'


def question_box(asked: Question, unanswered: Card, judge: Callable[[str | float], Card]):
    """The box that answers a question.

    Args:
        asked: the question.
        unanswered: its card.
        judge: a function of an answer → the card with the verdict.
    """
    import ipywidgets as widgets

    text, verdict = (widgets.HTML(value) for value in (unanswered._repr_html_(), ""))

    def give(answer: str | float) -> None:
        card = judge(answer)
        if card.mood != "good":
            verdict.value = card._repr_html_()
            return
        typed = _("Type it into this cell, too, where it is kept and graded: `{code}`", code=_code(asked, answer))
        card = Card(card.title, card.mood, (*card.lines, typed))
        verdict.value = card._repr_html_()
        made.replace(card)  # the card stays when the kernel ends, the box would not

    def button(letter: str) -> widgets.Button:
        pressed = widgets.Button(description=letter, tooltip=asked.choices[letter], layout={"width": "4em"})
        pressed.on_click(lambda _: give(letter))
        return pressed

    def give_number(text: str) -> None:
        try:
            give(float(text))
        except ValueError:
            give(text)

    if asked.choices:
        row = widgets.HBox(list(map(button, asked.choices)))
    else:
        row = number_row(_("Your answer"), "", _("Answer"), "", give_number)
    made = box([text, row, verdict], unanswered)
    return made


def _code(asked: Question, answer: str | float) -> str:
    given = f'"{answer}"' if asked.choices else f"{answer:.15g}"
    return f'question("{asked.id}", {given})'
