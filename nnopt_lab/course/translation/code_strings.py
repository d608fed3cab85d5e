"""Find the strings in a cell's code that a learner reads. The code itself is never translated."""

import ast
import re
from collections.abc import Iterator

# Calls whose strings are names, file names, formats or code.
CALLS_WITH_NAMES = re.compile(
    r"(?:check|hint|lesson|question|yours_or_ours|needs|attempt|recorded|live_or_recorded|getattr|setattr|hasattr|exec"
    r"|isinstance|open|Path|import_module|(?:data|models|torch|np|nn|re|os|sys|plt)\..*"
    r"|.*\.(?:get|pop|to|startswith|endswith|split|replace|removeprefix|removesuffix|strip|join|format|encode|decode"
    r"|legend|color_of|tick_params|grid|set_xscale|set_yscale|axis|subplots|imshow|backward|load|save))"
)
# Keywords of matplotlib, which are also keys where a dict of them is passed on.
LOOKS = {
    *("alpha", "color", "ecolor", "edgecolor", "facecolor", "markerfacecolor", "fontsize", "linestyle", "linewidth"),
    *("marker", "markersize", "textcoords", "xycoords", "xytext", "arrowprops", "ha", "va"),
}
KEYWORDS_WITH_NAMES = LOOKS | {
    *("cmap", "colors", "style", "scale", "xscale", "yscale", "mode", "reduction", "sharex", "sharey", "orientation"),
    *("engine", "device", "dtype", "backend", "format", "where", "loc", "axis", "method", "per", "key"),
    *("fontfamily", "family", "fmt", "drawstyle", "histtype", "fontweight", "weight", "padding_mode", "schedule"),
    *("rounding", "observer", "which", "target", "name"),
}
WORD = re.compile(r"(?<![\w./])[A-Za-z][a-z]{2,}(?![\w]|\.\w|/\w|\()")
KINDS = {"claim": "claim", "predict": "prediction", "reveal": "prediction", "print": "printed", "finish": "description"}


def code_strings(source: str) -> Iterator[tuple[str, str]]:
    """The strings that a learner reads in the output of a cell, each as (kind, message), in order.

    The fields of an f-string are numbered in a message: f"{share:.0f} % of {name}" gives "{0} % of {1}". Names, keys
    for a look-up, and texts without a word are left out. A string that is never shown may be among them, because a
    program's text does not tell; its translation is then never used.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a cell with a magic command
        return
    yield from strings_of(tree, "label")


def message_of(node: ast.expr) -> str:
    """The message of a string or f-string."""
    if isinstance(node, ast.Constant):
        return node.value
    text, fields = "", 0
    for part in node.values:
        if isinstance(part, ast.Constant):
            text += part.value
        else:
            text += f"{{{fields}}}"
            fields += 1
    return text


def strings_of(node: ast.AST, kind: str) -> Iterator[tuple[str, str]]:
    """As `code_strings`, of a part of a program.

    Args:
        node: the part.
        kind: of strings that stand outside of calls that tell it, such as `claim`.
    """
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        message = message_of(node).strip()
        if WORD.search(message) and (kind != "label" or not _is_name(message)):
            yield kind, message
        for field in ast.walk(node) if isinstance(node, ast.JoinedStr) else ():
            if isinstance(field, ast.FormattedValue):
                yield from strings_of(field.value, "label")
        return
    if isinstance(node, ast.Call):
        yield from _in_call(node, kind)
    elif isinstance(node, ast.Subscript):
        yield from strings_of(node.value, kind)
    elif isinstance(node, ast.Compare):
        return
    elif isinstance(node, ast.Dict):
        yield from _in_dict(node, kind)
    elif isinstance(node, ast.FunctionDef | ast.ClassDef):
        body = node.body[1:] if ast.get_docstring(node) else node.body
        for child in body:
            yield from strings_of(child, kind)
    elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        for child in ast.iter_child_nodes(node):
            yield from strings_of(child, kind)


def _in_dict(node: ast.Dict, kind: str) -> Iterator[tuple[str, str]]:
    # A key is None where another dict is unpacked.
    for key, value in zip(node.keys, node.values, strict=True):
        if not (isinstance(key, ast.Constant) and key.value in LOOKS):
            yield from strings_of(key, kind) if key else ()
            yield from strings_of(value, kind)


def _in_call(call: ast.Call, kind: str) -> Iterator[tuple[str, str]]:
    function = ast.unparse(call.func)
    inner = KINDS.get(function.rpartition(".")[2], kind)
    yield from strings_of(call.func, kind)
    if CALLS_WITH_NAMES.fullmatch(function):
        titles = [keyword.value for keyword in call.keywords if function.endswith(".legend") and keyword.arg == "title"]
        yield from (found for title in titles for found in strings_of(title, "label"))
        return
    for number, argument in enumerate(call.args):
        # After a claim's text comes its condition, and after a prediction's name its numbers.
        yield from strings_of(argument, "label" if inner in ("claim", "prediction") and number else inner)
    for keyword in call.keywords:
        if inner == "claim" and keyword.arg == "where" and isinstance(keyword.value, ast.Tuple):
            yield from strings_of(keyword.value.elts[-1], "label")  # why the claim does not apply
        if keyword.arg not in KEYWORDS_WITH_NAMES:
            yield from strings_of(keyword.value, "explanation" if keyword.arg == "because" else "label")


def _is_name(message: str) -> bool:
    """Whether a label of one word could be an identifier: it has an underscore or a dot, or it is a known colour."""
    return bool(
        re.fullmatch(r"\w*_\w*|[\w.]+\.\w+|(?:RdBu|Greys|gray|viridis|log|white|black|none|symlog)(?:_r)?", message)
    )
