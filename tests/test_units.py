"""The units of tests that workers get: a file, an exercise, a dead worker's rest."""

import os
import subprocess
import sys
from collections import OrderedDict
from types import SimpleNamespace

import pytest
from xdist.scheduler import LoadScopeScheduling

from nnopt_lab.workbench.paths import PACKAGE
from tests.units import Units

CLONE = PACKAGE.parent


@pytest.fixture
def units():
    made = object.__new__(Units)
    made.config = SimpleNamespace(rootpath=CLONE)
    return made


def test_a_worker_gets_a_file_an_exercise_or_all_tests_of_an_own_process(units):
    """One of xdist's workers starts the other process, and only once."""
    deployment = "tests/techniques/deployment"
    first, second, other, exercise = map(
        units._split_scope,
        [
            f"{deployment}/test_pt2e.py::test_a",
            f"{deployment}/test_compiler.py::test_b[1]",
            "tests/test_own_process.py::test_c",
            "tests/lessons/test_exercises.py::test_d[pruning.n_m_mask]",
        ],
    )
    assert first == second
    assert (other, exercise) == ("tests/test_own_process.py", "tests/lessons/test_exercises.pypruning.n_m_mask]")


def test_notebooks_are_first_and_exercises_last(units, monkeypatch):
    monkeypatch.setattr(LoadScopeScheduling, "schedule", lambda self: None)  # has sorted them by number of tests
    many, exercise, few = "tests/test_a.py", "tests/lessons/test_exercises.pya.b]", "tests/test_b.py"
    solved, blank = "solutions/03_learning_rates.ipynb", "tests/lessons/test_blank_notebooks.py03_learning_rates]"
    units.workqueue = OrderedDict.fromkeys([many, solved, exercise, few, blank])
    units.schedule()
    assert list(units.workqueue) == [solved, blank, many, few, exercise]


def test_a_dead_workers_tests_are_run_by_another_and_the_deadly_one_is_not_run_again(tmp_path):
    deadly = "import os\ndef test_before(): pass\ndef test_ends(): os._exit(3)\ndef test_after(): pass\n"
    (tmp_path / "test_deadly.py").write_text(deadly, encoding="utf-8")
    for name in ("test_a.py", "test_b.py"):
        (tmp_path / name).write_text("def test_single(): pass\n", encoding="utf-8")
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.units", "-n", "1", "-v", "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path,
        env=own | {"PYTHONPATH": str(CLONE)},
        capture_output=True,
        text=True,
        timeout=120,  # without the units' own dealing, it never ends
    )
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert (
        "1 failed, 4 passed" in answer.stdout and "crashed while running 'test_deadly.py::test_ends'" in answer.stdout
    )
