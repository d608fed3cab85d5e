"""Every way of calling pytest gives a notebook the same surroundings, and nothing is written beside it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from nnopt_lab.workbench.paths import PACKAGE

CLONE = PACKAGE.parent
CELLS = (
    "import os, pathlib, tempfile",
    "from nnopt_lab.course.workspace import workspace\n"
    "assert workspace() == pathlib.Path(os.environ['NNOPT_WORKSPACE']) and not any(workspace().iterdir())\n"
    "assert 'solutions' not in str(workspace()) and os.environ['TQDM_DISABLE'] == '1'\n"
    "assert os.environ['NNOPT_LANGUAGE'] == 'en'\n"
    "(workspace() / 'mine').touch()",
    "from IPython.display import HTML; HTML('<img src=\"%s\">' % os.getpid())",  # only the rules make it equal
)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone with two small notebooks; the library and the tests' plugin are this one's."""
    root = tmp_path_factory.mktemp("clone")
    shutil.copy(CLONE / "pyproject.toml", root)
    (root / "nnopt_lab").symlink_to(PACKAGE)
    (root / "tests" / "lessons").mkdir(parents=True)
    for name in ("plugin.py", "own_process.py", "timing_summary.py", "units.py", "conftest.py", "lessons/nbval.cfg"):
        shutil.copy(CLONE / "tests" / name, root / "tests" / name)
    (root / "solutions").mkdir()
    for name in ("01_a", "02_b"):
        cells = [nbformat.v4.new_code_cell(text) for text in CELLS]
        data = {"text/html": '<img src="0">', "text/plain": "<IPython.core.display.HTML object>"}
        shown = nbformat.v4.new_output("execute_result", data, execution_count=3)
        cells[-1].outputs, cells[-1].execution_count = [shown], 3
        nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "solutions" / f"{name}.ipynb")
    return root


@pytest.mark.parametrize(
    ("folder", "arguments", "module"),
    [
        (".", ["solutions/01_a.ipynb"], True),
        (".", [], False),
        ("tests", ["../solutions/01_a.ipynb", "-n", "1"], False),
        ("/", ["{root}/solutions/01_a.ipynb"], False),
    ],
)
def test_a_notebook_passes_however_pytest_is_called(clone, folder, arguments, module):
    command = [sys.executable, "-m", "pytest"] if module else [str(Path(sys.executable).with_name("pytest"))]
    own = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "NNOPT", "TQDM"))}
    before = sorted((clone / "solutions").iterdir())
    answer = subprocess.run(
        [*command, *(text.format(root=clone) for text in arguments)],
        cwd=clone / folder,
        env=own | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "passed" in answer.stdout and "failed" not in answer.stdout
    assert sorted((clone / "solutions").iterdir()) == before


DRAWING = """
from nnopt_lab.workbench import plots
fig, ax = plots.figure()
ax.plot([1, 2], [1, {end}])
plots.finish(fig, "A line that rises from its start to its end.")
"""


def test_a_figure_whose_data_has_changed_fails(clone):
    stored = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(DRAWING.format(end=2))])
    own = {**os.environ, "PYTHONPATH": str(CLONE)}
    NotebookClient(stored, kernel_name="python3").execute(env=own)
    stored.cells[0].source = DRAWING.format(end=3)
    (clone / "changed").mkdir()
    nbformat.write(stored, clone / "changed" / "03_c.ipynb")
    command = [sys.executable, "-m", "pytest", "changed/03_c.ipynb"]
    answer = subprocess.run(command, cwd=clone, env=own, capture_output=True, text=True)
    assert answer.returncode == 1
    assert "y axis: stored is from 1 to 2, new is from 1 to 3" in answer.stdout
    assert "If that is right, run nnopt build 03." in answer.stdout
