"""The house: each floor imports only what is below it, and what the lessons teach stays readable in an evening."""

import ast
import io
import sys
import tokenize
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "nnopt_lab"
FLOORS = ("workbench", "techniques", "course", "grading")
MODULES = sorted(PACKAGE.rglob("*.py"))
READABLE_LINES = 4_420  # of code; a docstring is read in its lesson's place, and a blank line is not read at all


def imported(tree):
    """Names of the modules that a syntax tree imports, those inside functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def code_lines(path):
    """How many lines of a module hold code: no blank lines, comments or docstrings."""
    text, code = path.read_text(encoding="utf-8"), set()
    blank = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in blank:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            code.difference_update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(code)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_floor_imports_only_what_is_below_it(path):
    floor = path.relative_to(PACKAGE).parts[0]
    above = FLOORS[FLOORS.index(floor) + 1 :] if floor in FLOORS else ()
    forbidden = [f"nnopt_lab.{name}" for name in (*above, *(("cli", "__main__") if floor in FLOORS else ()))]
    for name in imported(parsed(path)):
        assert not any(name == f or name.startswith(f + ".") for f in forbidden), f"{path.name} imports {name}"


def test_before_the_set_up_only_the_standard_library_is_imported():
    tree = parsed(PACKAGE / "__main__.py")
    tree.body = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert {name.split(".")[0] for name in imported(tree)} <= set(sys.stdlib_module_names)
    for name in imported(parsed(PACKAGE / "__init__.py")):
        assert name.split(".")[0] in {*sys.stdlib_module_names, "nnopt_lab"}


def test_workbench_and_techniques_can_be_read_in_an_evening():
    read = [path for path in MODULES if path.relative_to(PACKAGE).parts[0] in FLOORS[:2]]
    lines = {path.relative_to(PACKAGE).as_posix(): code_lines(path) for path in read}
    assert sum(lines.values()) <= READABLE_LINES, lines


@pytest.mark.parametrize(
    "path",
    [p for p in MODULES if p.stat().st_size and p.parent.name != "declared"],
    ids=lambda path: path.relative_to(PACKAGE).as_posix(),
)
def test_what_is_public_says_what_it_is(path):
    # The references of the exercises, in course/declared, are described where the learner reads them: in the lesson.
    tree = parsed(path)
    assert ast.get_docstring(tree), path.name
    public = [
        node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
    ]
    # What two numbers a NamedTuple holds is said by its fields.
    missing = [n.name for n in public if not ast.get_docstring(n) and "NamedTuple" not in ast.dump(n)]
    assert not missing
