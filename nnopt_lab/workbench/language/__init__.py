"""The language that the course speaks, and translations of the texts that it shows.

A text is looked up when it is shown. Keys, records and comparisons keep the English text, which is also shown where
there is no translation.

- `_("You have {count} points.", count=3)` marks a text of the library itself; `nnopt translate` finds such calls.
- `Message("Expected {wanted}.", wanted=3)` marks one that is English until it is shown, because it is also recorded.
- `translated(text)` looks up a text that another part of the course has written, such as a lesson's claim.
"""

from nnopt_lab.workbench.language.catalogs import DOMAIN, MESSAGE, PRINTED, catalog_file, characters, context_of
from nnopt_lab.workbench.language.choice import (
    ENGLISH,
    VARIABLE,
    current_language,
    known_language,
    languages,
    set_language,
    speaking,
    spoken_language,
)
from nnopt_lab.workbench.language.lookup import forget_catalogs, learn
from nnopt_lab.workbench.language.messages import (
    Message,
    _,
    counted,
    counted_message,
    enter_lesson,
    joined,
    spoken,
    translated,
    translated_sentences,
)
from nnopt_lab.workbench.language.templates import ANY_FIELD, FIELD
from nnopt_lab.workbench.language.typography import continued, labelled

__all__ = [
    "ANY_FIELD",
    "DOMAIN",
    "ENGLISH",
    "FIELD",
    "MESSAGE",
    "PRINTED",
    "VARIABLE",
    "Message",
    "_",
    "catalog_file",
    "characters",
    "context_of",
    "continued",
    "counted",
    "counted_message",
    "current_language",
    "enter_lesson",
    "forget_catalogs",
    "joined",
    "known_language",
    "labelled",
    "languages",
    "learn",
    "set_language",
    "speaking",
    "spoken",
    "spoken_language",
    "translated",
    "translated_sentences",
]
