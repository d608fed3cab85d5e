"""The language that the course speaks, and translations of the texts that it shows.

A text is looked up when it is shown. Keys, records and comparisons keep the English text, which is also shown where
there is no translation.

- `_("You have {count} points.", count=3)` marks a text of the library itself; `nnopt translate` finds such calls.
- `Message("Expected {wanted}.", wanted=3)` marks one that is English until it is shown, because it is also recorded.
- `translated(text)` looks up a text that another part of the course has written, such as a lesson's claim.
"""

import gettext
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from nnopt_lab.workbench.paths import KIT, PACKAGE

ENGLISH = "en"
VARIABLE = "NNOPT_LANGUAGE"
DOMAIN = "nnopt_lab"
LOCALE_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set counts, as in gettext
FIELD = re.compile(r"\{\d+\}")  # of a template that is found in code
ANY_FIELD = re.compile(r"\{\w+\}")  # also by name, as in the library's texts
# Contexts, in the sense of gettext: of texts that a lesson's own code prints, and of those that the library marks. A
# lesson's "points" may be percentage points, and the library's those of exercises.
PRINTED, MESSAGE = "printed", "message"
_WORD = re.compile(r"[A-Za-z]{2,}")
_LETTERS = re.compile(r"[^\W\d_]{2}")
_SENTENCE_END = re.compile(r"[.!?](?= )")
_VALUE = r"(?:(?![.!?] [A-Z0-9])[^\n])"  # a character in a field, which does not go on into another sentence
_MARKS = {".": "。", "!": "！", "?": "？"}
_FULL_WIDTH = tuple(_MARKS.values())
_CHINESE = r"[\u3400-\u9fff，。；：！？、（）“”]"
_CHINESE_END, _CHINESE_START = re.compile(rf"{_CHINESE} ?$"), re.compile(rf" ?{_CHINESE}")
_IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_SEPARATORS = [re.compile(one) for one in ("(; )", "( → )", r"(,\s)")]  # of the parts of a label
_COUNT = re.compile(r" \(\d+\)$")  # behind a label
_COMMON_WORD = re.compile(r"(?<![\w.])[a-z]{3,}(?![\w.])")  # rather than a name, such as MyNet or features.0
_WIDE = {", ": "，", ",\n": "，\n", "; ": "；"}
_QUOTES = ("`", "'", '"', "“", "「")

_learned: dict[tuple[str, str], str] = {}
_chosen: list[str] = []  # the language of `set_language`, if it was called
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
            text = _continued(text, translated_sentences(part) if fields is None else _(part, **fields))
        return text


def joined(*texts: str) -> Message:
    """Sentences one after the other; a text that is no message is looked up when it is shown."""
    made = Message(" ".join(texts))
    made._parts = [part for text in texts for part in getattr(text, "_parts", [(text, None)])]
    return made


def spoken(text):
    """A message in the current language; anything else, such as the text of a learner's value, as it is."""
    return text.said if isinstance(text, Message) else text


def languages() -> list[str]:
    """Codes of the languages that the course speaks, English first."""
    return [ENGLISH, *_others()]


def known_language(name: str, argument: str = "language") -> str:
    """Return the code of a language that the course speaks, such as zh for zh_CN.

    Raises:
        ValueError: it speaks no such language; the message names the `argument`.
    """
    code = _code(name)
    if code not in languages():
        raise ValueError(f"{argument}={name!r} must be one of: {', '.join(languages())}.")
    return code


def set_language(name: str | None) -> None:
    """Choose the language of this process; None returns to the variable or the system's locale.

    Raises:
        ValueError: the course does not speak it.
    """
    _chosen[:] = [] if name is None else [known_language(name)]


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """A context manager in which this process speaks a language.

    Raises:
        ValueError: the course does not speak it.
    """
    before = list(_chosen)
    set_language(name)
    try:
        yield
    finally:
        _chosen[:] = before


def current_language(environment: Mapping[str, str] | None = None) -> str:
    """The language in use: that of `set_language`, else of `$NNOPT_LANGUAGE`, of the learner's kit, or of the locale.

    Args:
        environment: variables to read, default the process's own.

    Raises:
        ValueError: `$NNOPT_LANGUAGE` names a language that the course does not speak. A locale of another language
            gives English.
    """
    environment = os.environ if environment is None else environment
    if _chosen:
        return _chosen[0]
    if named := environment.get(VARIABLE):
        return known_language(named, VARIABLE)
    if (kept := _of_kit()) in languages():
        return kept
    system = next((environment[name] for name in LOCALE_VARIABLES if environment.get(name)), "")
    code = _code(system.split(":")[0])
    return code if code in languages() else ENGLISH


def spoken_language() -> str:
    """The language in which texts are shown: `current_language`, or English if that names an unknown one."""
    try:
        return current_language()
    except ValueError:  # a misspelt variable must not break a lesson; the commands refuse it
        return ENGLISH


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
    if language == ENGLISH or not _LETTERS.search(text):
        return text
    if isinstance(text, Message):
        return text.said
    core = text.strip()
    found = _translate(core, context, language, *_entered)
    return text if found == core else text.replace(core, found, 1)


def translated_sentences(text: str) -> str:
    """As `translated`, for a text that may have been put together from several: else sentence by sentence."""
    found = translated(text)
    if found != text:
        return found
    for end in _SENTENCE_END.finditer(text):
        first = translated(text[: end.end()])
        if first != text[: end.end()]:
            return _continued(first, translated_sentences(text[end.end() :].lstrip()))
    return text


def _continued(text: str, sentence: str) -> str:
    return text + sentence if not text or text.endswith(_FULL_WIDTH) else f"{text} {sentence}"


def enter_lesson(name: str) -> None:
    """Let a lesson's own texts go before those of other lessons, where the two are translated differently."""
    _entered[:] = [name]


def context_of(lesson: str, context: str = "") -> str:
    """The context, in the sense of gettext, of a lesson's own translation of a text that others translate otherwise."""
    return f"{lesson} {context}".rstrip()


def _(text: str, /, **fields) -> str:
    """A text of the library in the current language, with its fields, such as {name}, filled in.

    Args:
        text: in English, a literal, so that `nnopt translate` finds it.
        fields: by name; all that the text has.
    """
    language = spoken_language()
    if language == ENGLISH:
        return text.format(**fields) if fields else text
    found = _catalog(language).pgettext(MESSAGE, text) or text
    return _with_fields(found, {name: spoken(value) for name, value in fields.items()}) if fields else found


def counted(count: int, one: str, many: str, /, **fields) -> str:
    """One of two texts of the library, as `count` demands in English, in the current language, with its fields.

    A language with one form has the same translation of both; one with several forms needs a wording that fits every
    number.

    Args:
        count: fills the field {count}.
        one, many: literals, as for `_`.
        fields: further ones.
    """
    return _(one if count == 1 else many, count=count, **fields)


def learn(texts: Mapping[str, Mapping[str, str]]) -> None:
    """Add translations that the catalogues lack, by language and English text, until this process ends."""
    _learned.update({(language, text): said for language, of in texts.items() for text, said in of.items()})
    _translate.cache_clear()


def characters(language: str) -> set[str]:
    """The letters and marks, without spaces, of all translations into a language."""
    said = "".join(translation for _, _, translation in _messages(language))
    return {character for character in said if character.isprintable() and not character.isspace()}


def forget_catalogs() -> None:
    """Read the catalogues anew at the next look-up, after they were written."""
    for cached in (_others, _translate, _catalog, _templates):
        cached.cache_clear()
    _learned.clear()


def catalog_file(language: str) -> Path:
    """The path of a language's compiled catalogue."""
    return _locale_folder() / language / "LC_MESSAGES" / f"{DOMAIN}.mo"


def _locale_folder() -> Path:
    return PACKAGE / "locale"


@cache
def _of_kit() -> str:
    """The language of the learner's kit that contains this package; "" if it names none."""
    with suppress(OSError, ValueError, AttributeError):
        return str(json.loads(KIT.read_text(encoding="utf-8")).get("language", ""))
    return ""


def _code(name: str) -> str:
    """The language of a locale: zh of zh_CN.UTF-8."""
    return re.split(r"[_.@-]", name.strip())[0].lower()


@cache
def _others() -> tuple[str, ...]:
    return tuple(sorted(path.parts[-3] for path in _locale_folder().glob(f"*/LC_MESSAGES/{DOMAIN}.mo")))


@lru_cache(maxsize=10_000)  # a playground writes new numbers with every move
def _translate(text: str, context: str, language: str, lesson: str = "") -> str:
    if found := _looked_up(text, context, language, lesson):
        return found
    if text.endswith(tuple(_MARKS)) and (found := _looked_up(text[:-1], context, language, lesson)):
        return found + (_MARKS[text[-1]] if _IDEOGRAPH.search(found) else text[-1])
    return text


def _looked_up(text: str, context: str, language: str, lesson: str) -> str:
    """The translation of a text or of its template, "" if there is none."""
    if not context and (learned := _learned.get((language, text))):
        return learned
    catalog, general = _catalog(language), "" if context == DOMAIN else context
    own = context_of(DOMAIN) if context == DOMAIN else context_of(lesson, context)
    for among in (own, general, *([MESSAGE] if text.endswith(tuple(_MARKS)) and not context else [])):
        if found := catalog.pgettext(among, text) if among else catalog.gettext(text):
            return found
    if (count := _COUNT.search(text)) and (found := _looked_up(text[: count.start()], context, language, lesson)):
        return found + count[0]
    torn = None  # the first match with a field that holds parts of a list, or half of a pair of parentheses
    for template in _templates(language, general):
        if match := template.pattern.fullmatch(text):
            values = {name.removeprefix("field"): value for name, value in match.groupdict().items()}
            if all(map(_is_whole, values.values())):
                return _filled_in(template, values, language, lesson)
            torn = torn or (template, values)
    if not context and (found := _by_parts(text, language, lesson)):
        return found
    return _filled_in(*torn, language, lesson) if torn else ""


def _filled_in(template: "_Template", values: dict[str, str], language: str, lesson: str) -> str:
    for field in ANY_FIELD.finditer(template.said):
        name = field.group()[1:-1]
        core, is_quoted = values[name].strip(), template.said[: field.start()].endswith(_QUOTES)
        if _LETTERS.search(core) and not is_quoted:
            found = _looked_up(core, template.values, language, lesson) or core
            values[name] = values[name].replace(core, found, 1)
    return _with_fields(template.said, values)


def _is_whole(value: str) -> bool:
    return not any(one.search(value) for one in _SEPARATORS) and value.count("(") == value.count(")")


def _by_parts(text: str, language: str, lesson: str) -> str:
    """The translation of a label that is a list, such as "fused optimizer, bf16".

    It is "" if a word would stay English, unless it is part of a name.
    """
    separator = next((one for one in _SEPARATORS if one.search(text)), None)
    if text.endswith(tuple(_MARKS)) or separator is None:
        return ""
    parts = separator.split(text)
    found = [_looked_up(part, "", language, lesson) if _LETTERS.search(part) else "" for part in parts]
    if any(_COMMON_WORD.search(part) and not said for part, said in zip(parts, found, strict=True)):
        return ""
    said = "".join(said or part for part, said in zip(parts, found, strict=True))
    if not _IDEOGRAPH.search(said):
        return said if any(found) else ""
    return "".join(said or _WIDE.get(part, part) for part, said in zip(parts, found, strict=True))


def _with_fields(template: str, values: Mapping[str, object]) -> str:
    """Fill in the fields; the space falls away that stands beside a Latin name, where two Chinese characters meet."""
    text, end = "", 0
    for field in ANY_FIELD.finditer(template):
        text = _beside(text, template[end : field.start()])
        text, end = _beside(text, str(values[field.group()[1:-1]])), field.end()
    return _beside(text, template[end:])


def _beside(before: str, after: str) -> str:
    if _CHINESE_END.search(before) and _CHINESE_START.match(after):
        return before.rstrip(" ") + after.lstrip(" ")
    return before + after


@cache
def _catalog(language: str) -> gettext.NullTranslations:
    try:
        with catalog_file(language).open("rb") as file:
            catalog = gettext.GNUTranslations(file)
    except OSError:
        catalog = gettext.NullTranslations()
    catalog.add_fallback(_Missing())
    return catalog


class _Missing(gettext.NullTranslations):
    def gettext(self, message: str) -> str:
        return ""

    def pgettext(self, context: str, message: str) -> str:
        return ""


class _Template(NamedTuple):
    pattern: re.Pattern
    said: str
    values: str  # the context of what stands in the fields


@cache
def _templates(language: str, context: str) -> list[_Template]:
    """The messages with fields, those with the most text of their own first.

    Recorded sentences of the library are found here too, and in their fields its other messages of several words.
    """
    found = [
        (len(ANY_FIELD.sub("", text)), _Template(_pattern(text), said, MESSAGE if of == MESSAGE else ""))
        for of, text, said in _messages(language)
        if ANY_FIELD.search(text) and (_is_wordy(text) if of == MESSAGE else of == context)
        if of == context or not context
    ]
    return [template for _, template in sorted(found, key=lambda one: -one[0])]


def _is_wordy(template: str) -> bool:
    """Whether a marked text has so many words that it is not found in other texts by chance, as "no {engine}" would."""
    return len(_WORD.findall(ANY_FIELD.sub("", template))) > 1


def _messages(language: str) -> list[tuple[str, str, str]]:
    """The context, the text and the translation of every entry of a catalogue."""
    import polib  # on use, because only other languages need it

    if not catalog_file(language).is_file():
        return []
    return [(e.msgctxt or "", e.msgid, e.msgstr) for e in polib.mofile(str(catalog_file(language)))]


def _pattern(template: str) -> re.Pattern:
    texts, fields = ANY_FIELD.split(template), ANY_FIELD.findall(template)
    pattern = re.escape(texts[0])
    for place, (field, text) in enumerate(zip(fields, texts[1:], strict=True)):
        name = f"field{field[1:-1]}"
        pattern += f"(?P={name})" if field in fields[:place] else f"(?P<{name}>{_VALUE}*?)"
        pattern += re.escape(text)
    takes_full_stop = texts[-1] or fields[-1] == "{sentence}"
    return re.compile(pattern + ("" if takes_full_stop else r"(?<![.!?])"))
