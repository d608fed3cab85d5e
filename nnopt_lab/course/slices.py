"""Find the statements of a notebook that measured the times in an expression (a backward program slice).

A claim that compares times is measured again if it fails. Its lesson need not say how: the cells that ran before it do.
Statements are those at the top level of a cell. One belongs to the slice if a value of the expression depends on it,
and if it measures time or depends on another one that does. Drawing, printing and training stay outside, because no
measured time flows through them into the expression.
"""

import ast
import symtable
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

# Calls whose result contains measured times, by the end of their dotted name.
MEASURING = (
    "latency",
    "measure.compare",
    "throughput",
    "measure.energy",
    "peak_gflops",
    "peak_bandwidth",
    "cost_model.calibrate",
    "batch_size_sweep.sweep",
    "capstone.judge",
    "data_parallel.step_seconds",
    "time_epochs",
    "time_in_turns",
    "time_layers",
    "Stopwatch",
    "perf_counter",
    "process_time",
)
EXACT_KEYS = ("accuracy", "difference", "macs", "model", "total")  # parts of such results that are no times
EXACT_ATTRIBUTES = ("accuracy", "bytes", "correct")
_BLOCKS = (ast.For, ast.While, ast.If, ast.With, ast.Try)
_CHANGING = ("add", "append", "clear", "extend", "insert", "pop", "remove", "setdefault", "update")


@dataclass(frozen=True)
class Statement:
    """A statement at the top level of a cell, with the names that it reads, binds and changes in place."""

    node: ast.stmt
    reads: frozenset[str]
    binds: frozenset[str]
    changes: frozenset[str]
    measures: bool


def measuring_statements(expression: ast.expr, before: Sequence[Statement]) -> list[Statement]:
    """The statements to run again for new times in an expression, in their order; none if it contains no times.

    Args:
        expression: such as a claim's condition.
        before: the statements that ran before it, in their order.
    """
    known: dict[int, frozenset[int]] = {}
    sources = _sources(_names(expression)[0], len(before), before)
    needed = set().union(*(_flows(at, before, known) for at in sources))
    waiting = list(needed)
    while waiting:  # what a statement changes, such as a list that it fills or a sum, must begin anew
        at = waiting.pop()
        new = set(_sources(_updated(before[at]), at, before)) - needed
        needed |= new
        waiting += new
    return [before[at] for at in sorted(needed)]


def contains_times(expression: ast.expr, before: Sequence[Statement]) -> bool:
    """Whether measured times flow into an expression, through these statements or by its own calls."""
    return _measures(expression) or bool(measuring_statements(expression, before))


def overwritten(needed: Sequence[Statement], before: Sequence[Statement]) -> set[str]:
    """The names that a slice reads from outside of it, and that a later statement has bound to something else."""
    places = {id(statement): at for at, statement in enumerate(before)}
    inside, lost = {places[id(s)] for s in needed}, set()
    for at in inside:
        for name in before[at].reads | before[at].changes:
            own = {at for at in _sources({name}, at, before)}
            last = {at for at in _sources({name}, len(before), before)}
            if own and own != last and not own <= inside and last - own - inside:
                lost.add(name)
    return lost


def statements(cells: Iterable[str]) -> list[Statement]:
    """All statements of cells, which are given as Python source; a cell that is none is left out."""
    return [statement for cell in cells for statement in _of_cell(cell)]


@cache
def _of_cell(source: str) -> tuple[Statement, ...]:
    try:
        nodes = ast.parse(source).body
    except SyntaxError:
        return ()
    return tuple(_statement(node) for node in nodes)


def _statement(node: ast.stmt) -> Statement:
    reads, binds = _effects([node])
    return Statement(node, frozenset(reads), frozenset(binds), frozenset(_changed(node) - binds), _measures(node))


def _effects(nodes: Iterable[ast.AST]) -> tuple[set[str], set[str]]:
    """The names that nodes read before they bind them themselves, and those that they bind."""
    reads, binds = set(), set()
    for node in nodes:
        if isinstance(node, _BLOCKS):
            # A loop's targets and what its body binds first are its own: `for name in …` does not read `name`.
            of_node = _effects(part for field in _order(node) for part in field)
        else:
            of_node = _names(node)
        reads |= of_node[0] - binds
        binds |= of_node[1]
    return reads, binds


def _order(node: ast.stmt) -> Iterable[list[ast.AST]]:
    """The parts of a compound statement, in the order in which they run."""
    fields = ["iter", "target"] + [f for f in node._fields if f not in ("iter", "target")]
    for field in fields:
        value = getattr(node, field, None)
        parts = value if isinstance(value, list) else [value]
        yield [part for part in parts if isinstance(part, ast.AST)]


def _names(node: ast.AST) -> tuple[set[str], set[str]]:
    """The global names that code reads, also in its functions, and those that it binds."""
    if isinstance(node, ast.withitem):
        binds = {part.id for part in ast.walk(node.optional_vars or node) if _is_stored(part)}
        return _names(node.context_expr)[0], binds
    if isinstance(node, ast.Name | ast.Tuple | ast.List | ast.Starred) and _is_stored(node):
        return set(), {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    if not isinstance(node, ast.stmt | ast.expr):
        return _effects(ast.iter_child_nodes(node))
    # Not a deep copy: a traceback of IPython links `ast.Load()`, which all nodes share, to a whole file's tree.
    own = _Exact().visit(ast.parse(ast.unparse(node)))
    table = symtable.symtable(ast.unparse(own), "<cell>", "exec")
    binds = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    reads = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    inner = list(table.get_children())
    while inner:
        scope = inner.pop()
        reads |= {s.get_name() for s in scope.get_symbols() if s.is_global() and s.is_referenced()}
        inner += scope.get_children()
    if isinstance(node, ast.AugAssign) and (root := _root(node.target)):
        reads.add(root)
    return reads, binds


class _Exact(ast.NodeTransformer):
    """Removes the parts of measured results that are no times, such as `row["macs"]` and `entry.bytes`."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return self._without(node, node.attr, EXACT_ATTRIBUTES)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        return self._without(node, getattr(node.slice, "value", None), EXACT_KEYS)

    def _without(self, node, field, names):
        exact = isinstance(node.ctx, ast.Load) and isinstance(field, str) and field in names
        return ast.Constant(None) if exact else self.generic_visit(node)


def _is_stored(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Store)


def _changed(node: ast.stmt) -> set[str]:
    """The names whose values a statement changes in place: `x[i] = …`, `x.y = …`, `x += …`, `x.append(…)`."""
    changed = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Subscript | ast.Attribute) and isinstance(part.ctx, ast.Store):
            changed.add(_root(part))
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in _CHANGING:
            changed.add(_root(part.func))
    return changed - {""}


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Subscript | ast.Attribute | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _measures(node: ast.AST) -> bool:
    names = (f".{ast.unparse(part.func)}" for part in ast.walk(node) if isinstance(part, ast.Call))
    return any(name.endswith(f".{call}") for name in names for call in MEASURING)


def _sources(names: Iterable[str], end: int, before: Sequence[Statement]) -> list[int]:
    """The places of the statements before `end` that made the values of names: the last that bound, and changes."""
    found = []
    for name in names:
        for at in range(end - 1, -1, -1):
            if name in before[at].binds:
                found.append(at)
                if name not in before[at].reads:  # `x += 1` needs what was there before
                    break
            elif name in before[at].changes:
                found.append(at)
    return found


def _flows(at: int, before: Sequence[Statement], known: dict[int, frozenset[int]]) -> frozenset[int]:
    """The places of the statements that carry times to the one at this place, itself included; none if none does."""
    if at not in known:
        known[at] = frozenset()  # a statement that changes what it reads does not wait for itself
        statement = before[at]
        flows = frozenset().union(
            *(_flows(s, before, known) for s in _sources(statement.reads | statement.changes, at, before))
        )
        own = {at} if statement.measures or flows else frozenset()
        known[at] = flows | own
    return known[at]


def _updated(statement: Statement) -> frozenset[str]:
    """The names whose values a statement makes from their earlier ones."""
    return statement.changes | (statement.binds & statement.reads)
