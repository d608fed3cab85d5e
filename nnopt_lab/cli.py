"""The command `nnopt`: what a learner, a teacher and a maintainer type."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console()
SETTINGS = Path(__file__).parent / "course" / "jupyterlab"  # it asks no questions and looks for no news

Workspace = Annotated[Path, typer.Option(help="The learner's folder.")]
Lessons = Annotated[list[str] | None, typer.Argument(help="Lessons, such as 01_pruning, 01 or pruning; all if none.")]


def main() -> None:
    """Run a command; a mistake of the user's is answered with one sentence and status 2."""
    try:
        app()
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)


@app.command()
def lab(
    workspace: Workspace = Path("work"),
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
    port: Annotated[int, typer.Option(help="Port of the server on this machine.", min=1, max=65535)] = 8888,
) -> None:
    """Open the lessons in JupyterLab: copies in your workspace; what you changed there is never overwritten."""
    from nnopt_lab.course.workspace import fill

    workspace = workspace.resolve()
    _check_free(port)
    for lesson, what in fill(workspace):
        print(f"  {lesson}: {what}")
    print(f"Your lessons are in {workspace}\nOpening JupyterLab; Ctrl-C here ends it.", flush=True)
    command = [
        *(sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={workspace}"),
        *(f"--port={port}", "--ServerApp.port_retries=0", f"--LabApp.app_settings_dir={SETTINGS}"),
        "--LabApp.default_url=/lab/tree/00_start_here.ipynb",
        "--log-level=WARN",  # the address is still shown, and not buried under thirty lines
    ]
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    server = subprocess.Popen(command, env=os.environ | {"NNOPT_WORKSPACE": str(workspace)})
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())  # else the server would outlive this, with its port
    sys.exit(_wait(server))


@app.command()
def reset(lesson: str, workspace: Workspace = Path("work")) -> None:
    """Put a fresh copy of a lesson into the workspace and keep the old one under a dated name."""
    from nnopt_lab.course import workspace as folder
    from nnopt_lab.course.notebooks import find_lesson

    lesson = find_lesson(lesson)
    kept = folder.reset(lesson, workspace.resolve())
    print(f"{lesson} is fresh." + (f" Your earlier copy is kept as {kept.name}." if kept else ""))


@app.command()
def run(
    lessons: Lessons = None,
    solved: Annotated[bool, typer.Option("--solved", help="The notebooks with the answers.")] = False,
) -> None:
    """Run lessons without a screen: every cell, every check, every claim."""
    from nnopt_lab.course import notebooks

    results = []
    with _cell_bar() as show:
        for name in _chosen(lessons):
            results.append(notebooks.run(name, solved, show(name)))
    console.print(_table(results))
    for result in results:
        if result.failure:
            console.print(f"{result.lesson}: {result.failure}", markup=False)
        for text, holds in result.claims.items():
            if not holds:
                console.print(f"{result.lesson}: ✘ {text}", markup=False)
    sys.exit(0 if all(result.ok for result in results) else 1)


@app.command()
def build(
    lessons: Lessons = None,
    check: Annotated[bool, typer.Option("--check", help="Only compare the notebooks with their sources.")] = False,
) -> None:
    """Make both notebooks of each lesson from solutions/NN_name.py, executed, with their outputs."""
    from nnopt_lab.course import notebooks

    names = _chosen(lessons)
    if check:
        stale = [path for name in names for path in notebooks.out_of_step(name)]
        for path in stale:
            print(f"{path.parent.name}/{path.name} differs from its source: run nnopt build {path.stem}.")
        sys.exit(1 if stale else 0)
    with _cell_bar() as show:
        for name in names:
            notebooks.build(name, show(name))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run every test, the notebooks included; further arguments go to pytest."""
    from nnopt_lab.workbench.paths import root

    if not (root() / "tests").is_dir():
        raise FileNotFoundError("The tests are not part of the installed package: run this in a clone of the project.")
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", *context.args], cwd=root()))


@app.command()
def train(name: str, seed: int = 0) -> None:
    """Train a network that ships with the course again, and write its weights to data/: mynet or teacher."""
    from nnopt_lab.workbench import models

    console.print(models.train_shipped(name, seed=seed))


@app.command()
def record(name: str) -> None:
    """Run an experiment of the lessons again, and write its recorded result to data/recorded/."""
    from nnopt_lab.course import recordings

    console.print(recordings.record(name))


@app.command()
def make_data(
    source: Annotated[Path, typer.Option(help="Folder with Fashion-MNIST's four .gz files.")] = Path(
        "/usr/share/datasets/fashion-mnist"
    ),
) -> None:
    """Make data/fashion.npz again, from the files of Debian's package dataset-fashion-mnist."""
    from nnopt_lab.workbench import data

    console.print(f"Wrote {data.make_fashion_file(source).name}.")


@app.command()
def progress(workspace: Workspace = Path("work")) -> None:
    """Show the course map with the points earned in a workspace."""
    from nnopt_lab.course import progress as record

    print(record.progress(workspace.resolve()))


def _chosen(lessons: list[str] | None) -> list[str]:
    from nnopt_lab.course import notebooks

    return [notebooks.find_lesson(text) for text in lessons] if lessons else notebooks.lesson_names()


@contextmanager
def _cell_bar():
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("cell {task.completed} of {task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as bar:

        def show(name: str):
            task = bar.add_task(name, total=None)
            return lambda done, total: bar.update(task, completed=done, total=total)

        yield show


def _table(results) -> Table:
    table = Table("lesson", "time", "exercises passed", "points", "claims held")
    for r in results:
        held = sum(r.claims.values())
        state = "[red]failed[/red]" if r.failure else f"{held} of {len(r.claims)}"
        table.add_row(
            r.lesson, f"{r.seconds:.0f} s", str(r.exercises_passed), f"{r.points} of {r.points_possible}", state
        )
    return table


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ValueError(f"port={port} cannot be used ({error.strerror}); name another one with --port.") from error


def _wait(server: subprocess.Popen) -> int:
    """Wait for the server; Ctrl-C reaches it too, so give it time to end by itself."""
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:
            server.terminate()
