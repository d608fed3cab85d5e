"""The house: each floor imports only what is below it, and no modules import each other in a circle."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "nnopt_lab"
FLOORS = ("workbench", "techniques", "course", "lessons", "grading", "book")
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(tree):
    """Names of the modules that a syntax tree imports, those inside functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_floor_imports_only_what_is_below_it(path):
    floor = path.relative_to(PACKAGE).parts[0]
    above = FLOORS[FLOORS.index(floor) + 1 :] if floor in FLOORS else ()
    forbidden = [f"nnopt_lab.{name}" for name in (*above, *(("cli", "__main__") if floor in FLOORS else ()))]
    for name in imported(parsed(path)):
        assert not any(name == f or name.startswith(f + ".") for f in forbidden), f"{path.name} imports {name}"


def test_no_modules_import_each_other_in_a_circle():
    names = {".".join(("nnopt_lab", *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in MODULES}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    graph = {name: set() for name in names}
    for name, path in names.items():
        for wanted in imported(parsed(path)):
            found = wanted if wanted in names else wanted.rpartition(".")[0]
            if found in names and found != name:
                graph[name].add(found)
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the modules


def test_before_the_set_up_only_the_standard_library_is_imported():
    tree = parsed(PACKAGE / "__main__.py")
    tree.body = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert {name.split(".")[0] for name in imported(tree)} <= set(sys.stdlib_module_names)
    for name in imported(parsed(PACKAGE / "__init__.py")):
        assert name.split(".")[0] in {*sys.stdlib_module_names, "nnopt_lab"}


@pytest.mark.parametrize(
    "path",
    [p for p in MODULES if (p.stat().st_size and p.name != "exercises.py") or p.parent.name == "course"],
    ids=lambda path: path.relative_to(PACKAGE).as_posix(),
)
def test_what_is_public_says_what_it_is(path):
    # The references of the exercises are described where the learner reads them: in the lesson.
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
