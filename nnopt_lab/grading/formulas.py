"""Texts for tables that no spreadsheet takes for formulas: learners choose the names of files, and more.

An apostrophe makes a text of a formula. It also stands where a formula would begin if another character than the comma
separated the columns: where decimals have a comma, spreadsheets split lines at semicolons, quoted or not.
"""

import re
import unicodedata

_SEPARATORS = ";\t|\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_BEGINNINGS = "=+\\-@\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b"  # the full-width and small ones too
# Spaces, quotes and characters that can't be seen don't make it a text.
_SKIPPED = (
    " '\"`\u2018\u2019\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xa0\xad\u1680\u2000-\u200f\u202a-\u202f"
    "\u205f-\u2069\u3000\ufeff"
)
_FORMULA = re.compile(f"(^|[{_SEPARATORS}])([{_SKIPPED}]*)(?=[{_BEGINNINGS}])")
_DEFUSED = re.compile(f"(^|[{_SEPARATORS}])([{_SKIPPED}]*)'(?=[{_BEGINNINGS}])")
_NUMBER = re.compile(r"-?\d+(\.\d+)?|-", re.ASCII)  # the dash alone stands for "nothing"


def defuse(text: str) -> str:
    """The text with an apostrophe before whatever a spreadsheet would take for a formula; numbers stay as they are."""
    return text if _NUMBER.fullmatch(text) else _FORMULA.sub(r"\1\2'", text)


def restore(text: str) -> str:
    """The text that `defuse` was given."""
    return _DEFUSED.sub(r"\1\2", text)


def without_controls(text: str) -> str:
    """The text with a sign instead of each character that a terminal obeys, for tables shown on one."""
    return "".join("�" if unicodedata.category(c) == "Cc" and c not in "\n\t" else c for c in text)
