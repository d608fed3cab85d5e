"""The compiled catalogues: where they are, their languages, and their entries."""

import gettext
from functools import cache
from pathlib import Path

from nnopt_lab.workbench.paths import PACKAGE

DOMAIN = "nnopt_lab"
# Contexts, in the sense of gettext: of texts that a lesson's own code prints, and of those that the library marks. A
# lesson's "points" may be percentage points, and the library's those of exercises.
PRINTED, MESSAGE = "printed", "message"


def context_of(lesson: str, context: str = "") -> str:
    """The context, in the sense of gettext, of a lesson's own translation of a text that others translate otherwise."""
    return f"{lesson} {context}".rstrip()


def catalog_file(language: str) -> Path:
    """The path of a language's compiled catalogue."""
    return _locale_folder() / language / "LC_MESSAGES" / f"{DOMAIN}.mo"


def _locale_folder() -> Path:
    return PACKAGE / "locale"


@cache
def compiled_languages() -> tuple[str, ...]:
    """Codes of the languages that have a catalogue, in alphabetical order."""
    return tuple(sorted(path.parts[-3] for path in _locale_folder().glob(f"*/LC_MESSAGES/{DOMAIN}.mo")))


@cache
def catalog(language: str) -> gettext.NullTranslations:
    """A language's catalogue, which gives "" for a text without a translation."""
    try:
        with catalog_file(language).open("rb") as file:
            found = gettext.GNUTranslations(file)
    except OSError:
        found = gettext.NullTranslations()
    found.add_fallback(_Missing())
    return found


class _Missing(gettext.NullTranslations):
    def gettext(self, message: str) -> str:
        return ""

    def pgettext(self, context: str, message: str) -> str:
        return ""


def entries(language: str) -> list[tuple[str, str, str]]:
    """The context, the text and the translation of every entry of a catalogue."""
    import polib  # on use, because only other languages need it

    if not catalog_file(language).is_file():
        return []
    return [(e.msgctxt or "", e.msgid, e.msgstr) for e in polib.mofile(str(catalog_file(language)))]


def characters(language: str) -> set[str]:
    """The letters and marks, without spaces, of all translations into a language."""
    said = "".join(translation for _, _, translation in entries(language))
    return {character for character in said if character.isprintable() and not character.isspace()}
