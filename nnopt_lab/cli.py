"""The command `nnopt`: what a learner, a teacher and a maintainer type."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
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
    from nnopt_lab.course.workspace import fill, originals

    workspace = workspace.resolve()
    first = next((path.name for path in originals()), "")  # a kit may hold any of the lessons
    _check_free(port)
    for lesson, what in fill(workspace):
        print(f"  {lesson}: {what}")
    print(f"Your lessons are in {workspace}\nOpening JupyterLab; Ctrl-C here ends it.", flush=True)
    command = [
        *(sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={workspace}"),
        *(f"--port={port}", "--ServerApp.port_retries=0", f"--LabApp.app_settings_dir={SETTINGS}"),
        f"--LabApp.default_url=/lab/tree/{first}",
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
    from nnopt_lab.course.builder import find_lesson

    lesson = find_lesson(lesson)
    kept = folder.reset(lesson, workspace.resolve())
    print(f"{lesson} is fresh." + (f" Your earlier copy is kept as {kept.name}." if kept else ""))


@app.command()
def run(
    lessons: Lessons = None,
    solved: Annotated[bool, typer.Option("--solved", help="The notebooks with the answers.")] = False,
) -> None:
    """Run lessons without a screen: every cell, every check, every claim."""
    from nnopt_lab.course import builder

    results = []
    with _cell_bar() as show:
        for name in _chosen(lessons):
            results.append(builder.run(name, solved, show(name)))
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
    from nnopt_lab.course import builder

    names = _chosen(lessons)
    if check:
        stale = [path for name in names for path in builder.out_of_step(name)]
        for path in stale:
            print(f"{path.parent.name}/{path.name} differs from its source: run nnopt build {path.stem}.")
        sys.exit(1 if stale else 0)
    with _cell_bar() as show:
        for name in names:
            builder.build(name, show(name))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run every test, the notebooks included; further arguments go to pytest, and only what they choose is run."""
    from nnopt_lab.workbench.paths import root

    if not (root() / "tests").is_dir():
        raise FileNotFoundError("The tests are not part of the installed package: run this in a clone of the project.")
    # Most tests share the processor; some, and the notebooks, which measure times, run with nothing beside them.
    all_tests = [["tests", "-m", "not serial", "-n", "auto", "--dist", "worksteal"], ["-m", "serial"]]
    calls = [context.args] if context.args else all_tests
    statuses = [subprocess.call([sys.executable, "-m", "pytest", *arguments], cwd=root()) for arguments in calls]
    sys.exit(max(statuses))


@app.command()
def train(name: str, seed: int = 0) -> None:
    """Train a network that ships with the course again, and write it to data/: one of mynet, teacher, shapes_teacher,
    shapes_student, capstone_small, capstone_accurate, capstone_fast, capstone_fastest."""
    from nnopt_lab.lessons import shipped

    console.print(shipped.train_shipped(name, seed=seed))


@app.command()
def record(name: str) -> None:
    """Run an experiment of the lessons again, and write its recorded result to data/recorded/."""
    from nnopt_lab.course import recordings

    console.print(recordings.record(name))


@app.command()
def optimize(
    model: Annotated[str, typer.Argument(help="script.py:function that returns the trained classifier.")],
    data: Annotated[str, typer.Option(help="script.py:function that returns (train, validation), or a course's set.")],
    target: Annotated[str, typer.Option(help="What is to become small: latency or bytes.")] = "latency",
    max_drop: Annotated[float, typer.Option(help="Points of validation accuracy that may be lost.", min=0)] = 1.0,
    max_bytes: Annotated[int | None, typer.Option(help="Largest file.")] = None,
    max_latency: Annotated[float | None, typer.Option(help="Longest time of a batch, in seconds.")] = None,
    batch: Annotated[int, typer.Option(help="Pictures a batch where time is measured.", min=1)] = 1,
    trials: Annotated[int, typer.Option(help="In all, those of earlier calls included.", min=1)] = 40,
    minutes: Annotated[float | None, typer.Option(help="After so many no further trial starts.")] = None,
    epochs: Annotated[int, typer.Option(help="Of each training of a candidate.", min=1)] = 2,
    rate: Annotated[float, typer.Option(help="Highest learning rate.", min=0)] = 1e-3,
    engine: Annotated[list[str] | None, typer.Option(help="May be given several times.")] = None,
    storage: Annotated[
        str | None, typer.Option(help="A file, or a database's URL, in which the search goes on.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the network that is chosen, and its report.")] = Path(
        "optimized"
    ),
) -> None:
    """Search for a smaller or faster version of a classifier; Ctrl-C keeps what was found. Runs the scripts named."""
    from nnopt_lab.techniques.deployment import engines
    from nnopt_lab.techniques.search import autotune

    goal = autotune.Goal(target, max_drop, max_bytes, max_latency, batch)
    engines.check_names(engine or autotune.QUICK)  # before the scripts run, which may take long
    train, validation, options = _data_for(data)
    found = autotune.optimize(
        _from_script(model)(),
        train,
        validation,
        goal=goal,
        trials=trials,
        seconds=None if minutes is None else 60 * minutes,
        storage=storage,
        engine_names=engine or autotune.QUICK,
        epochs=epochs,
        rate=rate,
        **options,
    )
    print(found, *found.notes, sep="\n")
    files = found.export(out)
    print(f"In {out}: {', '.join(file.name for file in files)}")


@app.command()
def make_data(
    source: Annotated[Path, typer.Option(help="Folder with Fashion-MNIST's four .gz files.")] = Path(
        "/usr/share/datasets/fashion-mnist"
    ),
) -> None:
    """Make data/fashion.npz again, from the files of Debian's package dataset-fashion-mnist."""
    from nnopt_lab.lessons import shipped

    console.print(f"Wrote {shipped.make_fashion_file(source).name}.")


@app.command()
def progress(workspace: Workspace = Path("work")) -> None:
    """Show the course map with the points earned in a workspace."""
    from nnopt_lab.course import course_map

    print(course_map.progress(workspace.resolve()))


@app.command()
def release(
    folder: Path,
    assignment: Annotated[list[str] | None, typer.Option(help="A lesson to set; may be given several times.")] = None,
    due: Annotated[str | None, typer.Option(help="When it is due, such as 2026-12-01T18:00.")] = None,
) -> None:
    """Write the learner's kit into a new folder: notebooks, library and data, without the solutions."""
    from nnopt_lab.grading import release as kit

    lessons = kit.release(folder, assignment, due)
    print(f"The kit in {folder} holds {', '.join(lessons)}.")


@app.command()
def grade(
    paths: Annotated[list[Path], typer.Argument(help="Notebooks, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder of the gradebook, tables and pages.")] = Path("grades"),
    lesson: Annotated[str | None, typer.Option(help="The lesson handed in; else each notebook tells.")] = None,
    jobs: Annotated[int, typer.Option(help="How many submissions at a time.", min=1, max=256)] = os.cpu_count() or 1,
    cluster: Annotated[str | None, typer.Option(help="Grade on a Dask cluster: tcp://host:port.")] = None,
    isolation: Annotated[str, typer.Option(help="auto, bubblewrap, unshare, container or none.")] = "auto",
    seconds: Annotated[int, typer.Option(help="Time limit of one answer.", min=1, max=3600)] = 10,
    megabytes: Annotated[int, typer.Option(help="Memory limit of one answer.", min=64)] = 1024,
    late: Annotated[str | None, typer.Option(help='none, zero, "10%", "10%/day" or "10%/hour".')] = None,
    due: Annotated[str | None, typer.Option(help="When it was due, such as 2026-12-01T18:00.")] = None,
    format: Annotated[list[str] | None, typer.Option(help="Also write: canvas, moodle, gradescope, json.")] = None,
    seed: Annotated[int | None, typer.Option(help="Repeat a batch with the inputs of this seed.", min=0)] = None,
    resume: Annotated[bool, typer.Option("--resume/--fresh", help="Go on, or begin a new gradebook.")] = True,
) -> None:
    """Grade notebooks: each answer runs behind a fence, on fresh inputs; a batch that was stopped goes on."""
    from nnopt_lab.grading import pool, sandbox

    wanted = _chosen([lesson])[0] if lesson else None
    settings = pool.Settings(sandbox.available(isolation), sandbox.Limits(seconds, megabytes), wanted)
    if settings.kind == "none":
        console.print(sandbox.UNPROTECTED, style="bold", markup=False)
    with ExitStack() as stack:
        warmed = stack.enter_context(closing(pool.WorkerPool(settings, jobs))) if cluster is None else None
        # Only now, while those processes start, what imports torch here.
        from nnopt_lab.grading import batch, exports, gradebook, lateness, submissions

        exports.check(format or ())
        sources = submissions.find(paths)
        stack.enter_context(gradebook.alone(out))
        if not resume:
            gradebook.put_aside(out)
        with closing(gradebook.Gradebook(out, seed)) as book:
            given = {"late": late, "due": due, "formats": " ".join(format) if format else None}
            kept = {name: book.setting(name) or "" for name in given} | {
                k: v for k, v in given.items() if v is not None
            }
            lateness.policy(kept["late"] or "none", kept["due"] or None)
            book.remember(**kept)
            with _submission_bar(len(sources)) as done:
                batch.grade_all(sources, book, settings, jobs, done, cluster, warmed)
            _report(book, out)


@app.command()
def mark(
    learner: str,
    item: Annotated[str, typer.Argument(help="An exercise, a question, or a lesson as a whole.")],
    points: Annotated[float | None, typer.Option(help="In place of the answer's; for a lesson, added.")] = None,
    comment: Annotated[str, typer.Option(help="The learner reads it.")] = "",
    out: Annotated[Path, typer.Option(help="Folder of the gradebook.")] = Path("grades"),
) -> None:
    """Give points or a comment by hand; they survive grading again. You may also edit marks.csv in that folder."""
    from nnopt_lab.grading import gradebook, marks

    if not (out / gradebook.FILE).is_file():
        raise FileNotFoundError(f"There is no gradebook in {out}: name its folder with --out.")
    with gradebook.alone(out), closing(gradebook.Gradebook(out)) as book:
        learners = {entry.learner for entry in book.entries()}
        if learner not in learners:
            raise ValueError(f"learner={learner!r} handed nothing in; there are {', '.join(sorted(learners)[:20])}.")
        marks.write(out, learner, item, marks.Mark(points, comment))
        _report(book, out)


@app.command()
def capstone(
    files: Annotated[list[Path] | None, typer.Argument(help="ONNX files; the course's own if none.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Also write the figure to this file, such as board.png.")] = None,
    isolation: Annotated[str, typer.Option(help="auto, bubblewrap, unshare, container or none.")] = "auto",
    seconds: Annotated[int, typer.Option(help="Time limit of one file.", min=10, max=3600)] = 90,
    megabytes: Annotated[int, typer.Option(help="Memory limit of one file.", min=64)] = 1024,
) -> None:
    """Judge files for the capstone behind the fence, and show the leaderboard."""
    from nnopt_lab.grading import capstone as judging

    board = judging.judge(files or (), isolation=isolation, limits=judging.Limits(seconds, megabytes))
    print(board)
    if plot:
        board.plot().savefig(plot)


def _from_script(text: str, other: str = ""):
    """The function that "script.py:function" names; the script is run."""
    path, _, name = text.rpartition(":")
    if not Path(path).is_file():
        raise ValueError(f"{text!r} must be script.py:function{other}, and the script must be there.")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    script = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(path).parent.resolve()))  # as if it were run: its neighbours can be imported
    spec.loader.exec_module(script)
    if not callable(getattr(script, name, None)):
        raise ValueError(f"{path} has no function {name!r}.")
    return getattr(script, name)


def _data_for(text: str) -> tuple:
    """(train, validation, further arguments of `optimize`) for a name of the course's, or "script.py:function"."""
    from nnopt_lab.workbench import data

    if text in data.NAMES:
        pictures = data.load(text)
        return pictures.train, pictures.validation, {"to_input": pictures.to_input}
    pair = _from_script(text, f", or one of {', '.join(data.NAMES)}")()
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise ValueError(f"{text!r} returned {type(pair).__name__}; it must return a tuple (train, validation).")
    return *pair, {}


def _report(book, out: Path) -> None:
    from nnopt_lab.grading import report

    grades, files = report.write(book, out)
    table = Table("lesson", "learners", "graded", "not wholly", "points on average", title=f"seed {book.seed}")
    for name in sorted({g.lesson for g in grades}):
        those = [g for g in grades if g.lesson == name]
        whole = sum(g.entry.graded.state == "graded" for g in those)
        mean = f"{sum(g.points for g in those) / len(those):.1f} of {those[0].possible}"
        table.add_row(name or "no lesson", str(len(those)), str(whole), str(len(those) - whole), mean)
    console.print(table)
    troubled = [g for g in grades if g.entry.graded.state != "graded"]
    for g in troubled[:10]:
        print(_printable(f"  {g.learner}, {g.entry.name}: {g.entry.graded.state}. {g.entry.graded.reason}"))
    if len(troubled) > 10:
        print(f"  … and {len(troubled) - 10} more, in grades.csv.")
    print(f"In {out}: {', '.join(str(f.relative_to(out)) for f in files[:6])}, and a page for everyone in feedback.")


def _printable(text: str) -> str:
    """Without what a terminal would obey: learners choose these words."""
    return "".join(c if c.isprintable() else "�" for c in text)[:400]


@contextmanager
def _submission_bar(count: int):
    columns = (TextColumn("grading"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("", total=count, rate="")
        started = time.perf_counter()

        def done(_submission) -> None:
            so_far = bar.tasks[0].completed + 1
            bar.update(task, advance=1, rate=f"{so_far / (time.perf_counter() - started):.1f} a second")

        yield done


def _chosen(lessons: list[str] | None) -> list[str]:
    from nnopt_lab.course import builder

    return [builder.find_lesson(text) for text in lessons] if lessons else builder.lesson_names()


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
