"""Commands of maintainers: run, build and test lessons, and make the shipped files again."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from nnopt_lab.cli.screen import console, lessons_progress, results_table

Lessons = Annotated[list[str] | None, typer.Argument(help="Lessons, such as 01_pruning, 01 or pruning; all if none.")]


def run(
    lessons: Lessons = None,
    solved: Annotated[bool, typer.Option("--solved", help="The notebooks with the answers.")] = False,
) -> None:
    """Run lessons without a screen: every cell, every check, every claim."""
    from nnopt_lab.course import runner

    results = []
    with lessons_progress() as show:
        for name in _chosen(lessons):
            results.append(runner.run(name, solved, show(name)))
    console.print(results_table(results))
    for result in results:
        if result.failure:
            console.print(f"{result.lesson}: {result.failure}", markup=False)
        for text, holds in result.claims.items():
            if not holds:
                console.print(f"{result.lesson}: ✘ {text}", markup=False)
    sys.exit(0 if all(result.ok for result in results) else 1)


def build(
    lessons: Lessons = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only compare the stored notebooks with their sources.")
    ] = False,
) -> None:
    """Make and execute both notebooks of each lesson from solutions/NN_name.py; only the solved one keeps outputs."""
    from nnopt_lab.course import builder

    names = _chosen(lessons)
    if check:
        stale = {path: reason for name in names for path, reason in builder.out_of_step(name).items()}
        for path, reason in stale.items():
            print(f"{path.parent.name}/{path.name} {reason}: run nnopt build {path.stem}.")
        sys.exit(1 if stale else 0)
    with lessons_progress() as show:
        for name in names:
            builder.build(name, show(name))


def test(context: typer.Context) -> None:
    """Run every test, the notebooks included; further arguments go to pytest, and only what they choose is run."""
    from nnopt_lab.workbench.paths import root

    if not (root() / "tests").is_dir():
        raise FileNotFoundError("The tests are not part of the installed package: run this in a clone of the project.")
    # Most tests share the processor; some, and the notebooks, which measure times, run one after the other.
    all_tests = [["tests", "-m", "not serial", "-n", "auto", "--dist", "worksteal"], ["-m", "serial"]]
    calls = [context.args] if context.args else all_tests
    statuses = [subprocess.call([sys.executable, "-m", "pytest", *arguments], cwd=root()) for arguments in calls]
    sys.exit(max(statuses))


def train(name: str, seed: int = 0) -> None:
    """Train a network that ships with the course again, and write it to data/: one of mynet, teacher, shapes_teacher,
    shapes_student, capstone_small, capstone_accurate, capstone_fast, capstone_fastest."""
    from nnopt_lab.lessons import shipped

    console.print(shipped.train_shipped(name, seed=seed))


def record(name: str) -> None:
    """Run an experiment of the lessons again, and write its recorded result to data/recorded/."""
    from nnopt_lab.course import recordings

    console.print(recordings.record(name))


def make_data(
    source: Annotated[Path, typer.Option(help="Folder with Fashion-MNIST's four .gz files.")] = Path(
        "/usr/share/datasets/fashion-mnist"
    ),
) -> None:
    """Make data/fashion.npz again, from the files of Debian's package dataset-fashion-mnist."""
    from nnopt_lab.lessons import shipped

    console.print(f"Wrote {shipped.make_fashion_file(source).name}.")


def _chosen(lessons: list[str] | None) -> list[str]:
    from nnopt_lab.course.lesson_files import find_lesson, lesson_names

    return [find_lesson(text) for text in lessons] if lessons else lesson_names()
