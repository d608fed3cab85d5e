"""A notebook as a build would store it, without running it."""

from nnopt_lab.course.stored_outputs import seal


def as_if_run(notebook):
    """The notebook, with execution counts and with digests of the outputs that it has."""
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        cell.execution_count = number
    seal(notebook)
    return notebook
