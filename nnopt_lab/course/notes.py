"""Notes: single quiet lines between a lesson's outputs, in HTML in a notebook and as text elsewhere."""

from dataclasses import dataclass

from nnopt_lab.course.cards import FONT, WIDTH, inline
from nnopt_lab.course.cell_output import shell


@dataclass(frozen=True)
class Note:
    """A sentence, with `code` and *emphasis*."""

    text: str

    def __repr__(self) -> str:
        return f"○ {self.text}"

    def _repr_html_(self) -> str:
        return (
            f'<div style="margin:0;max-width:{WIDTH};padding-left:1.5em;text-indent:-1.5em;{FONT}">'
            '<span aria-hidden="true" '
            f'style="display:inline-block;width:1.2em;text-indent:0">○</span> {inline(self.text)}</div>'
        )


def note(text: str) -> None:
    """Show a note now."""
    if shell() is None:
        print(Note(text))
        return
    from IPython.display import display

    display(Note(text))
