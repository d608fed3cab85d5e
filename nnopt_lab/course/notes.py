"""Notes: single quiet lines between a lesson's outputs, in HTML in a notebook and as text elsewhere."""

from dataclasses import dataclass

from nnopt_lab.course.cards import FONT, WIDTH, Card, badge, inline
from nnopt_lab.course.cell_output import shell


@dataclass(frozen=True, repr=False)
class Note(Card):
    """A card of one quiet line, without a frame."""

    mood: str = "quiet"

    def _repr_html_(self) -> str:
        style = f"margin:2px 0 8px;max-width:{WIDTH};padding-left:1.8em;text-indent:-1.8em;{FONT}"
        return f'<div class="nnopt-note" style="{style}">{badge(self.mood)}{inline(self.title)}</div>'


def note(text: str) -> None:
    """Show a note now."""
    if shell() is None:
        print(Note(text))
        return
    from IPython.display import display

    display(Note(text))
