"""Grading's throughput: compared with nbgrader on the same four exercises, over class sizes, and with one and two jobs.

    pip install nbgrader; python tests/benchmarks/bench_grading.py [SUBMISSIONS…]

nbgrader gets a notebook of the four answers and four test cells with the same sixteen random cases each; it starts a
kernel for every submission, as it does. Both are timed as whole commands, start-up included; the rate of ours without
start-up comes from the submissions after the first.
"""

import importlib.util
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).parents[2]))
from nnopt_lab.course.exercises import cell_id, exercises
from nnopt_lab.course.lesson_files import paths
from tests.grading.classroom import LESSON, notebook

FOUR = ("pruning.l1_importance", "pruning.levels", "pruning.cubic_sparsity", "pruning.flatten_columns")
NBGRADER = 20


def answers() -> dict[str, str]:
    """The course's own answers to the four exercises."""
    cells = {cell.id: cell.source for cell in nbformat.read(paths(LESSON)[True], as_version=4).cells}
    return {id: cells[cell_id("exercise", id)] for id in FOUR}


def ours(folder: Path, count: int, jobs: int) -> tuple[float, float]:
    """Seconds of the whole command, and per submission after the first."""
    content = json.dumps(notebook(answers()))
    for number in range(count):
        (folder / "in" / f"learner{number:04d}").mkdir(parents=True)
        (folder / "in" / f"learner{number:04d}" / f"{LESSON}.ipynb").write_text(content)
    command = [sys.executable, "-c", "from nnopt_lab.cli import main; main()"]
    started = time.perf_counter()
    subprocess.run(
        [*command, "grade", str(folder / "in"), "--out", str(folder / "out"), "--jobs", str(jobs)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    whole = time.perf_counter() - started
    points = [line.split(",")[2] for line in (folder / "out" / "grades.csv").read_text().splitlines()[1:]]
    assert points == ["10"] * count, points[:5]
    return whole, _rate(folder)


def _rate(folder: Path) -> float:
    """Seconds per submission without start-up, from a batch in this process."""
    from nnopt_lab.grading import batch, sandbox, sources
    from nnopt_lab.grading.gradebook import Gradebook
    from nnopt_lab.grading.pool import Settings

    stamps: list[float] = []
    book = Gradebook(folder / "again")
    settings = Settings(sandbox.available(), sandbox.Limits())
    jobs = int(os.environ.get("JOBS", "1"))
    batch.grade_all(sources.find([folder / "in"]), book, settings, jobs, lambda _: stamps.append(time.perf_counter()))
    book.close()
    return (stamps[-1] - stamps[0]) / (len(stamps) - 1)


def theirs(folder: Path, count: int) -> float:
    """Seconds of `nbgrader autograde` for as many submissions of the same answers."""
    course = folder / "nbgrader"
    (course / "source" / "four").mkdir(parents=True)
    (course / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'bench'\n")
    nbformat.write(_nbgrader_notebook(), course / "source" / "four" / "four.ipynb")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it calls its tools by name
    quiet = {"cwd": course, "check": True, "capture_output": True, "env": os.environ | {"PATH": path}}
    tool = [sys.executable, "-m", "nbgrader"]
    subprocess.run([*tool, "generate_assignment", "four", "--create", "--force"], **quiet)
    for number in range(count):
        place = course / "submitted" / f"learner{number:04d}" / "four"
        place.mkdir(parents=True)
        shutil.copy(course / "source" / "four" / "four.ipynb", place)
    started = time.perf_counter()
    subprocess.run([*tool, "autograde", "four", "--create", "--force"], **quiet)
    whole = time.perf_counter() - started
    subprocess.run([*tool, "export"], **quiet)
    scores = re.findall(r",([\d.]+),8\.0", (course / "grades.csv").read_text())
    assert len(list((course / "autograded").iterdir())) == count, scores
    return whole


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


def main() -> None:
    """Print one line per measurement."""
    sizes = [int(text) for text in sys.argv[1:]] or [20, 200, 1000]
    for count in sizes:
        for jobs in (1, 2):
            os.environ["JOBS"] = str(jobs)
            with tempfile.TemporaryDirectory() as folder:
                whole, rate = ours(Path(folder), count, jobs)
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(
                f"{count} submissions, {jobs} jobs: {whole:.1f} s in all, {whole / count * 1e3:.0f} ms each; "
                f"without start-up {rate * 1e3:.0f} ms each; peak of the command {peak:.0f} MiB",
                flush=True,
            )
    if importlib.util.find_spec("nbgrader"):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["JOBS"] = "2"
            before = ours(Path(folder, "a"), NBGRADER, 2)
            them = theirs(Path(folder), NBGRADER)
            after = ours(Path(folder, "b"), NBGRADER, 2)
            whole, rate = ((x + y) / 2 for x, y in zip(before, after, strict=True))
            print(
                f"nbgrader: {them:.1f} s for {NBGRADER}, {them / NBGRADER:.2f} s each: {them / whole:.0f} times ours "
                f"as whole commands, {them / NBGRADER / rate:.0f} times without start-up",
                flush=True,
            )


if __name__ == "__main__":
    main()
