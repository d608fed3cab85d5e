"""Outputs of a stored notebook that are not those it was built with."""

import nbformat
import pytest

from nnopt_lab.course.stored_outputs import fault, seal
from tests.course.as_if_run import as_if_run


def output(text, kind="display_data", **more):
    return nbformat.v4.new_output(kind, {"text/plain": text, "text/html": f"<p>{text}</p>\n<p>é</p>\n"}, **more)


@pytest.fixture
def stored():
    """A sealed notebook that was written and read again: a cell with two outputs, prose, a stream, one without any."""
    v4 = nbformat.v4
    cells = [v4.new_code_cell("a"), v4.new_markdown_cell("prose"), v4.new_code_cell("b"), v4.new_code_cell("c")]
    cells[0].outputs = [output("one"), output("two", "execute_result", execution_count=1)]
    cells[2].outputs = [v4.new_output("stream", text="several\nlines\n", name="stdout")]
    return written(as_if_run(v4.new_notebook(cells=cells)))


def written(notebook):
    return nbformat.reads(nbformat.writes(notebook), as_version=4)


def test_a_notebook_as_it_was_built_has_no_fault(stored):
    assert fault(stored) == "" == fault(written(stored))
    assert fault(nbformat.v4.new_notebook()) == ""


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda cells: cells[0].outputs.clear(), "has lost the outputs it was built with in cell 0"),
        (lambda cells: cells[0].outputs.pop(), "has other outputs than it was built with in cell 0"),
        (lambda cells: cells[0].outputs.reverse(), "has other outputs than it was built with in cell 0"),
        (lambda cells: cells[0].outputs[1].data.pop("text/html"), "has other outputs than it was built with in cell 0"),
        (lambda cells: cells[2].outputs[0].update(text="other"), "has other outputs than it was built with in cell 2"),
        (lambda cells: cells[3].outputs.append(output("new")), "has other outputs than it was built with in cell 3"),
        (
            lambda cells: cells[3].metadata.clear(),
            "was not written by nnopt build: cell 3 has no digest of its outputs",
        ),
        (lambda cells: cells[2].update(execution_count=None), "was not run as a whole: cell 2 has no execution count"),
        (
            lambda cells: cells[2].update(execution_count=7),
            "was not run from top to bottom: cell 2 has the execution count 7 instead of 2",
        ),
        (
            lambda cells: cells[3].update(execution_count=2),
            "was not run from top to bottom: cell 3 has the execution count 2 instead of 3",
        ),
        (
            lambda cells: cells[3].outputs.append(
                nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=[])
            ),
            "shows an error in cell 3",
        ),
    ],
)
def test_what_was_edited_is_named_with_its_cell(stored, edit, said):
    edit(stored.cells)
    assert fault(stored) == said == fault(written(stored))


def test_an_error_that_was_built_in_is_a_fault_too(stored):
    stored.cells[2].outputs = [nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])]
    seal(stored)
    assert fault(stored) == "shows an error in cell 2"


def test_what_the_digest_does_not_cover_may_change(stored):
    stored.cells[0].metadata["tags"] = ["other"]
    stored.cells[1].source = "other prose"
    assert fault(stored) == ""
