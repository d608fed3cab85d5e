"""What a false claim's condition compared: the measured values, found by the condition's source.

`claim` is given a truth value only, so the condition's operands are evaluated once more, without output, in a copy of
the notebook's variables.
"""

import ast
import re
from collections.abc import Iterator

from torch import Tensor

from nnopt_lab.course.display import show
from nnopt_lab.course.ledger import with_unit
from nnopt_lab.workbench.language import _

_SIGNS = {ast.Lt: "<", ast.LtE: "≤", ast.Gt: ">", ast.GtE: "≥", ast.Eq: "=", ast.NotEq: "≠"}
_DIGITS, _MOST_DIGITS = 3, 12
_LONGEST = 80  # characters of a value that is no number


def measured_values(condition: ast.expr, names: dict, text: str) -> str:
    """Say what was measured where a condition is false, such as "Measured: 86.4 %."; "" where it compares nothing.

    Args:
        condition: a comparison with `<`, `==` and so on, several that are joined by `and`, or `all` of them.
        names: the values of the names in it.
        text: the claim in English, whose unit behind the limit is the values' own.

    Raises:
        Exception: any that the condition itself raises.
    """
    found = _false_comparison(condition, names)
    if found is None:
        return ""
    signs, values, is_limit = found
    measured = [value for value, limit in zip(values, is_limit, strict=True) if not limit]
    if len(measured) == 1:
        limits = [value for value, limit in zip(values, is_limit, strict=True) if limit]
        return _("Measured: {value}.", value=_in_unit(measured[0], limits, text))
    written = [_written(value, [v for v in values if v is not value]) for value in values]
    compared = written[0] + "".join(f" {sign} {value}" for sign, value in zip(signs, written[1:], strict=True))
    return _("Measured: {comparison} is false.", comparison=compared)


def _false_comparison(node: ast.expr, names: dict) -> tuple[list[str], list, list[bool]] | None:
    """The signs of the first comparison that is false, its operands' values, and whether each is a limit."""
    for part in _parts(node, names):
        loops, compare = _loops_of(part)
        if not isinstance(compare, ast.Compare) or any(type(op) not in _SIGNS for op in compare.ops):
            continue
        operands = [compare.left, *compare.comparators]
        is_limit = [not any(isinstance(n, ast.Name) for n in ast.walk(operand)) for operand in operands]
        if all(is_limit):
            continue
        bare = _bare if is_limit.count(False) == 1 else lambda operand: operand
        values = ast.Tuple([bare(operand) for operand in operands], ast.Load())
        if loops:
            values = _first_false(values, compare, loops)
        return [_SIGNS[type(op)] for op in compare.ops], list(map(_plain, _value(values, names))), is_limit
    return None


def _parts(node: ast.expr, names: dict) -> Iterator[ast.expr]:
    """The parts of a condition that are false."""
    if isinstance(node, ast.Lambda):
        node = node.body
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "bool" and node.args:
        node = node.args[0]
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for part in node.values:
            yield from _parts(part, names)
    elif not _value(node, names):
        yield node


def _loops_of(node: ast.expr) -> tuple[list[ast.comprehension], ast.expr]:
    """The loops and the condition of `all(… for …)`; no loops and the condition itself, if it is not that."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "all" and node.args:
        over = node.args[0]
        if isinstance(over, (ast.GeneratorExp, ast.ListComp)):
            return over.generators, over.elt
    return [], node


def _first_false(values: ast.expr, condition: ast.expr, loops: list[ast.comprehension]) -> ast.expr:
    """An expression for the values at which the condition is false for the first time."""
    *outer, last = loops
    fails = ast.UnaryOp(ast.Not(), condition)
    inner = ast.comprehension(last.target, last.iter, [*last.ifs, fails], last.is_async)
    return ast.Call(ast.Name("next", ast.Load()), [ast.GeneratorExp(values, [*outer, inner])], [])


def _bare(operand: ast.expr) -> ast.expr:
    """The measured value itself in `round(value, …)`, and in `abs(value - number)`."""
    if not isinstance(operand, ast.Call) or not isinstance(operand.func, ast.Name) or not operand.args:
        return operand
    inner = operand.args[0]
    if operand.func.id == "round":
        return _bare(inner)
    if operand.func.id == "abs" and isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Sub):
        return inner.left if isinstance(inner.right, ast.Constant) else operand
    return operand


def _value(node: ast.expr, names: dict):
    return eval(compile(ast.fix_missing_locations(ast.Expression(node)), "<claim>", "eval"), names)


def _plain(value):
    return value.item() if isinstance(value, Tensor) and value.numel() == 1 else value


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _in_unit(value, limits: list, text: str) -> str:
    """A measured value with the unit that the claim's text writes behind its limit.

    A text such as "It costs less than 3 points." writes the limit −3 without its sign, and so its value's sign is
    turned, too.
    """
    if not _is_number(value):
        return _written(value, limits)
    for limit in filter(_is_number, limits):
        for unit, pattern, scale in (("points", "points?", 1), ("%", "%", 1), ("%", "%", 100), ("dB", "dB", 1)):
            size = f"{scale * abs(limit):g}"
            if _stands_in(text, size, pattern):
                scale *= -1 if limit < 0 and f"−{size}" not in text else 1
                return with_unit(_written(scale * value, [scale * limit for limit in limits]), unit)
    return _written(value, limits)


def _stands_in(text: str, number: str, unit: str) -> bool:
    return re.search(rf"(?<![\d.,]){re.escape(number)}\s{unit}(?!\w)", text) is not None


def _written(value, others: list) -> str:
    """A number with three digits, or as many as distinguish it from the others."""
    if not _is_number(value):
        return show(value, _LONGEST)
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    others = [other for other in others if _is_number(other) and other != value]
    digits = _DIGITS
    while digits < _MOST_DIGITS and any(float(f"{value:.{digits}g}") == float(f"{o:.{digits}g}") for o in others):
        digits += 1
    if 1000 <= abs(value) < 10**_MOST_DIGITS:
        digits = max(digits, len(f"{abs(value):.0f}"))
    return f"{value:,.{digits}g}".replace("-", "−")
