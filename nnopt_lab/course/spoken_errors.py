"""An error of the course's own in a lesson's cell: its sentence in the language in use, below Python's traceback."""

import traceback
from types import TracebackType

from nnopt_lab.course.cards import Card
from nnopt_lab.workbench.language import translated_sentences
from nnopt_lab.workbench.paths import PACKAGE


def spoken_card(error: ValueError, trace: TracebackType) -> Card | None:
    """The card with the sentence, or None if the error is not the course's or has no translation."""
    *_, (last, _) = traceback.walk_tb(trace)
    english = str(error)
    said = translated_sentences(english)
    is_ours = last.f_code.co_filename.startswith(str(PACKAGE))
    return Card(said, "bad") if is_ours and said != english else None
