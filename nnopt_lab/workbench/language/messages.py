"""Texts as they are shown: the library's own, marked as `_` or as a `Message`, and those of other parts."""

import re

from nnopt_lab.workbench.language.catalogs import MESSAGE, catalog
from nnopt_lab.workbench.language.choice import ENGLISH, spoken_language
from nnopt_lab.workbench.language.lookup import LETTERS, look_up
from nnopt_lab.workbench.language.templates import with_fields
from nnopt_lab.workbench.language.typography import continued

_SENTENCE_END = re.compile(r"[.!?](?= )")

_entered: list[str] = []  # the lesson of `enter_lesson`, whose own texts go before other lessons'


class Message(str):
    """A text of the library with its fields filled in, as by `_`, which is translated only when it is shown.

    Everywhere else it is its English text, so that records and comparisons don't depend on the language.

    Args:
        text: in English, a literal, so that `nnopt translate` finds it.
        fields: by name; all that the text has. Messages among them are translated too.
    """

    __slots__ = ("_parts",)

    def __new__(cls, text: str, /, **fields):
        made = super().__new__(cls, text.format(**fields) if fields else text)
        made._parts = [(text, fields)]
        return made

    def __reduce__(self) -> tuple:
        return str, (str(self),)

    def without_end(self, end: str) -> "Message":
        """The message without its last text if that is `end`; the whole message if it is not, or if nothing is left."""
        *parts, (text, fields) = self._parts
        last = text.format(**fields) if fields else text
        if not parts or last != end or not self.endswith(f" {end}"):
            return self
        made = Message(self.removesuffix(f" {end}"))
        made._parts = parts
        return made

    @property
    def said(self) -> str:
        """The text in the current language."""
        text = ""
        for part, fields in self._parts:
            text = continued(text, translated_sentences(part) if fields is None else _(part, **fields))
        return text


def joined(*texts: str) -> Message:
    """Sentences one after the other; a text that is no message is looked up when it is shown."""
    made = Message(" ".join(texts))
    made._parts = [part for text in texts for part in getattr(text, "_parts", [(text, None)])]
    return made


def spoken(text):
    """A message in the current language; anything else, such as the text of a learner's value, as it is."""
    return text.said if isinstance(text, Message) else text


def translated(text: str, context: str = "") -> str:
    """The text in the current language, or the text itself if it has no translation.

    A text that a program has put together, such as "16 bits, nearest", is found by its template, "{0} bits, {1}";
    what stands in the fields is translated too, except in quotation marks and as `code`. White space around the text
    is kept.

    Args:
        text: in English.
        context: PRINTED looks up only what the lessons' own code prints, DOMAIN the library's own texts first; default
            every text, those of the current lesson first.
    """
    language = spoken_language()
    if language == ENGLISH or not LETTERS.search(text):
        return text
    if isinstance(text, Message):
        return text.said
    core = text.strip()
    found = look_up(core, context, language, *_entered)
    return text if found == core else text.replace(core, found, 1)


def translated_sentences(text: str) -> str:
    """As `translated`, for a text that may have been put together from several: else sentence by sentence."""
    found = translated(text)
    if found != text:
        return found
    for end in _SENTENCE_END.finditer(text):
        first = translated(text[: end.end()])
        if first != text[: end.end()]:
            return continued(first, translated_sentences(text[end.end() :].lstrip()))
    return text


def enter_lesson(name: str) -> None:
    """Let a lesson's own texts go before those of other lessons, where the two are translated differently."""
    _entered[:] = [name]


def _(text: str, /, **fields) -> str:
    """A text of the library in the current language, with its fields, such as {name}, filled in.

    Args:
        text: in English, a literal, so that `nnopt translate` finds it.
        fields: by name; all that the text has.
    """
    language = spoken_language()
    if language == ENGLISH:
        return text.format(**fields) if fields else text
    found = catalog(language).pgettext(MESSAGE, text) or text
    return with_fields(found, {name: spoken(value) for name, value in fields.items()}) if fields else found


def counted(count: int, one: str, many: str, /, **fields) -> str:
    """One of two texts of the library, as `count` demands in English, in the current language, with its fields.

    A language with one form has the same translation of both; one with several forms needs a wording that fits every
    number.

    Args:
        count: fills the field {count}.
        one, many: literals, as for `_`.
        fields: further ones.
    """
    return counted_message(count, one, many, **fields).said


def counted_message(count: int, one: str, many: str, /, **fields) -> Message:
    """As `counted`, for a message."""
    return Message(one if count == 1 else many, count=count, **fields)
