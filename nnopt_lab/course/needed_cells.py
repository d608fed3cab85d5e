"""The cells above a cell that it needs in a new kernel, by the names that they define and read.

Cells that are not needed may train for minutes. Where it is not sure that a cell can be left out, it is not.
"""

import ast
import symtable
from contextlib import suppress
from dataclasses import dataclass, field

_OPENS = ("lesson",)  # calls that prepare the kernel for all other cells
_RUN_AT_ONCE = ("listcomp", "setcomp", "dictcomp")
_BINDS = (ast.Assign, ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)  # whatever else happens in the cell


@dataclass
class _Effects:
    """What a cell does.

    Attributes:
        defines: names that it assigns or imports, with those of exercises that it checks.
        reads: names that it needs, also in its functions, with those of exercises whose check decides what it gets.
        fixed: those of `defines` that no other cell can change in place: modules, functions, classes and constants.
        always: whether it is needed by every other cell.
    """

    defines: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    fixed: set[str] = field(default_factory=set)
    always: bool = False


def needed_cells(id: str, cells: list[dict]) -> list[str] | None:
    """The ids of the code cells above a cell that it needs, in order; None if it is not known.

    Args:
        id: of the cell.
        cells: of its notebook, as stored.
    """
    ids = [cell.get("id") for cell in cells]
    if id not in ids:
        return None
    place = ids.index(id)
    above = [cell for cell in cells[:place] if cell.get("cell_type") == "code"]
    *effects, own = (_effects("".join(cell.get("source", ""))) for cell in (*above, cells[place]))
    if own is None or not all(cell.get("id") for cell in above):
        return None
    chosen = {n for n, effect in enumerate(effects) if effect is None or effect.always}
    names = set(own.reads)
    while True:
        for effect in (effects[n] for n in chosen if effects[n]):
            others = set() if effect.always else effect.defines - effect.fixed  # they may be the same objects
            names |= effect.reads | others
        more = {n for n, effect in enumerate(effects) if effect and _touches(effect, names, effects)}
        if more <= chosen:
            return [above[n]["id"] for n in sorted(chosen)]
        chosen |= more


def _touches(effect: _Effects, names: set[str], effects: list[_Effects | None]) -> bool:
    """Whether a cell defines one of the names, or reads one whose value it could change in place."""
    definers = {name: [other for other in effects if other and name in other.defines] for name in names & effect.reads}
    changeable = any(any(name not in other.fixed for other in others) for name, others in definers.items())
    return bool(names & effect.defines) or changeable


def _effects(source: str) -> _Effects | None:
    """What a cell does; None if it is not known. A cell that Python can't read does nothing."""
    lines = source.split("\n")
    if any(line.lstrip().startswith(("%", "!")) for line in lines):
        return None
    try:
        tree, table = ast.parse(source), symtable.symtable(source, "cell", "exec")
    except (SyntaxError, ValueError):
        return _Effects()
    found = _Effects(_bound(table), _read(tree))
    found.fixed = found.defines - _changeable(tree)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        found.always |= call.func.id in _OPENS
        answers = {f"check {arg.value}" for arg in call.args if isinstance(arg, ast.Constant)}
        if call.func.id == "check":
            found.defines |= answers
            found.fixed |= answers
        if call.func.id == "yours_or_ours":
            found.reads |= answers
    found.always |= any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree))
    return found


def _bound(table: symtable.SymbolTable) -> set[str]:
    return {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}


def _read(tree: ast.Module) -> set[str]:
    """The names that the code needs from other cells, and all that its functions may use when they are called."""
    read, bound = set(), set()
    for statement in tree.body:
        table = symtable.symtable(ast.unparse(statement), "cell", "exec")
        at_once = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
        at_once |= {node.target.id for node in ast.walk(statement) if _adds_to_a_name(node)}
        later = set()
        for inner in table.get_children():
            (at_once if inner.get_name() in _RUN_AT_ONCE else later).update(_free(inner))
        read |= at_once - bound | later
        if isinstance(statement, _BINDS):
            bound |= _bound(table)
    return read


def _free(table: symtable.SymbolTable) -> set[str]:
    own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
    return own.union(*map(_free, table.get_children()))


def _adds_to_a_name(node: ast.AST) -> bool:
    return isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)


def _changeable(tree: ast.Module) -> set[str]:
    """The names that the cell binds to anything but a module, function, class or constant."""
    simple = set()
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            with suppress(ValueError, TypeError):
                hash(ast.literal_eval(statement.value))
                simple.add(statement)
    return {
        node.id
        for statement in tree.body
        if statement not in simple
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }
