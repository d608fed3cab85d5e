"""Typography of Chinese text, and its words for inequalities."""

import re
from collections.abc import Iterator

from nnopt_lab.course.translation.markdown_blocks import ADDRESS, CODE, FORMULA, without_verbatim
from nnopt_lab.workbench.language import ANY_FIELD
from nnopt_lab.workbench.language.typography import CLOSING, HAN, OPENING, SHARED_CLOSING, SHARED_OPENING

FULL = OPENING + CLOSING + SHARED_OPENING + SHARED_CLOSING + "—"
CHINESE_INEQUALITIES = {
    name: words.split("、")
    for name, words in {
        "at least": "至少、不少于、不低于、不小于、起码、以上、或更多、或更高、≥",
        "at most": "至多、最多、不超过、不多于、不高于、不大于、最高、最大、以内、不到、高达、可达、≤",
        "less than": "少于、小于、低于、不到、不足、以下、之下、未满、以内、短于、慢于、快于、不及、<",
        "more than": "多于、大于、高于、超过、以上、之上、超出、长于、不止、多出、快于、慢于、余、逾、多、>",
    }.items()
}
NO_SPACE = "no space between Chinese and Latin letters, digits or code"
RULES = (
    (rf"[{HAN}][,;:!?]|[,;:!?][{HAN}]", "half-width punctuation beside Chinese"),
    (rf"[{HAN}]\.(?![\w.])", "a half-width full stop after Chinese"),
    (rf"[{HAN}]\(|\)[{HAN}]|\([{HAN}]|[{HAN}]\)", "half-width brackets beside Chinese"),
    (rf"[{HAN}][\"']|[\"'][{HAN}]", "straight quotation marks beside Chinese"),
    (rf"[{HAN}][A-Za-z0-9α-ωΑ-Ω]|[A-Za-z0-9α-ωΑ-Ω%°×][{HAN}]", NO_SPACE),
    (rf"[{HAN}][−±≈<>≤≥][A-Za-z0-9]", "no space between Chinese and a sign"),
    (rf"[ \t]+[{FULL}]|[{FULL}][ \t]+(?!\|)", "a space beside full-width punctuation"),
    (rf"[{HAN}] +[{HAN}]", "a space between Chinese characters"),
    (r"\d +%", "a space before %"),
    (r"[，。；：！？、]{2,}", "two punctuation marks in a row"),
    ("您", "您 instead of 你"),
)  # fmt: skip
LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*\)")


def typography(text: str, may_be_latin: bool = False) -> Iterator[str]:
    """What breaks the rules of Chinese typography, each as a sentence with the place.

    Args:
        text: Markdown.
        may_be_latin: whether the text may have no Chinese character at all, such as a label that is a name.
    """
    if not may_be_latin and not re.search(f"[{HAN}]", without_verbatim(text)):
        yield "It has no Chinese character."
    plain = _plain(text)
    for rule, name in RULES:
        for match in re.finditer(rule, plain):
            yield f"{name}: “{plain[max(0, match.start() - 8) : match.end() + 8]}”."


def _plain(text: str) -> str:
    """The text as it reads: links without addresses, emphasis without marks, and a letter for what is verbatim."""
    for pattern in (CODE, FORMULA, ANY_FIELD):
        text = pattern.sub("x", text)
    text = LINK.sub(r"\1", text)
    text = ADDRESS.sub("x", text)
    return re.sub(r"\*+|\\(?=[_*|])", "", text)
