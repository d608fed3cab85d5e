"""Compare cells by their code, whatever language their docstrings and comments are in."""

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator

PROMPT = ">>> "  # begins the example at the end of a docstring
QUOTES = '"""'
_LONGEST = 20_000  # characters of a cell that is read; Python 3.11 reads some invalid ones slowly
_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT}


def bare(source: str) -> str:
    """A cell's code without docstrings, comments and empty lines.

    A string that is a statement of its own counts as a docstring. What is no Python stays as it is.
    """
    lines = source.split("\n")
    try:
        tokens = list(_tokens(source))
    except (tokenize.TokenError, SyntaxError, ValueError):
        return source.strip()
    for token in tokens:
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for statement in _statements(tokens):
        if all(token.type == tokenize.STRING for token in statement):
            first, last = statement[0].start[0], statement[-1].end[0]
            lines[first - 1 : last] = [""] * (last - first + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())


def is_blank(source: str, originals: Iterable[str]) -> bool:
    """Whether a learner has written nothing into a cell, neither code nor a comment.

    Args:
        source: of the learner's cell.
        originals: the course's cell in each language.
    """
    originals = list(originals)
    known = set().union(*map(_beside_code, originals))
    return any(bare(source) == bare(text) for text in originals) and _beside_code(source) <= known


def tasks(source: str) -> set[tuple[str, str, str]]:
    """What a cell's functions are to do: their names, arguments and docstrings, without examples; of no Python none."""
    try:
        functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    except (SyntaxError, ValueError):
        return set()
    said = [(ast.get_docstring(node) or "").partition(PROMPT)[0].rstrip() for node in functions]
    return {(node.name, ast.unparse(node.args), text) for node, text in zip(functions, said, strict=True)}


def _beside_code(source: str) -> set[str]:
    """The lines that are not only code; a docstring's without its quotes, which move when an example is added."""
    lines = {line.strip() for line in source.split("\n")} - {line.strip() for line in bare(source).split("\n")}
    return {line.removeprefix(QUOTES).removesuffix(QUOTES) for line in lines} - {""}


def _tokens(source: str) -> Iterator[tokenize.TokenInfo]:
    if len(source) > _LONGEST:
        raise ValueError
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.ERRORTOKEN and token.string in ("'", '"'):
            raise ValueError
        yield token


def _statements(tokens: list[tokenize.TokenInfo]) -> Iterator[list[tokenize.TokenInfo]]:
    statement: list[tokenize.TokenInfo] = []
    for token in tokens:
        if token.type in (tokenize.NEWLINE, tokenize.ENDMARKER):
            if statement:
                yield statement
            statement = []
        elif token.type not in _SILENT:
            statement.append(token)
