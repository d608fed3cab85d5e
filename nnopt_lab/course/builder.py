"""From one source, `solutions/NN_name.py`, both notebooks of a lesson; and lessons run without a screen."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from nnopt_lab.course import record
from nnopt_lab.course.exercises import cell_id, lesson_points
from nnopt_lab.course.workspace import write_atomically
from nnopt_lab.workbench.paths import root

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
KEPT_METADATA = ("exercise", "question", "tags")
CELL_SECONDS = 600
_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


@dataclass
class Result:
    """One lesson's run; `failure` says in words which cell failed and how, and is empty where none did."""

    lesson: str
    seconds: float
    exercises_passed: int
    points: int
    points_possible: int
    claims: dict[str, bool]
    failure: str = ""

    @property
    def ok(self) -> bool:
        return not self.failure and all(self.claims.values())


def lesson_names() -> list[str]:
    """The lessons that have a source or, in a learner's kit, a notebook, in their order."""
    found = (*(root() / "solutions").glob("[0-9][0-9]_*.py"), *(root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    return sorted({path.stem for path in found})


def find_lesson(text: str) -> str:
    """The lesson meant by `01_pruning`, `01`, `1`, `pruning` or a file name of it.

    Raises:
        ValueError: there is no such lesson, or more than one.
    """
    wanted = Path(text).stem
    names = lesson_names()
    found = [n for n in names if wanted == n] or [
        n for n in names if wanted in (n[3:], n[:2]) or (wanted.isdecimal() and int(wanted) == int(n[:2]))
    ]
    if len(found) != 1:
        raise ValueError(f"lesson={text!r} is not a lesson; there are {', '.join(names)}.")
    return found[0]


def paths(lesson: str) -> dict[bool, Path]:
    """Where a lesson's notebooks are: {True: solved, False: learner's}."""
    return {True: root() / "solutions" / f"{lesson}.ipynb", False: root() / "notebooks" / f"{lesson}.ipynb"}


def to_notebook(source: Path, solved: bool) -> NotebookNode:
    """Convert a lesson's source (jupytext percent format) into its solved or its learner's notebook, not executed.

    Raises:
        ValueError: solution markers do not match, or an exercise stands twice in the lesson.
    """
    import jupytext

    notebook = jupytext.read(source, fmt="py:percent")
    cells, seen = [], set()
    for number, cell in enumerate(notebook.cells):
        metadata = {key: cell.metadata[key] for key in KEPT_METADATA if key in cell.metadata}
        place = next((cell_id(k, metadata[k]) for k in ("exercise", "question") if k in metadata), None)
        place = place or f"{source.stem}-{number:03d}"
        if place in seen:
            raise ValueError(f"{source.name}: {metadata} stands twice in the lesson.")
        seen.add(place)
        make = nbformat.v4.new_markdown_cell if cell.cell_type == "markdown" else nbformat.v4.new_code_cell
        text = cell.source
        if cell.cell_type == "code":
            text = with_answers(text, source.name) if solved else without_answers(text, source.name)
        cells.append(make(text, id=place, metadata=metadata))
    return nbformat.v4.new_notebook(cells=cells, metadata=_METADATA)


def with_answers(source: str, where: str = "cell") -> str:
    """A cell with its answer: only the marker lines are dropped."""
    _check_markers(source, where)
    return "\n".join(line for line in source.split("\n") if line.strip() not in (BEGIN, END))


def without_answers(source: str, where: str = "cell") -> str:
    """A cell without its answer: a stub in its place inside a function, nothing at the top level."""
    _check_markers(source, where)
    lines, hidden = [], False
    for line in source.split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        if line.strip() == BEGIN:
            hidden = True
            lines += [f"{indent}# Your answer here.", f"{indent}raise NotImplementedError"] if indent else []
        elif line.strip() == END:
            hidden = False
        elif not hidden:
            lines.append(line)
    return "\n".join(lines)


def build(lesson: str, on_cell: Callable[[int, int], None] | None = None) -> None:
    """Make both notebooks of a lesson, executed, and write them.

    Raises:
        ValueError: the source is malformed, a cell failed, a claim is false, the answers do not earn all points, or
            the blank notebook earns any; nothing was written then.
    """
    source, made = root() / "solutions" / f"{lesson}.py", {}
    for solved in (True, False):
        notebook = to_notebook(source, solved)
        result = _run(lesson, notebook, on_cell)
        wanted = result.points_possible if solved else 0
        if not result.ok or result.points != wanted:
            false = [text for text, holds in result.claims.items() if not holds]
            raise ValueError(
                f"{lesson}, {'solved' if solved else 'blank'}, was not written: {result.points} points, {wanted} are "
                f"wanted; claims that do not hold: {false or 'none'}.{' Its ' * bool(result.failure)}{result.failure}"
            )
        made[paths(lesson)[solved]] = notebook
    for path, notebook in made.items():
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, nbformat.writes(_tidy(notebook)) + "\n")


def out_of_step(lesson: str) -> list[Path]:
    """The notebooks of a lesson whose cells are not those of its source; outputs are not looked at."""
    source = root() / "solutions" / f"{lesson}.py"
    return [path for solved, path in paths(lesson).items() if _cells_of(path) != _essence(to_notebook(source, solved))]


def run(lesson: str, solved: bool = False, on_cell: Callable[[int, int], None] | None = None) -> Result:
    """Execute a lesson's notebook in a workspace of its own; the file and the learner's progress are not touched.

    Args:
        solved: the notebook with the answers, or the learner's.
        on_cell: called with (cells done, cells in all).
    """
    path = paths(lesson)[solved]
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} has not been built: run nnopt build {lesson}.")
    return _run(lesson, nbformat.read(path, as_version=4), on_cell)


def _run(lesson: str, notebook: NotebookNode, on_cell: Callable[[int, int], None] | None) -> Result:
    started = time.perf_counter()
    with scratch_workspace() as folder:
        failure = execute(notebook, folder, on_cell)
        noted = record.read(folder)
    passed = [e for section in ("exercises", "questions") for e in noted[section].values() if e["passed"]]
    return Result(
        lesson,
        time.perf_counter() - started,
        sum(e["passed"] for e in noted["exercises"].values()),
        sum(e["points"] for e in passed),
        lesson_points(lesson),
        {text: holds for claims in noted["claims"].values() for text, holds in claims.items()},
        failure,
    )


def execute(notebook: NotebookNode, folder: Path, on_cell: Callable[[int, int], None] | None = None) -> str:
    """Execute in place, with `folder` as the workspace and current folder. What failed, in words; empty if nothing."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": folder}},
    )
    last = 0

    def started(cell, cell_index):
        nonlocal last
        last = cell_index
        if on_cell is not None:
            on_cell(cell_index, len(notebook.cells))

    client.on_cell_start = started
    try:
        client.execute(env=os.environ | {"NNOPT_WORKSPACE": str(folder), "TQDM_DISABLE": "1"})
    except CellExecutionError as error:
        return f"cell {last} failed with {error.ename}: {error.evalue}\n{notebook.cells[last].source}"
    except (CellTimeoutError, DeadKernelError) as error:
        what = "took too long" if isinstance(error, CellTimeoutError) else "killed the kernel"
        return f"cell {last} {what}\n{notebook.cells[last].source}"
    if on_cell is not None:
        on_cell(len(notebook.cells), len(notebook.cells))
    return ""


@contextmanager
def scratch_workspace() -> Iterator[Path]:
    """An empty folder to run a lesson in, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="nnopt-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _check_markers(source: str, where: str) -> None:
    marks = [line.strip() for line in source.split("\n") if line.strip() in (BEGIN, END)]
    if marks != [BEGIN, END] * (len(marks) // 2):
        raise ValueError(f"{where}: `{BEGIN}` and `{END}` do not alternate in the cell that begins {source[:60]!r}.")


def _essence(notebook: NotebookNode) -> list[tuple]:
    return [(c.cell_type, c.get("id"), c.source, {k: c.metadata.get(k) for k in KEPT_METADATA}) for c in notebook.cells]


def _cells_of(path: Path) -> list[tuple] | None:
    return _essence(nbformat.read(path, as_version=4)) if path.is_file() else None


def _tidy(notebook: NotebookNode) -> NotebookNode:
    """Leave out what changes from machine to machine and says nothing: Python's patch version, execution times."""
    widgets = notebook.metadata.get("widgets")
    notebook.metadata = nbformat.from_dict(_METADATA | ({"widgets": widgets} if widgets else {}))
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return notebook
