"""Code cells of the course's own notebooks: unchanged answer cells, and the imports that an answer may rely on."""

import ast
import json
import sys
from functools import cache
from pathlib import Path

from nnopt_lab.workbench.paths import root


def code_cells(path: Path) -> dict[str, str]:
    """The code cells of one of the course's own notebooks, by id.

    Raises:
        ValueError: the notebook is damaged.
    """
    # json instead of nbformat, whose schemas take longer to load than torch, which matters for few submissions.
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return {cell["id"]: "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: rebuild it with nnopt build {path.stem}.") from error


@cache
def notebook_cells(lesson: str) -> dict[str, str]:
    """The code cells of a lesson's learner notebook, by id."""
    return code_cells(_notebook(lesson))


@cache
def stubs(lesson: str) -> dict[str, str]:
    """The unchanged answer cells of a lesson, by id."""
    cells = notebook_cells(lesson)
    return {id: source for id, source in cells.items() if id.startswith(("exercise-", "question-"))}


@cache
def lesson_imports(lesson: str) -> str:
    """A lesson's imports of torch, numpy and the standard library, which an answer may rely on."""
    cells = notebook_cells(lesson)
    return "\n".join(dict.fromkeys(line for source in cells.values() for line in _imports(source)))


def _notebook(lesson: str) -> Path:
    return root() / "notebooks" / f"{lesson}.ipynb"


def _imports(source: str) -> list[str]:
    def allowed(name: str) -> bool:
        return name.split(".")[0] in ("torch", "numpy") or name.split(".")[0] in sys.stdlib_module_names

    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    return [
        ast.unparse(node)
        for node in tree.body
        if (isinstance(node, ast.Import) and all(allowed(alias.name) for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and allowed(node.module or ""))
    ]
