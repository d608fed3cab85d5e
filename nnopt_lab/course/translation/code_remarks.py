"""Find the docstrings and comments of a cell's code, and put translations in their places; the code stays the same."""

import ast
import io
import re
import tokenize
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nnopt_lab.course.bare_code import PROMPT, QUOTES
from nnopt_lab.course.cell_roles import LABEL
from nnopt_lab.course.translation.chinese import FULL
from nnopt_lab.course.translation.markdown_blocks import COMMENT, has_words
from nnopt_lab.workbench.language.typography import CLOSING, HAN, OPENING, SHARED_CLOSING, SHARED_OPENING

DOCSTRING, FOLD_LABEL = "docstring", "label of a folded cell"
CODE_PROSE = {DOCSTRING, COMMENT, FOLD_LABEL}
WIDTH = 88  # columns of a line of code; a Chinese character takes two
STUB = "# Your answer here."  # stands apart from a comment above it
_FOR_PROGRAMS = re.compile(r"###|#!|# ?(?:noqa|type:|fmt:|pragma|ruff|pyright|%%)")
_ARGUMENTS = re.compile(r"\w+(?:, \w+)*: ")  # begins a line of its own in a docstring
_UNIT = re.compile(  # a line may end behind it
    rf"[{OPENING}{SHARED_OPENING}(\[]*(?:[{HAN}]|[^\s{HAN}{FULL}]+)[{CLOSING}{SHARED_CLOSING})\]]*|\S"
)
_DOCUMENTED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Remark:
    """A docstring, or a comment in adjacent lines of its own or behind code.

    Attributes:
        kind: DOCSTRING, COMMENT or FOLD_LABEL.
        text: without quotes, `#`, indents and a docstring's example. A line break that only the width asked for is a
            space.
        start, end: its lines in the cell, from 0, without `end`.
        column: where it begins in its first line.
    """

    kind: str
    text: str
    start: int
    end: int
    column: int


def remarks(source: str) -> list[Remark]:
    """The docstrings and comments of a cell that have words, in order; none of a cell with IPython's commands.

    Comments for programs, such as `# noqa`, are left out, and so is the marker of a solution.

    Raises:
        ValueError: a docstring doesn't stand in lines of its own, in three double quotes, without backslashes.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    found = [*_docstrings(tree, source.split("\n")), *_comments(source)]
    return sorted((remark for remark in found if has_words(remark.text)), key=lambda remark: remark.start)


def with_translations(source: str, translate: Callable[[str], str | None]) -> str:
    """A cell with its docstrings and comments translated; one whose translation is None stays as it is.

    Args:
        source: the cell's code.
        translate: called with a remark's text.

    Raises:
        ValueError: a translation would change the code.
    """
    lines = source.split("\n")
    for remark in reversed(remarks(source)):
        translation = translate(remark.text)
        if translation is not None:
            lines[remark.start : remark.end] = _written(remark, translation, lines[remark.start : remark.end])
    made = "\n".join(lines)
    if made != source and _code(made) != _code(source):
        raise ValueError(f"A translated docstring or comment would change the code that begins {source[:60]!r}.")
    return made


def columns(text: str) -> int:
    """The width of a text in columns."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _code(source: str) -> str | None:
    """The code without docstrings and comments, in a form to compare; None if it is no code."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    for node in _documented(tree):
        node.body.pop(0)
    return ast.dump(tree)


def _documented(tree: ast.Module) -> list:
    return [node for node in ast.walk(tree) if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None]


def _docstrings(tree: ast.Module, lines: list[str]) -> Iterator[Remark]:
    for node in _documented(tree):
        string = node.body[0]
        start, end = string.lineno - 1, string.end_lineno
        first, written = lines[start], "\n".join(lines[start:end])
        column = len(first) - len(first.lstrip())
        if not re.fullmatch(rf"\s*{QUOTES}[^\\]*{QUOTES}", written) or string.col_offset != column:
            raise ValueError(
                f"The docstring of {node.name} must stand in lines of its own, in three double quotes, without "
                "backslashes, so that it can be translated."
            )
        said, _ = _parts(ast.get_docstring(node).split("\n"))
        said[0] = QUOTES + said[0]
        text = _unwrapped(said, WIDTH - column, _ARGUMENTS).removeprefix(QUOTES)
        yield Remark(DOCSTRING, text, start, end, column)


def _parts(lines: list[str]) -> tuple[list[str], list[str]]:
    """A docstring's prose, and the example at its end, which is the same in every language."""
    start = next((n for n, line in enumerate(lines) if line.lstrip().startswith(PROMPT)), len(lines))
    end = start
    while end and not lines[end - 1].strip():
        end -= 1
    return (lines[:end], lines[start:]) if start < len(lines) else (lines, [])


def _comments(source: str) -> Iterator[Remark]:
    block: list[tuple[int, int, str]] = []
    for line, column, text, is_alone in _comment_lines(source):
        ends = not block or not is_alone or (line - 1, column) != block[-1][:2] or STUB in (text, block[-1][2])
        if ends or LABEL.fullmatch(block[-1][2]):
            yield from _joined(block)
            block = []
        if is_alone:
            block.append((line, column, text))
        else:
            yield from _joined([(line, column, text)])
    yield from _joined(block)


def _comment_lines(source: str) -> Iterator[tuple[int, int, str, bool]]:
    """The line, column and text of each comment for people, and whether no code stands before it."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not _FOR_PROGRAMS.match(token.string) and token.string.startswith("# "):
            (row, column), before = token.start, token.line[: token.start[1]]
            yield row - 1, column, token.string.rstrip(), not before.strip()


def _joined(block: list[tuple[int, int, str]]) -> Iterator[Remark]:
    if block:
        start, column, first = block[0]
        kind = FOLD_LABEL if start == 0 and LABEL.fullmatch(first) else COMMENT
        text = _unwrapped([text.removeprefix("# ") for _, _, text in block], WIDTH - column - 2, re.compile(""))
        yield Remark(kind, text, start, start + len(block), column)


def _unwrapped(lines: list[str], width: int, kept: re.Pattern) -> str:
    """Lines as one text, with a space for each break that the width asked for, or that is not before a kept line."""
    text, last = lines[0], lines[0]
    for line in lines[1:]:
        is_full = bool(last and line) and columns(f"{last} {line.split()[0]}") > width
        is_own = not last or not line or line[0].isspace() or kept.match(line) is not None
        text += ("\n" if is_own and not is_full else " ") + line
        last = line
    return text


def _written(remark: Remark, translation: str, english: list[str]) -> list[str]:
    indent = " " * remark.column
    if remark.kind == DOCSTRING:
        return _written_docstring(translation, indent, english)
    before = english[0][: remark.column]
    if before.strip():
        return [f"{before}# {translation}"]
    return [f"{indent}# {line}" for line in _wrapped(translation, WIDTH - remark.column - 2)]


def _written_docstring(translation: str, indent: str, english: list[str]) -> list[str]:
    only = f"{indent}{QUOTES}{translation}{QUOTES}"
    if len(english) == 1 and "\n" not in translation and columns(only) <= WIDTH and not translation.endswith('"'):
        return [only]
    lines = [(indent + line).rstrip() for line in _wrapped(QUOTES + translation, WIDTH - len(indent))]
    _, example = _parts(english)
    return [*lines, "", *example] if example else [*lines, indent + QUOTES]


def _wrapped(text: str, width: int) -> list[str]:
    """The lines of a text, wrapped at spaces and between Chinese characters, but not before a closing mark."""
    return [line for part in text.split("\n") for line in _wrapped_line(part, width)]


def _wrapped_line(text: str, width: int) -> Iterator[str]:
    line, end = "", 0
    for unit in _UNIT.finditer(text):
        space = text[end : unit.start()]
        if line and columns(line + space + unit.group()) > width:
            yield line
            line, space = "", ""
        line, end = line + space + unit.group(), unit.end()
    yield line
