"""Texts with fields, such as "{count} bits": the patterns of those in a catalogue, and the filling in of fields."""

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from nnopt_lab.workbench.language.catalogs import MESSAGE, entries
from nnopt_lab.workbench.language.typography import beside

FIELD = re.compile(r"\{\d+\}")  # of a template that is found in code
ANY_FIELD = re.compile(r"\{\w+\}")  # also by name, as in the library's texts
_WORD = re.compile(r"[A-Za-z]{2,}")
_VALUE = r"(?:(?![.!?] [A-Z0-9])[^\n])"  # a character in a field, which does not go on into another sentence


class Template(NamedTuple):
    """A text with fields of a catalogue."""

    pattern: re.Pattern
    said: str
    values: str  # the context of what stands in the fields


@cache
def templates(language: str, context: str) -> list[Template]:
    """The messages with fields, those with the most text of their own first.

    Recorded sentences of the library are found here too, and in their fields its other messages of several words.
    """
    found = [
        (len(ANY_FIELD.sub("", text)), Template(_pattern(text), said, MESSAGE if of == MESSAGE else ""))
        for of, text, said in entries(language)
        if ANY_FIELD.search(text) and (_is_wordy(text) if of == MESSAGE else of == context)
        if of == context or not context
    ]
    return [template for _, template in sorted(found, key=lambda one: -one[0])]


def _is_wordy(template: str) -> bool:
    """Whether a marked text has so many words that it is not found in other texts by chance, as "no {engine}" would."""
    return len(_WORD.findall(ANY_FIELD.sub("", template))) > 1


def _pattern(template: str) -> re.Pattern:
    texts, fields = ANY_FIELD.split(template), ANY_FIELD.findall(template)
    pattern = re.escape(texts[0])
    for place, (field, text) in enumerate(zip(fields, texts[1:], strict=True)):
        name = f"field{field[1:-1]}"
        pattern += f"(?P={name})" if field in fields[:place] else f"(?P<{name}>{_VALUE}*?)"
        pattern += re.escape(text)
    takes_full_stop = texts[-1] or fields[-1] == "{sentence}"
    return re.compile(pattern + ("" if takes_full_stop else r"(?<![.!?])"))


def with_fields(template: str, values: Mapping[str, object]) -> str:
    """Fill in the fields; the space falls away that stands beside a Latin name, where two Chinese characters meet."""
    text, end = "", 0
    for field in ANY_FIELD.finditer(template):
        text = beside(text, template[end : field.start()])
        text, end = beside(text, str(values[field.group()[1:-1]])), field.end()
    return beside(text, template[end:])
