"""Which spaces and marks fall away or become wide beside Chinese, and at which spaces no line ends."""

import re

# For classes of regular expressions. The other marks are full-width, so the space beside them is a part of them.
HAN, KANA = "\u3400-\u9fff", "\u3040-\u30ff"
OPENING, CLOSING = "（《「", "，。；：！？、）》」"
SHARED_OPENING, SHARED_CLOSING = "“‘", "”’…"  # marks that Latin text has, too

MARKS = {".": "。", "!": "！", "?": "？"}  # of a sentence's end
WIDE = {", ": "，", ",\n": "，\n", "; ": "；"}  # between the parts of a label
_MARK = f"[{OPENING}{CLOSING}]"
_CHINESE = f"[{HAN}{OPENING}{CLOSING}{SHARED_OPENING}{SHARED_CLOSING}]"
_TOUCHING = re.compile(f"{_MARK}.|.{_MARK}|{_CHINESE}{{2}}")  # two characters without a space between them
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:%|[mµn]?s|min|h|[kKMGT]?i?B(?:/s)?|[mk]?W|[mk]?J|[GT]FLOPS|€)(?!\w))")
_HYPHENED = re.compile(r"(?<![\w-])(?:[^\W\d_]|\d+)-(?=[^\W\d_])")  # such as T-shirt and 8-bit
_IDEOGRAPH = re.compile(f"[{KANA}{HAN}]")


def has_ideographs(text: str) -> bool:
    """Whether a text has Chinese or Japanese characters."""
    return _IDEOGRAPH.search(text) is not None


def beside(before: str, after: str) -> str:
    """Join two parts of a sentence; a space beside a full-width mark, or between two Chinese characters, falls away.

    Wider gaps, which align columns, stay.
    """
    start, rest = before.rstrip(" "), after.lstrip(" ")
    is_gap = len(before) + len(after) - len(start) - len(rest) <= 2
    return start + rest if is_gap and _TOUCHING.fullmatch(start[-1:] + rest[:1]) else before + after


def continued(text: str, sentence: str) -> str:
    """Add a sentence to a text, after a space if the text needs one."""
    needs_space = text and sentence and not re.search(f"^{_MARK}|{_MARK}$", text[-1] + sentence[0])
    return f"{text} {sentence}" if needs_space else text + sentence


def labelled(label: str, text: str) -> str:
    """A text behind its label and a colon, which is full-width if one of the two is Chinese."""
    return f"{label}：{text}" if has_ideographs(label + text) else f"{label}: {text}"


def with_whole_units(text: str) -> str:
    """Put no-break spaces between numbers and their units, such as "95 %" or "2.5 ms", for a page that wraps lines."""
    return _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", text)


def unbroken(text: str) -> str:
    """Also keep terms such as "T-shirt" and "8-bit" on one line, for a page that wraps lines."""
    return _HYPHENED.sub("\\g<0>\N{WORD JOINER}", with_whole_units(text))
