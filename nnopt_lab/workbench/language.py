"""The language that the course speaks, and translations of the texts that it shows.

A text is looked up when it is shown. Keys, records and comparisons keep the English text, which is also shown where
there is no translation.

- `_("You have {count} points.", count=3)` marks a text of the library itself; `nnopt translate` finds such calls.
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

from nnopt_lab.workbench.paths import KIT, PACKAGE

ENGLISH = "en"
VARIABLE = "NNOPT_LANGUAGE"
DOMAIN = "nnopt_lab"
LOCALE_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set counts, as in gettext
FIELD = re.compile(r"\{\d+\}")  # of a template, to look texts up
ANY_FIELD = re.compile(r"\{\w+\}")  # also by name, as in the library's texts
# Contexts, in the sense of gettext: of texts that a lesson's own code prints, and of those that the library marks. A
# lesson's "points" may be percentage points, and the library's those of exercises.
PRINTED, MESSAGE = "printed", "message"
_LETTERS = re.compile(r"[^\W\d_]{2}")
_SENTENCE_END = re.compile(r"[.!?](?= )")
_VALUE = r"(?:(?![.!?] [A-Z])[^\n])"  # a character in a field, which does not go on into another sentence
_LAST_FIELD = f"{_VALUE}*?)"
_FULL_WIDTH = ("。", "！", "？")
_CHINESE = r"[\u3400-\u9fff，。；：！？、（）“”]"
_CHINESE_END, _CHINESE_START = re.compile(rf"{_CHINESE} ?$"), re.compile(rf" ?{_CHINESE}")
_QUOTES = ("`", "'", '"', "“", "「")

_chosen: list[str] = []  # the language of `set_language`, if it was called


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
        context: PRINTED looks up only what the lessons' own code prints; default every text.
    """
    language = spoken_language()
    if language == ENGLISH or not _LETTERS.search(text):
        return text
    core = text.strip()
    found = _translate(core, context, language)
    return text if found == core else text.replace(core, found, 1)


def translated_sentences(text: str) -> str:
    """As `translated`, for a text that may have been put together from several: else sentence by sentence."""
    found = translated(text)
    if found != text:
        return found
    for end in _SENTENCE_END.finditer(text):
        first = translated(text[: end.end()])
        if first != text[: end.end()]:
            rest = translated_sentences(text[end.end() :].lstrip())
            return first + rest if first.endswith(_FULL_WIDTH) else f"{first} {rest}"
    return text


def _(text: str, /, **fields) -> str:
    """A text of the library in the current language, with its fields, such as {name}, filled in.

    Args:
        text: in English, a literal, so that `nnopt translate` finds it.
        fields: by name; all that the text has.
    """
    language = spoken_language()
    found = text if language == ENGLISH else _catalog(language).pgettext(MESSAGE, text)
    return found.format(**fields) if fields else found


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


def characters(language: str) -> set[str]:
    """The letters and marks, without spaces, of all translations into a language."""
    said = "".join(translation for _, _, translation in _messages(language))
    return {character for character in said if character.isprintable() and not character.isspace()}


def forget_catalogs() -> None:
    """Read the catalogues anew at the next look-up, after they were written."""
    for cached in (_others, _translate, _catalog, _templates):
        cached.cache_clear()


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
def _translate(text: str, context: str, language: str) -> str:
    catalog = _catalog(language)
    found = catalog.pgettext(context, text) if context else catalog.gettext(text)
    if found != text:
        return found
    second_best = text
    for pattern, translation in _templates(language, context):
        if match := pattern.fullmatch(text):
            filled = _filled_in(match, translation, language)
            # A template that ends with a field takes the full stop of a sentence for a part of the field.
            if not (text.endswith(".") and pattern.pattern.endswith(_LAST_FIELD)):
                return filled
            second_best = filled if second_best == text else second_best
    return second_best


def _filled_in(match: re.Match, translation: str, language: str) -> str:
    text, end = "", 0
    for field in FIELD.finditer(translation):
        text = _beside(text, translation[end : field.start()])
        text, end = _beside(text, _value(match, field, language)), field.end()
    return _beside(text, translation[end:])


def _value(match: re.Match, field: re.Match, language: str) -> str:
    value, before = match[f"field{field.group()[1:-1]}"], field.string[: field.start()]
    is_verbatim = before.endswith(_QUOTES) or not _LETTERS.search(value)
    return value if is_verbatim else value.replace(value.strip(), _translate(value.strip(), "", language), 1)


def _beside(before: str, after: str) -> str:
    """Two parts of a text as one; between Chinese characters, the space falls away that stands beside Latin ones."""
    if _CHINESE_END.search(before) and _CHINESE_START.match(after):
        return before.rstrip(" ") + after.lstrip(" ")
    return before + after


@cache
def _catalog(language: str) -> gettext.NullTranslations:
    try:
        with catalog_file(language).open("rb") as file:
            return gettext.GNUTranslations(file)
    except OSError:
        return gettext.NullTranslations()


@cache
def _templates(language: str, context: str) -> list[tuple[re.Pattern, str]]:
    """The messages with fields, as patterns with their translations, those with the most text of their own first."""
    found = [(text, said) for of, text, said in _messages(language) if of == context and FIELD.search(text)]
    found.sort(key=lambda message: -len(FIELD.sub("", message[0])))
    return [(_pattern(template), translation) for template, translation in found]


def _messages(language: str) -> list[tuple[str, str, str]]:
    """The context, the text and the translation of every entry of a catalogue."""
    import polib  # on use, because only other languages need it

    if not catalog_file(language).is_file():
        return []
    return [(e.msgctxt or "", e.msgid, e.msgstr) for e in polib.mofile(str(catalog_file(language)))]


def _pattern(template: str) -> re.Pattern:
    texts, fields = FIELD.split(template), FIELD.findall(template)
    pattern = re.escape(texts[0])
    for field, text in zip(fields, texts[1:], strict=True):
        pattern += f"(?P<field{field[1:-1]}>{_VALUE}*?){re.escape(text)}"
    return re.compile(pattern)
