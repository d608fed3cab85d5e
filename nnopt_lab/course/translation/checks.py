"""Compare a translation with its English text: numbers, inequalities, formulas, code, addresses and marks agree."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal

from nnopt_lab.course.translation.chinese import CHINESE_INEQUALITIES, typography
from nnopt_lab.course.translation.code_remarks import CODE_PROSE, DOCSTRING
from nnopt_lab.course.translation.markdown_blocks import (
    ADDRESS,
    CODE,
    FORMULA,
    TABLE_ROW,
    parser,
    without_verbatim,
    without_words,
)
from nnopt_lab.workbench.language import ANY_FIELD

NUMBER = re.compile(
    r"(?<![\d.,])(−?\d+(?:,\d{3})*(?:\.\d+)?)(?:\s*(thousand|million|billion|百万|十亿|万亿|万|亿)(?!分))?"
)
TIMES = {"thousand": 3, "million": 6, "billion": 9, "万": 4, "百万": 6, "亿": 8, "十亿": 9, "万亿": 12}
SIGN = re.compile(r"[<>≤≥=≈≠±]|->|→")
SMALL = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty",
)
# The numbers that a translation may have where the English text has a word: 1/3 for a third, 1000 for a thousand.
SPOKEN = {
    **{word: str(number) for number, word in enumerate(SMALL)},
    **{"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "eighty": "80", "ninety": "90", "hundred": "100"},
    **{"thousand": "1000 10000", "million": "1000000", "billion": "1000000000", "dozen": "12", "double": "1 2"},
    **{"half": "1 2 0.5 50", "halves": "1 2", "third": "1 3", "thirds": "3", "quarter": "1 4 25", "quarters": "4 75"},
    **{"fifth": "1 5", "fifths": "5", "sixth": "1 6", "sixths": "6", "seventh": "1 7", "eighth": "1 8", "eighths": "8"},
    **{"tenth": "1 10 0.1 90", "tenths": "10 0.1 90 80 70 60 40 30 20", "hundredth": "1 100", "hundredths": "100"},
    **{"thousandth": "1 1000", "thousandths": "1000", "sixteenth": "1 16", "once": "1", "twice": "2", "thrice": "3"},
    **{"first": "1", "second": "2", "fourth": "1 4", "both": "2", "a": "1", "an": "1", "single": "1", "per": "1"},
    **{"pair": "2", "pairs": "2", "another": "1", "last": "1"},
    **{"fewer": "1", "smaller": "1", "small": "1"},  # "4.2 times fewer" may be 1/4.2
}
_DIGITS = r"(?:about |only )?(?:−?\d|\{\d|\$)"
_NUMBER = rf"(?:{_DIGITS}|(?:a |an |the )?(?:{'|'.join(SMALL)}|half|twice|third|quarter|tenth|hundred|thousand))"
INEQUALITIES = {
    name: re.compile(rf"(?<!no )(?<!not )\b(?:{words})", re.IGNORECASE)
    for name, words in {
        "at least": rf"at least\s+{_NUMBER}",
        "at most": rf"(?:at most|no more than|not more than|(?<!add )(?<!adds )(?<!added )up to)\s+{_NUMBER}",
        "less than": rf"(?:less|fewer) than\s+{_NUMBER}|(?:below|under)\s+{_DIGITS}",
        "more than": rf"(?:more|greater) than\s+{_NUMBER}|(?:above|over)\s+{_DIGITS}",
    }.items()
}
_MAY_BE_CODE = {"hint", "choice", "title", "sentence", "error"} | CODE_PROSE
SHAPE = re.compile(r"\[[^\[\]]*\]")
Rule = Callable[[str, str], Iterable[str]]


def problems(
    english: str, translation: str, kinds: Iterable[str], language: str, terms: Rule | None = None
) -> list[str]:
    """What is wrong with a translation, each as a sentence.

    Args:
        english, translation: texts of one entry.
        kinds: of the entry, such as "paragraph" or "claim".
        language: of the translation; its typography and its words for inequalities are checked if they are known.
        terms: a rule for the glossary's terms.
    """
    found = [*_verbatim(english, translation), *_numbers(english, translation), *_marks(english, translation, kinds)]
    if DOCSTRING in kinds:
        found += _differences("shape", _all(SHAPE, english), _all(SHAPE, translation))
    if language == "zh":
        is_label = not {"label", "printed", "table row", "message"}.isdisjoint(kinds)
        is_code = translation == english and not _MAY_BE_CODE.isdisjoint(kinds)
        found += [*_inequalities(english, translation), *typography(translation, may_be_latin=is_label or is_code)]
    return found + list(terms(english, translation) if terms else ())


def _verbatim(english: str, translation: str) -> Iterable[str]:
    patterns = {"code": CODE, "formula": FORMULA, "address": ADDRESS, "field": ANY_FIELD}
    for name, pattern in patterns.items():
        yield from _differences(name, *(_all(pattern, text) for text in (english, translation)))


def _numbers(english: str, translation: str) -> Iterable[str]:
    """Every number of the English text, and beyond them only those that it has in words."""
    plain_english, plain = (ANY_FIELD.sub(" ", without_verbatim(text)) for text in (english, translation))
    wanted, given = (Counter(map(_value, NUMBER.finditer(text))) for text in (plain_english, plain))
    yield from (f"The number {number} is missing." for number in wanted - given)
    words = re.findall(r"[a-z]+", plain_english.lower())
    spoken = {number for word in words for number in SPOKEN.get(word, "").split()}
    yield from (f"The number {n} is not in the English text." for n in given - wanted if n not in spoken)
    yield from _differences("sign", *(_all(SIGN, text) for text in (plain_english, plain)))


def _value(match: re.Match) -> str:
    """A number in one notation: 2 million, 200 万 and 2,000,000 are the same."""
    digits, times = match.groups()
    value = Decimal(digits.replace(",", "").replace("−", "-")).scaleb(TIMES.get(times, 0))
    return f"{value:f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:f}"


def _inequalities(english: str, translation: str) -> Iterable[str]:
    for name, pattern in INEQUALITIES.items():
        words = CHINESE_INEQUALITIES[name]
        if pattern.search(english) and not any(word in translation for word in words):
            yield f"“{name}” must be one of: {'、'.join(words)}."


def _marks(english: str, translation: str, kinds: Iterable[str]) -> Iterable[str]:
    bare, bare_translation = (without_verbatim(text) for text in (english, translation))
    if bare.count("**") != bare_translation.count("**"):
        yield f"There are {bare.count('**')} marks ** in English, and {bare_translation.count('**')} here."
    if "*" in _shown(translation) and "*" not in _shown(english):
        yield "A mark * or ** beside punctuation is shown as it is: put the punctuation outside, as in **下一课**：."
    if english.count("](") != translation.count("]("):
        yield f"There are {english.count('](')} links in English, and {translation.count('](')} here."
    if TABLE_ROW in kinds and bare.count("|") != bare_translation.count("|"):
        yield "The row has another number of cells."
    if translation != translation.strip():
        yield "White space stands at its beginning or end."
    if english.count("\n") == 0 and "\n" in translation:
        yield "It has a line break, and the English text has none."
    if re.match(r"[#>+-] |\d+[.)] |`{3}", translation) and not re.match(r"[#>+-] |\d+[.)] |`{3}", english):
        yield "It begins like another Markdown block."


def _shown(text: str) -> str:
    """The text as Markdown shows it, without code and formulas."""
    inline = parser().parseInline(FORMULA.sub("x", text))[0]
    return "".join(token.content for token in inline.children if token.type == "text")


def _differences(name: str, english: Counter, translation: Counter) -> Iterable[str]:
    yield from (f"The {name} {text} is missing." for text in english - translation)
    yield from (f"The {name} {text} is not in the English text." for text in translation - english)


def _all(pattern: re.Pattern, text: str) -> Counter:
    if pattern is not CODE:
        text = CODE.sub(" ", text)
    if pattern not in (CODE, FORMULA):
        text = FORMULA.sub(" ", text)
    return Counter(without_words(match.group()) for match in pattern.finditer(text))
