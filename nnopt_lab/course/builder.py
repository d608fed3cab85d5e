"""Build both notebooks of a lesson, solved and blank, from one source, `solutions/NN_name.py`."""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from nnopt_lab.course.asking import ASKS, CHECKS, GUESSES, asks, checks, guesses, prose
from nnopt_lab.course.cell_roles import (
    check_hidden,
    check_label,
    depends_on_the_machine,
    is_folded,
    only_guesses,
    reveals,
    shows_progress,
)
from nnopt_lab.course.exercises import Question, cell_id, exercises, questions
from nnopt_lab.course.lesson_files import paths, read_notebook
from nnopt_lab.course.runner import run_notebook
from nnopt_lab.course.static_outputs import make_static
from nnopt_lab.course.stored_outputs import fault, seal
from nnopt_lab.course.timing_claims import check_claims
from nnopt_lab.course.waiting_reveal import COVERS, covers
from nnopt_lab.course.workspace import write_atomically
from nnopt_lab.workbench.paths import root

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
ANNOUNCED = re.compile(r"\*\*Exercise \(([^)]*)\)")
KEPT_METADATA = ("exercise", "question", "tags")
COMPARED_METADATA = (*KEPT_METADATA, "jupyter", ASKS, CHECKS, COVERS, GUESSES)
FENCE = re.compile(r" *(?:> *)*(?P<marks>`{3,}|~{3,})(?P<after>.*)")
LANGUAGE = re.compile(r"[\w.+#-]*")
VARIES = "nbval-ignore-output"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def to_notebook(source: Path, solved: bool) -> NotebookNode:
    """Convert a lesson's source (jupytext percent format) to its solved or its learner's notebook, not executed.

    Every declared question gets a cell above its answer's with its text, in the language in use.

    Raises:
        ValueError: solution markers do not match, an exercise appears twice or is folded, a folded cell has no label
            (`cell_roles.check_label`), an open cell explains a measurement (`cell_roles.check_hidden`), the prose above
            an exercise does not announce its declared points, as in `**Exercise (2 points).**`, a code block in prose
            is not closed or has more than a language after its opening fence, or a claim compares measured times and
            doesn't say so (`timing_claims.check_claims`, for the solved notebook).
    """
    import jupytext

    notebook = jupytext.read(source, fmt="py:percent")
    cells, seen = [], set()
    for number, cell in enumerate(notebook.cells):
        metadata = {key: cell.metadata[key] for key in KEPT_METADATA if key in cell.metadata}
        place = next((cell_id(k, metadata[k]) for k in ("exercise", "question") if k in metadata), None)
        place = place or f"{source.stem}-{number:03d}"
        if place in seen:
            raise ValueError(f"{source.name}: {metadata} appears twice in the lesson.")
        seen.add(place)
        make = nbformat.v4.new_markdown_cell if cell.cell_type == "markdown" else nbformat.v4.new_code_cell
        text = cell.source
        if cell.cell_type == "code":
            metadata |= _derived(text, metadata, source.name)
            text = with_answers(text, source.name) if solved else without_answers(text, source.name)
        else:
            _check_fences(text, source.name)
        if "exercise" in metadata:
            metadata[CHECKS] = checks()
        if asked := questions().get(metadata.get("question")):
            metadata[ASKS] = asks(asked)
            cells.append(_prose_cell(asked, f"{source.stem}-{number:03d}"))
        cells.append(make(text, id=place, metadata=metadata))
    _check_points(cells, source.name)
    if solved:
        check_claims([cell.source for cell in cells if cell.cell_type == "code"], source.name)
    return nbformat.v4.new_notebook(cells=cells, metadata=METADATA)


def _prose_cell(asked: Question, id: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(prose(asked), id=id)


def with_answers(source: str, where: str = "cell") -> str:
    """Remove the marker lines from a cell and keep its answer."""
    _check_markers(source, where)
    return "\n".join(line for line in source.split("\n") if line.strip() not in (BEGIN, END))


def without_answers(source: str, where: str = "cell") -> str:
    """Remove the answer from a cell: inside a function, a stub replaces it; at the top level, nothing does."""
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


def build(lesson: str, on_cell: Callable[[int, int, str], None] | None = None, accept_not_judged: bool = False) -> None:
    """Make both notebooks of a lesson, execute them, and write them, only the solved one with outputs.

    Outputs of the learner's notebook would reveal the answers to its predictions. If the machine was too busy to judge
    a claim of the solved one, that one runs a second time.

    Args:
        lesson: its name, such as "01_pruning".
        on_cell: as in `runner.run`.
        accept_not_judged: whether to write a solved notebook with claims that were not judged, too.

    Raises:
        ValueError: the source is malformed, a cell failed, a claim is false or was not judged, the answers do not earn
            all points, or the blank notebook earns any; nothing is written then.
    """
    source, made = root() / "solutions" / f"{lesson}.py", {}
    for solved in (True, False):
        notebook = to_notebook(source, solved)
        result = run_notebook(lesson, notebook, on_cell)
        if solved and result.ok and result.not_judged and not accept_not_judged:
            notebook = to_notebook(source, solved)
            result = run_notebook(lesson, notebook, on_cell)
            if result.ok and result.not_judged:
                raise ValueError(
                    f"{lesson} was not written: the machine was busy in two runs, so these claims on times were not "
                    f"judged: {result.not_judged}. Close other programs and build it again, or store it as it is with "
                    "--accept-not-judged."
                )
        wanted = result.points_possible if solved else 0
        if not result.ok or result.points != wanted:
            false, failed = result.false_claims or "none", f" Its {result.failure}" if result.failure else ""
            raise ValueError(
                f"{lesson}, {'solved' if solved else 'blank'}, was not written: it earned {result.points} points "
                f"(expected: {wanted}); false claims: {false}.{failed}"
            )
        made[paths(lesson)[solved]] = _tidy(notebook) if solved else to_notebook(source, solved)
    for path, notebook in made.items():
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, nbformat.writes(notebook) + "\n")


def out_of_step(lesson: str) -> dict[Path, str]:
    """The stored notebooks of a lesson that must be rebuilt, each with the reason as a predicate.

    A notebook's cells must equal those of its source. The learner's notebook must also have no outputs and no execution
    counts, and the solved one the outputs with which it was built.
    """
    source, found = root() / "solutions" / f"{lesson}.py", {}
    for solved, path in paths(lesson).items():
        stored = _stored(path)
        if stored is None:
            found[path] = "is damaged" if path.exists() else "is missing"
        elif _essence(stored) != _essence(to_notebook(source, solved)):
            found[path] = "differs from its source"
        elif not solved and any(cell.get("outputs") or cell.get("execution_count") for cell in stored.cells):
            found[path] = "has outputs, which reveal answers"
        elif solved and (reason := fault(stored)):
            found[path] = reason
    return found


def _derived(text: str, metadata: dict, where: str) -> dict:
    """The metadata derived from a code cell: whether it is folded, asks for guesses, reveals one, and varies."""
    derived = {}
    try:
        if is_folded(text, metadata):
            check_label(text)
            derived["jupyter"] = {"source_hidden": True}
        else:
            check_hidden(text)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    tags = metadata.get("tags", [])
    if names := only_guesses(text):
        derived[GUESSES] = guesses(names)
    if reveals(text):
        derived[COVERS] = covers()
    if depends_on_the_machine(text) and VARIES not in tags:
        derived["tags"] = [*tags, VARIES]
    return derived


def _stored(path: Path) -> NotebookNode | None:
    with contextlib.suppress(FileNotFoundError, ValueError):
        return read_notebook(path)
    return None


def _check_markers(source: str, where: str) -> None:
    marks = [line.strip() for line in source.split("\n") if line.strip() in (BEGIN, END)]
    if marks != [BEGIN, END] * (len(marks) // 2):
        raise ValueError(f"{where}: `{BEGIN}` and `{END}` do not alternate in the cell that begins {source[:60]!r}.")


def _check_fences(text: str, where: str) -> None:
    """Refuse code blocks that an editor has reflowed: their first line then stands beside a fence, and is not shown."""
    opened = ""
    for line in text.split("\n"):
        fence = FENCE.fullmatch(line)
        if not fence or (opened and not fence["marks"].startswith(opened)):
            continue
        after = fence["after"].strip()
        if not LANGUAGE.fullmatch(after) or (opened and after):
            raise ValueError(
                f"{where}: only a language may follow an opening fence, and nothing a closing one: {line!r}."
            )
        opened = "" if opened else fence["marks"]
    if opened:
        raise ValueError(f"{where}: a code block is not closed in the cell that begins {text[:60]!r}.")


def _check_points(cells: list[NotebookNode], where: str) -> None:
    announced = "nothing"
    for cell in cells:
        if found := ANNOUNCED.findall(cell.source if cell.cell_type == "markdown" else ""):
            announced = found[-1]
        declared = exercises().get(cell.metadata.get("exercise"))
        if declared:
            wanted = f"{declared.points} point{'s' if declared.points > 1 else ''}"
            if announced != wanted:
                raise ValueError(f"{where}: the prose announces {announced} for {declared.id}, which has {wanted}.")
            announced = "nothing"


def _essence(notebook: NotebookNode) -> list[tuple]:
    return [(c.cell_type, c.get("id"), c.source, _compared(c)) for c in notebook.cells]


def _compared(cell: NotebookNode) -> dict:
    return {key: cell.metadata.get(key) for key in COMPARED_METADATA}


def _tidy(notebook: NotebookNode) -> NotebookNode:
    """Remove irrelevant differences between machines: Python's patch version, execution times and widgets' ids.

    The course map is removed too, because its list of lessons may be outdated when somebody reads it.
    """
    make_static(notebook)
    widgets = notebook.metadata.get("widgets")
    notebook.metadata = nbformat.from_dict(METADATA | ({"widgets": widgets} if widgets else {}))
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code" and shows_progress(cell.source):
            cell.outputs = []
    seal(notebook)
    return notebook
