"""Run lessons without a screen: execute a notebook, and collect its points and claims."""

import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode

from nnopt_lab.course import record
from nnopt_lab.course.cell_output import NOTEBOOK
from nnopt_lab.course.exercises import lesson_points
from nnopt_lab.course.lesson_files import paths, read_notebook
from nnopt_lab.workbench.language import ENGLISH, VARIABLE

CELL_SECONDS = 600


@dataclass
class Result:
    """The result of a lesson's run.

    `failure` says which cell failed and how; empty if none did. A claim is True, False, or None if it does not apply to
    this machine. One that compares measured times may also be NOT_JUDGED, because the machine was busy.
    """

    lesson: str
    seconds: float
    exercises_passed: int
    points: int
    points_possible: int
    claims: dict[str, bool | None]
    failure: str = ""
    timing_claims: dict[str, bool | str | None] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.failure and not self.false_claims

    @property
    def false_claims(self) -> list[str]:
        """The claims that apply here and are false."""
        return [text for text, holds in (self.claims | self.timing_claims).items() if holds is False]

    @property
    def not_judged(self) -> list[str]:
        """The claims that compare measured times and were not judged, because the machine was busy."""
        return [text for text, holds in self.timing_claims.items() if holds == record.NOT_JUDGED]


def run(lesson: str, solved: bool = False, on_cell: Callable[[int, int, str], None] | None = None) -> Result:
    """Execute a lesson's notebook in a temporary workspace; the file and the learner's progress are left unchanged.

    Args:
        lesson: its name, such as "01_pruning".
        solved: whether to run the notebook with the answers instead of the learner's.
        on_cell: called with (cells done, all cells, the heading of the section that runs).

    Raises:
        FileNotFoundError: the notebook has not been built.
        ValueError: it is damaged.
    """
    path = paths(lesson)[solved]
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} has not been built: run nnopt build {lesson}.")
    return run_notebook(lesson, read_notebook(path), on_cell)


def run_notebook(
    lesson: str,
    notebook: NotebookNode,
    on_cell: Callable[[int, int, str], None] | None = None,
    language: str = ENGLISH,
) -> Result:
    """Execute a lesson's notebook in place, in an empty workspace; `on_cell` as in `run`.

    The kernel speaks `language` whatever the system's locale, so that outputs can be compared.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="nnopt-", ignore_cleanup_errors=True) as folder:
        failure = execute(notebook, Path(folder), on_cell, language)
        noted = record.read(Path(folder))
    passed = [e for section in ("exercises", "questions") for e in noted[section].values() if e["passed"]]
    return Result(
        lesson,
        time.perf_counter() - started,
        sum(e["passed"] for e in noted["exercises"].values()),
        sum(e["points"] for e in passed),
        lesson_points(lesson),
        _all_lessons(noted["claims"]),
        failure,
        _all_lessons(noted["timing_claims"]),
    )


def _all_lessons(claims: dict[str, dict]) -> dict:
    return {text: holds for of_lesson in claims.values() for text, holds in of_lesson.items()}


def execute(
    notebook: NotebookNode,
    folder: Path,
    on_cell: Callable[[int, int, str], None] | None = None,
    language: str = ENGLISH,
) -> str:
    """Execute in place, with `folder` as workspace and current folder; returns a description of the failure, or ""."""
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
            on_cell(cell_index, len(notebook.cells), section_of(notebook, cell_index))

    client.on_cell_start = started
    try:
        variables = {"NNOPT_WORKSPACE": str(folder), "TQDM_DISABLE": "1", VARIABLE: language}
        inherited = {name: value for name, value in os.environ.items() if name != NOTEBOOK}  # no page shows this kernel
        client.execute(env=inherited | variables)
    except CellExecutionError as error:
        return f"cell {last} failed with {error.ename}: {error.evalue}\n{notebook.cells[last].source}"
    except (CellTimeoutError, DeadKernelError) as error:
        happened = "took too long" if isinstance(error, CellTimeoutError) else "killed the kernel"
        return f"cell {last} {happened}\n{notebook.cells[last].source}"
    if on_cell is not None:
        on_cell(len(notebook.cells), len(notebook.cells), "")
    return ""


def section_of(notebook: NotebookNode, index: int) -> str:
    """The last heading up to a cell, without its marks; "" if there is none."""
    for cell in reversed(notebook.cells[: index + 1]):
        if cell.cell_type == "markdown":
            text = re.sub(r"^(```|~~~).*?^\1", "", cell.source, flags=re.MULTILINE | re.DOTALL)
            if headings := re.findall(r"^#{1,6} +(.+?) *#*$", text, re.MULTILINE):
                return re.sub(r"[`*]", "", headings[-1])
    return ""
