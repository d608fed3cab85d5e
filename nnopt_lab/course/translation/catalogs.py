"""The translations of a lesson, `solutions/LANGUAGE/NN_name.po`: made, updated, read and compiled.

Those of the library's own texts are in `nnopt_lab.po` beside them, those of the README in `README.po`; both are
treated as if they were lessons.

An entry is *translated* if it has a translation of its English text, *stale* if it has one of an earlier English text
(gettext calls it fuzzy), and *missing* if it has none.
"""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polib

from nnopt_lab.course.builder import with_answers, without_answers
from nnopt_lab.course.translation.code_remarks import CODE_PROSE, remarks
from nnopt_lab.course.translation.code_strings import code_strings
from nnopt_lab.course.translation.library import LIBRARY, library_messages
from nnopt_lab.course.translation.markdown_blocks import HEADING, LIST_ITEM, PARAGRAPH, TABLE_ROW, blocks
from nnopt_lab.course.translation.readme import README, readme_messages
from nnopt_lab.course.workspace import write_atomically
from nnopt_lab.workbench.language import DOMAIN, ENGLISH, MESSAGE, PRINTED, catalog_file, context_of, forget_catalogs
from nnopt_lab.workbench.paths import root

COMPLETE = "COMPLETE"  # a file in a language's folder: from now on, every lesson must be translated
MARKDOWN = {HEADING, PARAGRAPH, LIST_ITEM, TABLE_ROW}
PROSE = MARKDOWN | CODE_PROSE  # kinds of text that stand in a notebook, not in what it prints
SIMILAR = 0.6  # least similarity of two English texts of which one may have become the other
LINE = 10_000  # no wrapping: Chinese has no spaces to wrap at, and whole lines are easier to compare


class Counts(NamedTuple):
    """How many entries of a lesson are in which state."""

    translated: int
    stale: int
    missing: int


def translated_languages() -> list[str]:
    """Languages that have a folder of translations."""
    folders = (root() / "solutions").glob("*/")
    return sorted(f.name for f in folders if any(f.glob("*.po")) or (f / COMPLETE).is_file())


def check_language(language: str) -> str:
    """Return the code of a language other than English.

    Raises:
        ValueError: it is not written as a code of two or three small letters, or it is English.
    """
    if not (language.isascii() and language.isalpha() and language.islower() and 2 <= len(language) <= 3):
        raise ValueError(f"language={language!r} must be a code of two or three small letters, such as zh or ja.")
    if language == ENGLISH:
        raise ValueError("language='en' is the language of the lessons' sources, which needs no translation.")
    return language


def po_file(lesson: str, language: str) -> Path:
    """The path of a lesson's translations."""
    return root() / "solutions" / language / f"{lesson}.po"


def lessons_due(language: str, lessons: list[str]) -> list[str]:
    """Those of the lessons that have translations, or must have: all if the language is complete."""
    complete = (root() / "solutions" / language / COMPLETE).is_file()
    return [lesson for lesson in lessons if complete or po_file(lesson, language).is_file()]


def texts(lesson: str) -> dict[str, list[str]]:
    """The English texts of a lesson's source, of the library or of the README, in order, each with its kinds."""
    if lesson == README:
        return readme_messages()
    return library_messages() if lesson == LIBRARY else messages(root() / "solutions" / f"{lesson}.py")


def messages(source: Path) -> dict[str, list[str]]:
    """The English texts of a lesson's source, in order, each with its kinds, such as "paragraph" or "claim"."""
    import jupytext

    found: dict[str, list[str]] = {}
    for cell in jupytext.read(source, fmt="py:percent").cells:
        is_code = cell.cell_type == "code"
        texts = _of_code(cell.source) if is_code else ((b.kind, b.text) for b in blocks(cell.source))
        for kind, text in texts:
            kinds = found.setdefault(text, [])
            if kind not in kinds:
                kinds.append(kind)
    return found


def _of_code(source: str) -> Iterator[tuple[str, str]]:
    """The texts of a code cell: docstrings and comments, with answers and without, and the strings that it shows."""
    for notebook in (without_answers(source), with_answers(source)):
        yield from ((remark.kind, remark.text) for remark in remarks(notebook))
    yield from code_strings(source)


def read(path: Path) -> polib.POFile:
    """Read a file of translations; a missing one has no entries.

    Raises:
        ValueError: it is not a .po file.
    """
    if not path.is_file():
        catalog = polib.POFile(wrapwidth=LINE)
        catalog.metadata = {
            "Project-Id-Version": DOMAIN,
            "Language": path.parent.name,
            "MIME-Version": "1.0",
            "Content-Type": "text/plain; charset=UTF-8",
            "Content-Transfer-Encoding": "8bit",
        }
        return catalog
    try:
        return polib.pofile(str(path), wrapwidth=LINE, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name} in solutions/{path.parent.name}/ can't be read: {error}") from error


def updated(old: polib.POFile, wanted: dict[str, list[str]]) -> polib.POFile:
    """Fit translations to the English texts of today.

    A text that is still there keeps its translation, wherever it has moved. A changed one keeps it as stale, with the
    earlier English text beside it. The translations of vanished texts are kept as obsolete, at the end of the file.

    Args:
        old: the translations so far.
        wanted: the texts with their kinds, as from `messages`.
    """
    known = {entry.msgid: entry for entry in old if entry.msgstr}
    vanished = {text: entry for text, entry in known.items() if text not in wanted}
    new = polib.POFile(wrapwidth=LINE)
    new.header, new.metadata = old.header, old.metadata
    for text, kinds in wanted.items():
        entry = polib.POEntry(msgid=text, comment=", ".join(kinds))
        if text in known:
            _keep(entry, known[text])
        elif former := _former(text, vanished):
            _renew(entry, vanished.pop(former))
        new.append(entry)
    for entry in vanished.values():
        new.append(polib.POEntry(msgid=entry.msgid, msgstr=entry.msgstr, tcomment=entry.tcomment, obsolete=True))
    return new


def update(lesson: str, language: str) -> polib.POFile:
    """Write a lesson's translations anew, fitted to its source; an unchanged file is not written."""
    path = po_file(lesson, language)
    catalog = updated(read(path), texts(lesson))
    text = as_text(catalog)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    return catalog


def as_text(catalog: polib.POFile) -> str:
    """The text of a .po file, with one newline at its end."""
    return str(catalog).rstrip("\n") + "\n"


def live(catalog: polib.POFile) -> Iterator[polib.POEntry]:
    """The entries of a file whose English text is in the lesson."""
    return (entry for entry in catalog if not entry.obsolete)


def translations(catalog: polib.POFile) -> dict[str, str]:
    """The translations of a file by English text, without stale ones."""
    return {entry.msgid: entry.msgstr for entry in live(catalog) if entry.msgstr and not entry.fuzzy}


def state(lesson: str, catalog: polib.POFile) -> Counts:
    """Count the states of a lesson's texts; one that the file does not have is missing."""
    states = {entry.msgid: "stale" if entry.fuzzy else "translated" for entry in live(catalog) if entry.msgstr}
    found = [states.get(text, "missing") for text in texts(lesson)]
    return Counts(*(found.count(name) for name in Counts._fields))


def compile_catalog(language: str) -> None:
    """Write the compiled catalogue of a language; if nothing in it has changed, its file stays as it is."""
    path, made = catalog_file(language), compiled(language)
    if not path.is_file() or path.read_bytes() != made:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made)
        forget_catalogs()


def is_compiled(language: str) -> bool:
    """Whether the compiled catalogue has the translations of today."""
    path = catalog_file(language)
    return path.is_file() and path.read_bytes() == compiled(language)


def compiled(language: str) -> bytes:
    """The compiled catalogue of a language: the texts that programs show, from all its files.

    Prose is left out, because it is in the translated notebooks. Of different translations of one text, that of the
    first lesson counts, and each other one is there in its own lesson's context. What lessons print is there twice,
    the second time with its context; what the library marks has a context of its own.
    """
    made: dict[tuple[str, str], str] = {}
    for path in sorted((root() / "solutions" / language).glob("*.po")):
        for entry in live(read(path)):
            kinds = entry.comment.split(", ")
            if not PROSE.issuperset(kinds) and not entry.fuzzy and entry.msgstr:
                for context in _contexts(kinds):
                    if made.setdefault((context, entry.msgid), entry.msgstr) != entry.msgstr:
                        made[context_of(path.stem, context), entry.msgid] = entry.msgstr
    catalog = polib.POFile()
    catalog.metadata = {"Content-Type": "text/plain; charset=UTF-8", "Language": language}
    for (context, text), said in sorted(made.items()):
        catalog.append(polib.POEntry(msgctxt=context or None, msgid=text, msgstr=said))
    return catalog.to_binary()


def _contexts(kinds: list[str]) -> list[str]:
    own = [context for context in (PRINTED, MESSAGE) if context in kinds]
    return own if kinds == [MESSAGE] else ["", *own]


def _keep(entry: polib.POEntry, known: polib.POEntry) -> None:
    entry.msgstr, entry.tcomment = known.msgstr, known.tcomment
    if known.fuzzy:
        entry.flags, entry.previous_msgid = ["fuzzy"], known.previous_msgid


def _renew(entry: polib.POEntry, former: polib.POEntry) -> None:
    entry.msgstr, entry.tcomment = former.msgstr, former.tcomment
    translated = former.previous_msgid if former.fuzzy and former.previous_msgid else former.msgid
    if translated != entry.msgid:  # else the English text is again the one that was translated
        entry.flags, entry.previous_msgid = ["fuzzy"], translated


def _former(text: str, vanished: dict[str, polib.POEntry]) -> str | None:
    again = [former for former, entry in vanished.items() if entry.previous_msgid == text]
    return next(iter(again or difflib.get_close_matches(text, vanished, 1, SIMILAR)), None)
