"""Keep spreadsheets from taking texts in tables for formulas, because learners choose file names and other texts.

An apostrophe turns a formula into text. It is also inserted wherever a formula would begin if another character than
the comma separated columns: with decimal commas, spreadsheets split lines at semicolons, quoted or not.
"""

import re
import unicodedata

_SEPARATORS = ";\t|\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_BEGINNINGS = "=+\\-@\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b"  # including full-width and small forms
# Spaces, quotes and invisible characters before a formula don't turn it into text.
_SKIPPED = (
    " '\"`\u2018\u2019\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xa0\xad\u1680\u2000-\u200f\u202a-\u202f"
    "\u205f-\u2069\u3000\ufeff"
)
_FORMULA = re.compile(f"(^|[{_SEPARATORS}])([{_SKIPPED}]*)(?=[{_BEGINNINGS}])")
_DEFUSED = re.compile(f"(^|[{_SEPARATORS}])([{_SKIPPED}]*)'(?=[{_BEGINNINGS}])")
_NUMBER = re.compile(r"-?\d+(\.\d+)?|-", re.ASCII)  # a single dash means "nothing"


def defuse(text: str) -> str:
    """Put an apostrophe before everything that a spreadsheet would take for a formula; numbers are unchanged."""
    return text if _NUMBER.fullmatch(text) else _FORMULA.sub(r"\1\2'", text)


def restore(text: str) -> str:
    """Undo `defuse`."""
    return _DEFUSED.sub(r"\1\2", text)


def without_controls(text: str) -> str:
    """Replace each control character, which a terminal would obey."""
    return "".join("�" if unicodedata.category(c) == "Cc" and c not in "\n\t" else c for c in text)
