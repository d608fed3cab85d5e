"""Review the translations of a lesson with the checks and the glossary."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from nnopt_lab.course.translation import catalogs, glossary
from nnopt_lab.course.translation.checks import Rule, problems
from nnopt_lab.course.translation.code_remarks import CODE_PROSE

WORD = re.compile(r"[A-Za-z]\w*")


class Finding(NamedTuple):
    """What is wrong with the translation of one English text."""

    english: str
    translation: str
    problems: list[str]


def review(lesson: str, language: str) -> list[Finding]:
    """The translations of a lesson with faults that a program can find; stale ones are left out.

    A translator's comment in the .po file, `# other: weight, step`, says that the English words are no terms there.
    """
    terms = glossary.read_glossary(glossary.glossary_file(language))
    every_term, found = glossary.rule(terms), []
    for entry in catalogs.live(catalogs.read(catalogs.po_file(lesson, language))):
        if not entry.msgstr or entry.fuzzy:
            continue
        other = _other(entry.tcomment)
        kept = [term for term in terms if other.isdisjoint(form.lower() for form in term.english)]
        rule = every_term if len(kept) == len(terms) else glossary.rule(kept)
        kinds = entry.comment.split(", ")
        rule = rule if CODE_PROSE.isdisjoint(kinds) else _beside_names(rule)
        if wrong := problems(entry.msgid, entry.msgstr, kinds, language, rule):
            found.append(Finding(entry.msgid, entry.msgstr, wrong))
    return found


def _beside_names(rule: Rule) -> Rule:
    """A rule for docstrings and comments: words that the translation keeps are names in the code, and no terms."""

    def check(english: str, translation: str) -> Iterable[str]:
        kept = set(WORD.findall(translation))
        return rule(WORD.sub(lambda word: "" if word.group() in kept else word.group(), english), translation)

    return check


def _other(comment: str) -> set[str]:
    lines = [line.removeprefix("other:") for line in comment.splitlines() if line.startswith("other:")]
    return {word.strip().lower() for line in lines for word in line.split(",")}
