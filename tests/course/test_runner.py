"""Notebooks that do not run to their end are reported in words; see test_builder.py for those that do."""

import nbformat

from nnopt_lab.course import runner


def test_a_kernel_that_dies_is_reported_in_words(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import os\nos._exit(1)")])
    assert runner.execute(notebook, tmp_path) == "cell 0 killed the kernel\nimport os\nos._exit(1)"


def test_a_cell_that_takes_too_long_is_reported_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "CELL_SECONDS", 1)
    cells = [nbformat.v4.new_code_cell(source) for source in ("1", "import time\ntime.sleep(99)")]
    said = runner.execute(nbformat.v4.new_notebook(cells=cells), tmp_path)
    assert said == "cell 1 took too long\nimport time\ntime.sleep(99)"
