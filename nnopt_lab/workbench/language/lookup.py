"""Look up a finished English text: as it is, by the template that it was made from, or part by part."""

import re
from collections.abc import Mapping
from functools import lru_cache

from nnopt_lab.workbench.language.catalogs import DOMAIN, MESSAGE, catalog, compiled_languages, context_of
from nnopt_lab.workbench.language.templates import ANY_FIELD, Template, templates, with_fields
from nnopt_lab.workbench.language.typography import MARKS, WIDE, has_ideographs

LETTERS = re.compile(r"[^\W\d_]{2}")  # without them, a text has nothing to translate
_SEPARATORS = [re.compile(one) for one in ("(; )", "( → )", r"(,\s)")]  # of the parts of a label
_RANGE = re.compile(r"([^A-Za-z\n]*(?: (?:ms|s|µs)\b)?[^A-Za-z\n]*\d\S{0,2}) to ([+−-]?\d[^A-Za-z\n]*)")  # of numbers
_COUNT = re.compile(r" \(\d+\)$")  # behind a label
_COMMON_WORD = re.compile(r"(?<![\w.])[a-z]{3,}(?![\w.])")  # rather than a name, such as MyNet or features.0
_QUOTES = ("`", "'", '"', "“", "「")

_learned: dict[tuple[str, str], str] = {}


def learn(texts: Mapping[str, Mapping[str, str]]) -> None:
    """Add translations that the catalogues lack, by language and English text, until this process ends."""
    _learned.update({(language, text): said for language, of in texts.items() for text, said in of.items()})
    look_up.cache_clear()


def forget_catalogs() -> None:
    """Read the catalogues anew at the next look-up, after they were written."""
    for cached in (compiled_languages, look_up, catalog, templates):
        cached.cache_clear()
    _learned.clear()


@lru_cache(maxsize=10_000)  # a playground writes new numbers with every move
def look_up(text: str, context: str, language: str, lesson: str = "") -> str:
    """The translation of a text, or the text itself if it has none.

    Args:
        text: in English, without white space around it.
        context: as for `translated`.
        language: a code other than English's.
        lesson: its own texts go first.
    """
    if found := _looked_up(text, context, language, lesson):
        return found
    if text.endswith(tuple(MARKS)) and (found := _looked_up(text[:-1], context, language, lesson)):
        return found + (MARKS[text[-1]] if has_ideographs(found) else text[-1])
    return text


def _looked_up(text: str, context: str, language: str, lesson: str) -> str:
    """The translation of a text or of its template, "" if there is none."""
    if not context and (learned := _learned.get((language, text))):
        return learned
    found_in, general = catalog(language), "" if context == DOMAIN else context
    own = context_of(DOMAIN) if context == DOMAIN else context_of(lesson, context)
    for among in (own, general, *([MESSAGE] if text.endswith(tuple(MARKS)) and not context else [])):
        if found := found_in.pgettext(among, text) if among else found_in.gettext(text):
            return found
    if (count := _COUNT.search(text)) and (found := _looked_up(text[: count.start()], context, language, lesson)):
        return found + count[0]
    if (ends := _RANGE.fullmatch(text)) and (found := found_in.pgettext(MESSAGE, "{low} to {high}")):
        return with_fields(found, {"low": ends[1], "high": ends[2]})
    torn = None  # the first match with a field that holds parts of a list, or half of a pair of parentheses
    for template in templates(language, general):
        if match := template.pattern.fullmatch(text):
            values = {name.removeprefix("field"): value for name, value in match.groupdict().items()}
            if all(map(_is_whole, values.values())):
                return _filled_in(template, values, language, lesson)
            torn = torn or (template, values)
    if not context and (found := _by_parts(text, language, lesson)):
        return found
    return _filled_in(*torn, language, lesson) if torn else ""


def _filled_in(template: Template, values: dict[str, str], language: str, lesson: str) -> str:
    for field in ANY_FIELD.finditer(template.said):
        name = field.group()[1:-1]
        core, is_quoted = values[name].strip(), template.said[: field.start()].endswith(_QUOTES)
        is_argument = template.said.startswith("=", field.end())
        if LETTERS.search(core) and not (is_quoted or is_argument):
            found = _looked_up(core, template.values, language, lesson) or core
            values[name] = values[name].replace(core, found, 1)
    return with_fields(template.said, values)


def _is_whole(value: str) -> bool:
    return not any(one.search(value) for one in _SEPARATORS) and value.count("(") == value.count(")")


def _by_parts(text: str, language: str, lesson: str) -> str:
    """The translation of a label that is a list, such as "fused optimizer, bf16".

    It is "" if a word would stay English, unless it is part of a name.
    """
    separator = next((one for one in _SEPARATORS if one.search(text)), None)
    if text.endswith(tuple(MARKS)) or separator is None:
        return ""
    parts = separator.split(text)
    found = [_looked_up(part, "", language, lesson) if LETTERS.search(part) else "" for part in parts]
    if any(_COMMON_WORD.search(part) and not said for part, said in zip(parts, found, strict=True)):
        return ""
    said = "".join(said or part for part, said in zip(parts, found, strict=True))
    if not has_ideographs(said):
        return said if any(found) else ""
    return "".join(said or WIDE.get(part, part) for part, said in zip(parts, found, strict=True))
