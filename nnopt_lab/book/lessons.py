"""Turn a lesson's solved notebook into a page of the book: code and solutions in folds, and links to the library."""

import ast
import importlib.util
import re

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from nnopt_lab.course.lesson_files import paths, read_notebook
from nnopt_lab.course.static_outputs import VIEW, make_static

DOCUMENTED = ("nnopt_lab.techniques", "nnopt_lab.workbench")  # packages whose modules have a page
PERSONAL = ("ledger()", "progress()")  # cells that show a learner's own guesses and points
WHOLE, SHORT = "nnopt-whole", 24  # class of code that book.css keeps on one line, and its letters, as in units.js
SHORT_CODE = re.compile(rf"(?<!<td>)<code>(?=[^<\n]{{1,{SHORT}}}</code>)")
IN_THE_BOOK = {  # a reader runs no cell
    "Run this cell to guess.": "In the notebook, you guess here.",
    "(run this cell to move the controls)": "(the notebook has controls)",
}


def page(lesson: str, links: str = "") -> NotebookNode:
    """Make the page of a lesson.

    Args:
        lesson: its name, such as "01_pruning".
        links: Markdown to show under the title; default nothing.

    Raises:
        FileNotFoundError: the solved notebook has not been built.
        ValueError: it is damaged.
    """
    solved, blank = paths(lesson)[True], paths(lesson)[False]
    if not solved.is_file():
        raise FileNotFoundError(
            f"solutions/{solved.name} is missing, and the book is made from it: run nnopt build {lesson}."
        )
    notebook = read_notebook(solved)
    stubs = _stubs(read_notebook(blank)) if blank.is_file() else {}
    _make_readable(notebook)
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cells += _folded(cell, stubs)
        else:
            cells.append(cell)
    if links:
        cells[:1] = _under_title(cells[0], links)
    if used := library_modules(notebook):
        cells.append(new_markdown_cell(_library_section(used)))
    notebook.cells = cells
    return notebook


def _make_readable(notebook: NotebookNode) -> None:
    """Leave out what needs a learner, and show what a widget has stored for readers without a kernel."""
    make_static(notebook)
    notebook.metadata.pop("widgets", None)
    notebook.cells = [cell for cell in notebook.cells if cell.source not in PERSONAL]
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop(VIEW, None)
            if "text/html" in data:
                data["text/html"] = _for_a_reader(data["text/html"])


def _for_a_reader(html: str) -> str:
    for there, here in IN_THE_BOOK.items():
        html = html.replace(there, here)
    return SHORT_CODE.sub(f'<code class="{WHOLE}">', html)


def library_modules(notebook: NotebookNode) -> list[str]:
    """The library's modules that a notebook imports, or imports names from, in order, without repetition."""
    found: dict[str, None] = {}
    for cell in notebook.cells:
        for node in ast.walk(_parsed(cell)):
            if isinstance(node, ast.Import):
                found |= dict.fromkeys(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                modules = [name if _is_module(name) else node.module for name in names if _is_documented(name)]
                found |= dict.fromkeys(modules)
    return [name for name in found if _is_documented(name) and _is_module(name)]


def _is_documented(name: str) -> bool:
    return name.startswith(tuple(f"{package}." for package in DOCUMENTED))


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module, not a package: it is a name inside
        return False


def _parsed(cell: NotebookNode) -> ast.Module:
    try:
        return ast.parse(cell.source if cell.cell_type == "code" else "")
    except SyntaxError:  # IPython's own commands
        return ast.Module([], [])


def _stubs(blank: NotebookNode) -> dict[str, str]:
    """The learner's cells, before they are answered, by the id of their exercise or question."""
    return {place: cell.source for cell in blank.cells if (place := _answered(cell))}


def _answered(cell: NotebookNode) -> str | None:
    return cell.metadata.get("exercise") or cell.metadata.get("question")


def _folded(cell: NotebookNode, stubs: dict[str, str]) -> list[NotebookNode]:
    """The cells that show one code cell: as it is, with its code folded, or as a task and its folded answer."""
    place = _answered(cell)
    if place and "exercise" in cell.metadata:
        task = [new_code_cell(stubs[place], metadata={"tags": ["nnopt-task"]})] if place in stubs else []
        return [*task, _hidden(cell, "hide-input", "solution")]
    if place:
        return [_hidden(cell, "hide-cell", "answer")]
    if cell.metadata.get("jupyter", {}).get("source_hidden"):
        label = cell.source.partition("\n")[0].removeprefix("# ")  # the build refuses a folded cell without one
        return [_hidden(cell, "hide-input", f"code · {label}")]
    return [cell]


def _hidden(cell: NotebookNode, tag: str, what: str) -> NotebookNode:
    cell.metadata.tags = [*cell.metadata.get("tags", []), tag]
    cell.metadata.mystnb = {"code_prompt_show": f"Show the {what}", "code_prompt_hide": f"Hide the {what}"}
    return cell


def _under_title(first: NotebookNode, links: str) -> list[NotebookNode]:
    """The first cell, with links between its heading and its text."""
    title, _, text = first.source.partition("\n")
    return [new_markdown_cell(f"{title}\n\n{links}\n{text}", id=first.get("id", "title"))]


def _library_section(modules: list[str]) -> str:
    rows = [f"- {{py:mod}}`{name}`" for name in modules]
    return "\n".join(["## In the library", "", "This lesson uses these modules of the course's library:", "", *rows])
