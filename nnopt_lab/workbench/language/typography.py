"""Chinese beside Latin letters: which spaces fall away, and which marks become wide."""

import re

MARKS = {".": "。", "!": "！", "?": "？"}  # of a sentence's end
WIDE = {", ": "，", ",\n": "，\n", "; ": "；"}  # between the parts of a label
_FULL_WIDTH = tuple(MARKS.values())
_CHINESE = r"[\u3400-\u9fff，。；：！？、（）“”]"
_CHINESE_END, _CHINESE_START = re.compile(rf"{_CHINESE} ?$"), re.compile(rf" ?{_CHINESE}")
_IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u9fff]")


def has_ideographs(text: str) -> bool:
    """Whether a text has Chinese or Japanese characters."""
    return _IDEOGRAPH.search(text) is not None


def beside(before: str, after: str) -> str:
    """Join two parts of a sentence, without the space between them where two Chinese characters meet."""
    if _CHINESE_END.search(before) and _CHINESE_START.match(after):
        return before.rstrip(" ") + after.lstrip(" ")
    return before + after


def continued(text: str, sentence: str) -> str:
    """Add a sentence to a text, after a space if the text needs one."""
    return text + sentence if not text or text.endswith(_FULL_WIDTH) else f"{text} {sentence}"
