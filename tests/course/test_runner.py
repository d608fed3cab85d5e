"""Notebooks that do not run to their end are reported in words; see test_builder.py for those that do."""

import nbformat
import pytest

from nnopt_lab.course import runner


def test_a_kernel_that_dies_is_reported_in_words(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import os\nos._exit(1)")])
    assert runner.execute(notebook, tmp_path) == "cell 0 killed the kernel\nimport os\nos._exit(1)"


def test_a_cell_that_takes_too_long_is_reported_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "CELL_SECONDS", 1)
    cells = [nbformat.v4.new_code_cell(source) for source in ("1", "import time\ntime.sleep(99)")]
    said = runner.execute(nbformat.v4.new_notebook(cells=cells), tmp_path)
    assert said == "cell 1 took too long\nimport time\ntime.sleep(99)"


@pytest.mark.parametrize("languages", [(), ("zh",)])
def test_a_kernel_speaks_english_whatever_the_locale_unless_it_is_told(tmp_path, monkeypatch, languages):
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    monkeypatch.setenv("NNOPT_LANGUAGE", "zh")
    code = f"import os\nassert os.environ['NNOPT_LANGUAGE'] == '{languages[0] if languages else 'en'}'"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    assert runner.execute(notebook, tmp_path, None, *languages) == ""


def noted_sections(tmp_path, *sources):
    """The sections that a run reports, of a notebook whose text begins with "#" and whose code does not."""
    v4, noted = nbformat.v4, []
    cells = [(v4.new_markdown_cell if s.startswith("#") else v4.new_code_cell)(s) for s in sources]
    runner.execute(v4.new_notebook(cells=cells), tmp_path, lambda *step: noted.append(step))
    return noted


def test_a_run_tells_the_section_of_each_cell(tmp_path):
    noted = noted_sections(tmp_path, "1", "# Title\n\nwords", "2", "## 1. `A` *part*\n\n### Deeper\n\nwords", "3", "4")
    running = [step for step in noted if step[2]]
    assert (0, 6, "") in noted and noted[-1] == (6, 6, "")
    assert running == [
        (n, 6, section) for n, section in ((1, "Title"), (2, "Title"), (3, "Deeper"), (4, "Deeper"), (5, "Deeper"))
    ]


def test_marks_of_code_in_a_heading_are_left_out_and_comments_in_code_blocks_are_no_headings():
    text = "## 2. `fit` and *more* ##\n\n```python\n# a comment\n```\nwords #1"
    cells = [
        nbformat.v4.new_markdown_cell(text),
        nbformat.v4.new_markdown_cell("no heading"),
        nbformat.v4.new_code_cell(),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    assert runner.section_of(notebook, 2) == "2. fit and more"
    assert runner.section_of(nbformat.v4.new_notebook(cells=cells[1:]), 1) == ""
