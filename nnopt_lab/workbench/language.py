"""The language that the course speaks, and translations of the texts that it shows.

A text is looked up when it is shown: `translated("Two of three.")`. Keys, records and comparisons keep the English
text. Without a translation, the English text is shown.
"""

import gettext
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from nnopt_lab.workbench.paths import PACKAGE

ENGLISH = "en"
VARIABLE = "NNOPT_LANGUAGE"
DOMAIN = "nnopt_lab"
LOCALE_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set counts, as in gettext
FIELD = re.compile(r"\{\d+\}")

_chosen: list[str] = []  # the language of `set_language`, if it was called


def languages() -> list[str]:
    """Codes of the languages that the course speaks, English first."""
    return [ENGLISH, *sorted(path.parts[-3] for path in _locale_folder().glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))]


def set_language(name: str | None) -> None:
    """Choose the language of this process; None returns to the variable or the system's locale.

    Raises:
        ValueError: the course does not speak it.
    """
    _chosen[:] = [] if name is None else [_known(name, "language")]


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
    """The language in use: that of `set_language`, else of `$NNOPT_LANGUAGE`, else of the system's locale.

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
        return _known(named, VARIABLE)
    system = next((environment[name] for name in LOCALE_VARIABLES if environment.get(name)), "")
    code = _code(system.split(":")[0])
    return code if code in languages() else ENGLISH


def translated(text: str) -> str:
    """The text in the current language, or the text itself if it has no translation.

    A text that a program has put together, such as "16 bits, nearest", is found by its template, "{0} bits, {1}";
    what stands in the fields is translated too. White space around the text is kept.
    """
    language = current_language()
    if language == ENGLISH or not text or text.isspace():
        return text
    core = text.strip()
    found = _translate(core, language)
    return text if found == core else text.replace(core, found, 1)


def translated_plural(singular: str, plural: str, count: int) -> str:
    """One of two texts, as `count` demands, in the current language."""
    language = current_language()
    if language == ENGLISH:
        return singular if count == 1 else plural
    return _catalog(language).ngettext(singular, plural, count)


def forget_catalogs() -> None:
    """Read the catalogues anew at the next look-up, after they were written."""
    for cached in (_translate, _catalog, _templates):
        cached.cache_clear()


def catalog_file(language: str) -> Path:
    """The path of a language's compiled catalogue."""
    return _locale_folder() / language / "LC_MESSAGES" / f"{DOMAIN}.mo"


def _locale_folder() -> Path:
    return PACKAGE / "locale"


def _known(name: str, argument: str) -> str:
    code = _code(name)
    if code not in languages():
        raise ValueError(f"{argument}={name!r} must be one of: {', '.join(languages())}.")
    return code


def _code(name: str) -> str:
    """The language of a locale: zh of zh_CN.UTF-8."""
    return re.split(r"[_.@-]", name.strip())[0].lower()


@cache
def _translate(text: str, language: str) -> str:
    found = _catalog(language).gettext(text)
    if found != text:
        return found
    for pattern, translation in _templates(language):
        if match := pattern.fullmatch(text):
            return FIELD.sub(lambda field: _field(match, field.group(), language), translation)
    return text


def _field(match: re.Match, field: str, language: str) -> str:
    value = match[f"field{field[1:-1]}"]
    return _catalog(language).gettext(value) if value else ""


@cache
def _catalog(language: str) -> gettext.NullTranslations:
    try:
        with catalog_file(language).open("rb") as file:
            return gettext.GNUTranslations(file)
    except OSError:
        return gettext.NullTranslations()


@cache
def _templates(language: str) -> list[tuple[re.Pattern, str]]:
    """The messages with fields, as patterns with their translations, those with the most text of their own first."""
    import polib  # on use, because only other languages need it

    if not catalog_file(language).is_file():
        return []
    messages = [(e.msgid, e.msgstr) for e in polib.mofile(str(catalog_file(language))) if FIELD.search(e.msgid)]
    messages.sort(key=lambda message: -len(FIELD.sub("", message[0])))
    return [(_pattern(template), translation) for template, translation in messages]


def _pattern(template: str) -> re.Pattern:
    texts, fields = FIELD.split(template), FIELD.findall(template)
    pattern = re.escape(texts[0])
    for field, text in zip(fields, texts[1:], strict=True):
        pattern += f"(?P<field{field[1:-1]}>[^\\n]*?){re.escape(text)}"
    return re.compile(pattern)
