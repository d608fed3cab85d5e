"""The terms of the course in another language, `solutions/LANGUAGE/glossary.csv`."""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nnopt_lab.course.translation.markdown_blocks import without_verbatim
from nnopt_lab.workbench.language import ANY_FIELD
from nnopt_lab.workbench.paths import root

TITLE = re.compile(r"\[[^\]]+\](?=\()|(?<![*\w])\*[^*]+\*(?![*\w])")
COLUMNS = ("English", "translation", "note")
IRREGULAR = {"axis": "axes", "matrix": "matrices", "index": "indices", "half": "halves"}


@dataclass(frozen=True)
class Term:
    """A term of the course.

    Attributes:
        english: its forms in English, without plurals.
        allowed: its translations; the first is the usual one.
        note: for the translator.
    """

    english: tuple[str, ...]
    allowed: tuple[str, ...]
    note: str = ""


def glossary_file(language: str) -> Path:
    """The path of a language's glossary."""
    return root() / "solutions" / language / "glossary.csv"


def read_glossary(path: Path) -> list[Term]:
    """Read a glossary; a missing file has no terms.

    Raises:
        ValueError: its columns are not English, translation and note, a field is empty, or a term appears twice.
    """
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path.name} must have the columns {', '.join(COLUMNS)}, not {rows.fieldnames}.")
        terms = [Term(_split(r["English"]), _split(r["translation"]), (r["note"] or "").strip()) for r in rows]
    forms = [form.lower() for term in terms for form in term.english]
    for term in terms:
        if not term.english or not term.allowed:
            raise ValueError(f"{path.name}: a term has no translation, or no English form: {term}.")
    if twice := sorted({form for form in forms if forms.count(form) > 1}):
        raise ValueError(f"{path.name}: these terms appear twice: {', '.join(twice)}.")
    return terms


def rule(terms: list[Term]) -> Callable[[str, str], Iterator[str]]:
    """A rule that finds terms of an English text whose translation has none of the allowed ones.

    Singular and plural of a term are found. Where terms overlap, the longest counts: in "learning rate schedule" only
    that term, if the glossary has it. A title that the translation quotes in English has no terms.
    """
    by_form = {form.lower(): term for term in terms for form in term.english}
    if not by_form:
        return lambda english, translation: iter(())
    by_plural = {plural: term for form, term in by_form.items() for plural in (form, *_plurals(form))}
    longest = sorted(by_plural, key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(map(_spaced, longest))})(?![\w-])", re.IGNORECASE)

    def check(english: str, translation: str) -> Iterator[str]:
        text = _words(_without_kept_titles(english, translation))
        found = {by_plural[re.sub(r"\s+", " ", match.group().lower())] for match in pattern.finditer(text)}
        for term in sorted(found, key=lambda term: term.english):
            if not any(word.lower() in translation.lower() for word in term.allowed):
                yield f"“{term.english[0]}” must be: {' or '.join(term.allowed)}."

    return check


def _split(field: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (field or "").split("|") if part.strip())


def _plurals(form: str) -> tuple[str, ...]:
    *before, last = form.split(" ")
    if last in IRREGULAR:
        return (" ".join([*before, IRREGULAR[last]]),)
    if re.search(r"[^aeiou]y$", last):
        return (" ".join([*before, f"{last[:-1]}ies"]),)
    return (f"{form}es" if re.search(r"(?:s|x|ch|sh)$", last) else f"{form}s",)


def _spaced(form: str) -> str:
    return re.escape(form).replace(r"\ ", r"\s+")


def _without_kept_titles(english: str, translation: str) -> str:
    """The English text without links and titles that the translation quotes in English."""
    return TITLE.sub(lambda title: " " if title.group() in translation else title.group(), english)


def _words(text: str) -> str:
    return re.sub(r"[*\[\]]", "", ANY_FIELD.sub(" ", without_verbatim(text)))
