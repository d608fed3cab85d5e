"""Notice outputs of a stored notebook that are not those it was built with.

A build notes a digest of each code cell's outputs in the cell's metadata. Outputs that were edited, removed or made by
another run differ from it, which needs no knowledge of what a cell should show.
"""

import hashlib
import json

import nbformat
from nbformat import NotebookNode

SEAL = "outputs_digest"


def seal(notebook: NotebookNode) -> None:
    """Note the digests of a notebook's outputs, in place, as the last step before it is written."""
    as_stored = nbformat.reads(nbformat.writes(notebook), as_version=4)
    for cell, stored in zip(notebook.cells, as_stored.cells, strict=True):
        if cell.cell_type == "code":
            cell.metadata[SEAL] = _digest(stored)


def fault(notebook: NotebookNode) -> str:
    """What is wrong with the outputs of a solved notebook as it is stored, as a predicate; "" if nothing is.

    Cells are counted as in `nnopt run`, from 0.
    """
    code = [(place, cell) for place, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    for number, (place, cell) in enumerate(code, start=1):
        if any(output.output_type == "error" for output in cell.outputs):
            return f"shows an error in cell {place}"
        if not cell.execution_count:
            return f"was not run as a whole: cell {place} has no execution count"
        if cell.execution_count != number:
            return (
                f"was not run from top to bottom: cell {place} has the execution count {cell.execution_count} instead "
                f"of {number}"
            )
    for place, cell in code:
        if SEAL not in cell.metadata:
            return f"was not written by nnopt build: cell {place} has no digest of its outputs"
        if cell.metadata[SEAL] != _digest(cell):
            what = "other outputs than it was built with" if cell.outputs else "lost the outputs it was built with"
            return f"has {what} in cell {place}"
    return ""


def _digest(cell: NotebookNode) -> str:
    return hashlib.sha256(json.dumps(cell.outputs, sort_keys=True).encode()).hexdigest()[:16]
