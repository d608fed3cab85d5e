"""Grading's throughput: whole commands compared with nbgrader's on the same four exercises, in one run.

    python tests/benchmarks/bench_grading.py [SUBMISSIONS…] [--nbgrader PYTHON]

PYTHON is an interpreter that can import nbgrader and what this one can; without one, only ours is timed. nbgrader gets
a notebook of the four answers and four test cells with the same sixteen random cases each; it starts a kernel for every
submission, as it does. Both are timed as whole commands, start-up included, ours with two jobs before and after
nbgrader's, in wall time and in processor time (of all processes that took part).
"""

import argparse
import csv
import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import nbformat

sys.path.insert(0, str(Path(__file__).parents[2]))
from nnopt_lab.course.exercises import cell_id, exercises
from nnopt_lab.course.lesson_files import paths
from tests.grading.classroom import LESSON, notebook

FOUR = ("pruning.l1_importance", "pruning.levels", "pruning.cubic_sparsity", "pruning.flatten_columns")
OURS = 3  # times that ours is measured before nbgrader, and as often after it


class Cost(NamedTuple):
    """Seconds of a command: on the clock, and of processors."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{self.wall:.2f} s (processor {self.processor:.2f} s)"


def cost(command: list[str], **settings) -> Cost:
    """Run a command to its end, and to that of every process which it leaves behind."""
    before, started = _processor_seconds(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **settings)
    wall = time.perf_counter() - started
    with suppress(ChildProcessError):
        while True:
            os.wait()
    return Cost(wall, _processor_seconds() - before)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def answers() -> dict[str, str]:
    """The course's own answers to the four exercises."""
    cells = {cell.id: cell.source for cell in nbformat.read(paths(LESSON)[True], as_version=4).cells}
    return {id: cells[cell_id("exercise", id)] for id in FOUR}


def ours(count: int, jobs: int) -> Cost:
    """`nnopt grade` for submissions with the four answers right and the others blank."""
    content = json.dumps(notebook(answers()))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(count):
            (folder / "in" / f"learner{number:04d}").mkdir(parents=True)
            (folder / "in" / f"learner{number:04d}" / f"{LESSON}.ipynb").write_text(content)
        command = [sys.executable, "-c", "from nnopt_lab.cli import main; main()", "grade", str(folder / "in")]
        spent = cost([*command, "--out", str(folder / "out"), "--jobs", str(jobs)])
        points = [line.split(",")[2] for line in (folder / "out" / "grades.csv").read_text().splitlines()[1:]]
        assert points == ["10"] * count, points[:5]
        return spent


def theirs(python: str, count: int) -> Cost:
    """`nbgrader autograde` for as many submissions of the same answers."""
    with tempfile.TemporaryDirectory() as name:
        course = Path(name)
        (course / "source" / "four").mkdir(parents=True)
        (course / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'bench'\n")
        nbformat.write(_nbgrader_notebook(), course / "source" / "four" / "four.ipynb")
        path = os.pathsep.join([str(Path(python).parent), os.environ["PATH"]])  # it calls its tools by name
        settings = {"cwd": course, "env": os.environ | {"PATH": path}}
        tool = [python, "-m", "nbgrader"]
        cost([*tool, "generate_assignment", "four", "--create", "--force"], **settings)
        for number in range(count):
            place = course / "submitted" / f"learner{number:04d}" / "four"
            place.mkdir(parents=True)
            shutil.copy(course / "source" / "four" / "four.ipynb", place)
        spent = cost([*tool, "autograde", "four", "--create", "--force"], **settings)
        cost([*tool, "export"], **settings)
        with open(course / "grades.csv", newline="") as file:
            scores = [row["score"] for row in csv.DictReader(file)]
        assert scores == ["8.0"] * count, scores[:5]
        return spent


def _nbgrader_notebook():
    cells = [nbformat.v4.new_code_cell("import torch")]
    for id, source in answers().items():
        exercise = exercises()[id]
        mark = {"schema_version": 3, "task": False, "cell_type": "code"}
        solution = nbformat.v4.new_code_cell(f"### BEGIN SOLUTION\n{source}\n### END SOLUTION")
        solution.metadata["nbgrader"] = mark | {
            "grade_id": cell_id("exercise", id),
            "grade": False,
            "solution": True,
            "locked": False,
        }
        test = nbformat.v4.new_code_cell(
            "from nnopt_lab.course.checking import examine\nfrom nnopt_lab.course.exercises import exercises\n"
            f"assert examine(exercises()[{id!r}], {exercise.name}).passed"
        )
        test.metadata["nbgrader"] = mark | {
            "grade_id": cell_id("test", id),
            "grade": True,
            "solution": False,
            "locked": True,
        }
        test.metadata["nbgrader"]["points"] = 2
        cells += [solution, test]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=kernel)


def _mean(costs: list[Cost]) -> Cost:
    return Cost(*(sum(values) / len(costs) for values in zip(*costs, strict=True)))


def main() -> None:
    """Print a line per measurement."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("submissions", nargs="*", type=int, default=[20, 200])
    options.add_argument("--nbgrader", metavar="PYTHON")
    given = options.parse_args()
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: what a command leaves behind counts, too
    for count in given.submissions:
        print(f"{count} submissions, one job: {ours(count, 1)}", flush=True)
        costs = [ours(count, 2) for _ in range(OURS)]
        them = theirs(given.nbgrader, count) if given.nbgrader else None
        costs += [ours(count, 2) for _ in range(OURS)]
        print(f"{count} submissions, two jobs: {', '.join(map(str, costs))}", flush=True)
        if them:
            whole = _mean(costs)
            wall, processor = them.wall / whole.wall, them.processor / whole.processor
            print(
                f"nbgrader: {them}; {wall:.0f} times ours on the clock, {processor:.0f} times in processor time",
                flush=True,
            )


if __name__ == "__main__":
    main()
