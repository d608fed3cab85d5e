"""Cells as IPython reads them, and what other cells define."""

import importlib
import sys

import pytest

from nnopt_lab.grading.view import SANDBOXED


@pytest.fixture(scope="module")
def cells():
    sys.path.insert(0, str(SANDBOXED))  # where its modules find each other
    yield importlib.import_module("cells")
    sys.path.remove(str(SANDBOXED))


def run(cells, source: str) -> dict:
    names: dict = {}
    for _, code in cells.statements(source, "<cell>"):
        exec(code(), names)
    return names


PLAIN = "def f(x):\n    y = x + 1\n    return y * 2"


@pytest.mark.parametrize(
    "source",
    [
        PLAIN,
        f"\ufeff{PLAIN}",
        f"%%time\n{PLAIN}",
        f"\n\n%%time\n\n{PLAIN}",
        f"%%capture out\n{PLAIN}\nprint(f(1))",
        f"\ufeff%%time\n{PLAIN}",
        "\n".join(f"    {line}" for line in PLAIN.split("\n")),
        "\n".join(f"\t{line}" for line in ["", *PLAIN.split("\n"), ""]),
        "%%time\n" + "\n".join(f"  {line}" for line in PLAIN.split("\n")),
        "\n".join(f"{'...' if line[0] == ' ' else '>>>'} {line}" for line in PLAIN.split("\n")),
        f"{PLAIN}\n%timeit f(1)\n!ls\nf?",
        f"from __future__ import annotations\ndef g(x: nowhere): pass\n{PLAIN}",
    ],
)
def test_what_runs_in_the_notebook_runs_here(cells, source):
    assert run(cells, source)["f"](3) == 8


@pytest.mark.parametrize("source", ["%%bash\nls", "%run x.py\n" + PLAIN, "!ls\n" + PLAIN, "%%writefile a.py\n" + PLAIN])
def test_commands_that_do_more_are_no_python(cells, source):
    with pytest.raises(SyntaxError):
        run(cells, source)


BOUND = {
    "a = 1": {"a"},
    "a, (b, *c) = 1, (2, 3)": {"a", "b", "c"},
    "a = b = c": {"a", "b"},
    "a.x = b[0] = 1": set(),
    "a: int = 1": {"a"},
    "a += 1": {"a"},
    "import a.b, c as d": {"a", "d"},
    "from a import b, c as d": {"b", "d"},
    "def a(b=(c := 1)):\n    d = 1": {"a"},
    "class a:\n    b = 1": {"a"},
    "if x:\n    a = 1\nelse:\n    b = 2": {"a", "b"},
    "try:\n    import a\nexcept ImportError:\n    a = None": {"a"},
    "for a in x:\n    b = a": {"a", "b"},
    "with x as a: pass": {"a"},
    "print(a := 3)": {"a"},
    "[b for b in x]": set(),
    "lambda b: b": set(),
    "f(x)": set(),
}


@pytest.mark.parametrize("source", BOUND)
def test_the_names_that_a_statement_binds(cells, source):
    assert set(cells._definitions(source)) == BOUND[source]


OWN = "def f(x): return helper(x)"
NOTEBOOKS = {  # code cells; `helper(3)` is 8
    "before": ["def helper(x): return x + 5", OWN],
    "after": [OWN, "def helper(x): return x + 5"],
    "through another": ["def inner(x): return x + FIVE", "FIVE = 5", OWN, "def helper(x): return inner(x)"],
    "the last before": ["def helper(x): return 0", "def helper(x): return x + 5", OWN, "def helper(x): return 1"],
    "an import": ["import math as m", "def helper(x): return x + m.floor(5.5)", OWN],
    "changed later in its cell": ["offset = 2\noffset += 3", "def helper(x): return x + offset", OWN],
    "in a cell that fails": ["model.train()\ndef helper(x): return x + 5\n1 / 0", OWN],
    "beside a magic": ["%matplotlib inline\ndef helper(x): return x + 5", OWN],
    "beside no Python": ["%%bash\nhelper = 3", "def helper(x): return x + 5", "so (it goes", OWN],
    "two that need each other": [
        "def a(n): return 8 if n > 3 else b(n)",
        "def b(n): return a(n + 1)",
        "helper = a",
        OWN,
    ],
    "beside endless work": ["while True: pass\ndef helper(x): return x + 5", OWN],
    "shared state": [
        "log = []",
        "def note(x): log.append(x)\ndef helper(x): note(x); return 5 + sum(log)",
        OWN,
    ],
}


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_name_of_another_cell_is_made_when_it_is_needed(cells, notebook):
    helpers = cells.Helpers({"torch": None}, NOTEBOOKS[notebook], OWN)
    assert helpers["helper"](3) == 8
    with pytest.raises(KeyError):
        helpers["nowhere"]
    with pytest.raises(KeyError):
        helpers["len"]


def test_a_helper_that_fails_says_why(cells):
    helpers = cells.Helpers({}, ["helper = 1 / 0"], OWN)
    for _ in range(2):
        with pytest.raises(NameError, match=r"name 'helper' can't be used: its own cell raised ZeroDivisionError"):
            helpers["helper"]


def test_the_courses_library_is_not_there(cells):
    with pytest.raises(KeyError):
        cells.Helpers({}, ["from nowhere_to_be_found import helper", OWN], OWN)["helper"]


def test_what_nobody_needs_does_not_run(cells):
    helpers = cells.Helpers({"ran": []}, ["ran.append(1)\nx = ran.append(2)\ndef helper(x): return 8", OWN], OWN)
    assert helpers["helper"](1) == 8 and helpers["ran"] == []
