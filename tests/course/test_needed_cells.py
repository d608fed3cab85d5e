"""Which cells above a cell it needs in a new kernel."""

import pytest

from nnopt_lab.course.needed_cells import needed_cells

HERE = "here"


def needed(*sources: str) -> list[str] | None:
    """The numbers of the cells that the last one needs."""
    ids = [*map(str, range(len(sources) - 1)), HERE]
    return needed_cells(HERE, [cell(id, source) for id, source in zip(ids, sources, strict=True)])


def cell(id: str, source: str) -> dict:
    return {"id": id, "cell_type": "code", "source": source}


@pytest.mark.parametrize(
    "sources, expected",
    [
        (("import torch", "train()", "torch.ones(2)"), "0"),
        (("lesson('01_pruning')\nnet = load()", "net.train()", "1"), "0"),
        (("import torch", "x = torch.ones(2)", "y = 2 * x", "z = 3", "y"), "012"),
        (("net = load()", "net.train()", "other = 1", "net"), "01"),
        (("net = load()", "same = net", "same.prune()", "net"), "012"),
        (("N = 3", "print(N)", "N"), "0"),
        (("def f(): return g()", "def g(): return h", "h = 1", "k = 2", "f()"), "012"),
        (("rate = 1", "def f(x):\n    rate = x\n    return rate", "f(2)"), "1"),
        (("x = 1", "x += 1", "x"), "01"),
        (("xs = [1]", "ys = [x for x in xs]", "ys"), "01"),
        (("def f(): pass", "check('a.f', f)", "f = yours_or_ours('a.f')", "f()"), "012"),
        (("%matplotlib inline", "x = 1", "2"), "0"),
        (("def half(", "x = 1", "x"), "1"),
        (("from math import *", "pi"), "0"),
        (("if True:\n    x = 1", "x"), "0"),
    ],
)
def test_a_cell_needs_those_that_define_or_change_what_it_uses(sources, expected):
    assert needed(*sources) == list(expected)


def test_where_it_is_not_sure_it_is_not_said():
    assert needed("x = 1", "%time x") is None
    assert needed_cells("gone", [cell("0", "x = 1")]) is None
