"""Split the Markdown of a cell into the blocks that are translated, and put translations in their places."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

HEADING, PARAGRAPH, LIST_ITEM, TABLE_ROW = "heading", "paragraph", "list item", "table row"
COMMENT = "code comment"
FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$]+\$", re.DOTALL)
DISPLAYED = re.compile(r"\$\$(?:(?!\n\n).)+?\$\$", re.DOTALL)
CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
ADDRESS = re.compile(r"(?<=\]\()[^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?=\))|<https?://[^>]+>")
SUMMARY = re.compile(r"( *<details[^>]*><summary>)(.+)")
_WORDS_IN_FORMULA = re.compile(r"(?<!_)\\text\{([^{}]*)\}")  # but no subscript, which is part of a name
WORD = re.compile(r"[^\W\d_]{2,}")
_COMMENTED = re.compile(r"""((?:[^#"']|"[^"]*"|'[^']*')*?(?<!\S)# +)(\S.*)""")  # a line of code; no # in a string


@dataclass(frozen=True)
class Block:
    """A heading, paragraph, list item, row of a table, or comment in a block of code, that contains words.

    Attributes:
        kind: HEADING, PARAGRAPH, LIST_ITEM, TABLE_ROW or COMMENT.
        start, end: its lines in the cell, from 0, without `end`.
        prefix: what stands before its text in its first line, such as "- ", "## " or code.
        text: its text without the prefix. A line break that Markdown shows as a space is a space, so that wrapping
            the lines of a source anew changes no text.
    """

    kind: str
    start: int
    end: int
    prefix: str
    text: str


def blocks(cell: str) -> list[Block]:
    """The blocks of a Markdown cell that have words, in order.

    Code, formulas and HTML of their own have none, except comments, each line a block, and the line that is always
    seen of a fold, `<details><summary>…`, with `</summary>` in the next line.
    """
    return [block for block in _all_blocks(cell) if has_words(block.text)]


def with_translations(cell: str, translate: Callable[[Block], str | None]) -> str:
    """A cell with the translation of each block in its place; a block whose translation is None stays as it is."""
    lines = cell.split("\n")
    for block in reversed(blocks(cell)):
        translation = translate(block)
        if translation is not None:
            first, *others = translation.split("\n")
            indent = re.sub(r"[^>\s]", " ", block.prefix)
            lines[block.start : block.end] = [block.prefix + first, *(indent + line for line in others)]
    return "\n".join(lines)


def has_words(text: str) -> bool:
    """Whether a text has a word of two letters or more outside code, addresses and the signs of formulas."""
    return bool(WORD.search(without_verbatim(text)))


def without_verbatim(text: str) -> str:
    """A text without its code, formulas and addresses, which are the same in every language, but for words in formulas.

    Such words stand in `\\text{…}`.
    """
    text = FORMULA.sub(lambda formula: f" {' '.join(_WORDS_IN_FORMULA.findall(formula.group()))} ", CODE.sub(" ", text))
    return ADDRESS.sub(" ", text)


def without_words(formula: str) -> str:
    """A formula without its words, as it is in every language."""
    return _WORDS_IN_FORMULA.sub(r"\\text{}", formula)


@cache
def parser():
    """The parser of Markdown, with tables."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")


def _all_blocks(cell: str) -> Iterator[Block]:
    # JupyterLab finds formulas before Markdown: a line of a formula that begins with + is no list.
    masked = DISPLAYED.sub(lambda formula: re.sub(r"[^\n]", "x", formula.group()), cell)
    lines, masked_lines, inside = cell.split("\n"), masked.split("\n"), []
    for token in parser().parse(masked):
        if token.nesting == 1:
            inside.append(token.type.removesuffix("_open"))
        elif token.nesting == -1:
            inside.pop()
        if token.type == "tr_open":
            yield Block(TABLE_ROW, *token.map, "", lines[token.map[0]].strip())
        elif token.type == "html_block" and (seen := SUMMARY.fullmatch(lines[token.map[0]])):
            yield Block(PARAGRAPH, token.map[0], token.map[0] + 1, seen[1], seen[2].strip())
        elif token.type in ("fence", "code_block"):
            for place in range(*token.map):
                if commented := _COMMENTED.fullmatch(lines[place]):
                    yield Block(COMMENT, place, place + 1, commented[1], commented[2].rstrip())
        elif token.type == "inline" and "table" not in inside:
            start, end = token.map
            kind = HEADING if "heading" in inside else LIST_ITEM if "list_item" in inside else PARAGRAPH
            parts = token.content.split("\n")
            places = [line.index(part) for line, part in zip(masked_lines[start:], parts, strict=False)]
            text = "\n".join(
                line[place : place + len(part)] for line, place, part in zip(lines[start:], places, parts, strict=False)
            )
            yield Block(kind, start, end, lines[start][: places[0]], _unwrapped(text))


def _unwrapped(content: str) -> str:
    """The text with a space for each line break, except for hard ones (two spaces or a backslash at the line's end)."""
    return re.sub(r"(?<!  )(?<!\\)\n[ \t]*", " ", content)
