"""Cells as IPython reads them, and the names that a notebook's cells define.

An answer may use a helper, a constant or an import of another cell. Of such a cell only the statements run that bind a
name which is needed, when it is needed: training a network again would take too long.
"""

import __future__

import ast
import builtins
import re
from collections.abc import Callable, Iterator
from functools import partial

_MAGIC = re.compile(r"\s*%%(time|capture)\b.*")  # cell magics that run the rest of the cell in the notebook's names
_PROMPT = re.compile(r"(>>>|\.\.\.)( |$)")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_INNER = (*_SCOPES, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def statements(source: str, file: str, commands_after: str = r"(async )?def ") -> Iterator[tuple[ast.stmt, Callable]]:
    """The statements of a cell, each with a function that compiles it.

    Args:
        commands_after: pattern of the line after which IPython's own commands may stand.

    Raises:
        SyntaxError: it is no Python, even without those commands. ast raises others for what can't be encoded or is
            nested too deeply.
    """
    source = _plain(source)
    try:
        tree = ast.parse(source, file)
    except SyntaxError as error:
        without = _without_commands(source, commands_after)
        if without == source:
            raise
        try:
            tree = ast.parse(without, file)
        except SyntaxError:
            raise error from None
    future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    names = {alias.name for node in future for alias in node.names} & set(__future__.all_feature_names)
    flags = sum(getattr(__future__, name).compiler_flag for name in names)
    for node in tree.body:
        yield node, partial(compile, ast.Module([node], []), file, "exec", flags, dont_inherit=True)


class Helpers(dict):
    """The names that a notebook's cells define; each is made when it is first needed.

    Args:
        names: those that are there already.
        code: the code cells in the order of the notebook.
        own: the cell of the answer that asks. Where several others define a name, the last one before it counts, or
            else the first one after it.
    """

    def __init__(self, names: dict, code: list[str], own: str):
        super().__init__(names)
        place = code.index(own) if own in code else len(code)
        self._code = [*reversed(code[:place]), *code[place + 1 :]]
        self._found: list[dict[str, list[Callable]]] | None = None
        self._failed: dict[str, str] = {}

    def __missing__(self, name):
        if hasattr(builtins, name):
            raise KeyError(name)
        if name in self._failed:
            raise NameError(self._failed[name])
        if self._found is None:
            self._found = [_definitions(source) for source in self._code]
        # Taken out first, so that names that need each other come to an end.
        binding = next((cell.pop(name) for cell in self._found if name in cell), ())
        error = None
        for code in binding:
            try:
                exec(code(), self)
            except Exception as raised:
                error = raised
        if name in self:
            return self[name]
        if error is not None and not isinstance(error, ModuleNotFoundError):  # the course's library is not there
            self._failed[name] = f"name {name!r} can't be used: its own cell raised {type(error).__name__}: {error}"
            raise NameError(self._failed[name])
        raise KeyError(name)


def _definitions(source: str) -> dict[str, list[Callable]]:
    """What binds each name of a cell, in order; {} for a cell that is no Python."""
    found: dict[str, list[Callable]] = {}
    try:
        for node, code in statements(f"\n{source}", "<another cell>", ""):
            for name in set(_bound(node)):
                found.setdefault(name, []).append(code)
    except Exception:
        return {}
    return found


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a statement binds in its cell."""
    if isinstance(node, _SCOPES):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    if not isinstance(node, _INNER):
        for child in ast.iter_child_nodes(node):
            yield from _bound(child)


def _plain(source: str) -> str:
    """The source without what IPython takes off: a byte order mark, an indent of all lines, prompts, `%%time`."""
    lines = source.replace("\ufeff", "", 1).split("\n")
    first = next((n for n, line in enumerate(lines) if line.strip()), 0)
    if _MAGIC.fullmatch(lines[first]):
        lines[first] = ""
        first = next((n for n, line in enumerate(lines) if line.strip()), 0)
    if indent := re.match(r"[ \t]+", lines[first]):
        lines = [line.removeprefix(indent[0]) for line in lines]
    if _PROMPT.match(lines[first]):
        lines = [_PROMPT.sub("", line, count=1) for line in lines]
    return "\n".join(lines)


def _without_commands(source: str, after: str) -> str:
    """The source without IPython's own commands in the lines after the first one: `%timeit f(x)`, `!ls`, `f?`."""
    lines = source.split("\n")
    first = next((n for n, line in enumerate(lines) if re.match(after, line)), len(lines))
    command = re.compile(r"[%!?](?!%)|[\w.]+\?{1,2}\s*$")
    return "\n".join("pass" if n > first and command.match(line) else line for n, line in enumerate(lines))
