"""The learner's notebooks in other languages, `notebooks/LANGUAGE/NN_name.ipynb`.

Their code, ids and metadata are those of the English notebooks; only the prose, the words of buttons, and the
docstrings and comments in the code differ.
"""

from contextlib import nullcontext
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from nnopt_lab.course.asking import ASKS
from nnopt_lab.course.builder import to_notebook
from nnopt_lab.course.lesson_files import read_notebook
from nnopt_lab.course.translation import catalogs, code_remarks
from nnopt_lab.course.translation.library import LIBRARY
from nnopt_lab.course.translation.markdown_blocks import COMMENT, TABLE_ROW, Block, with_translations
from nnopt_lab.course.translation.readme import README, readme_edition, readme_file
from nnopt_lab.course.workspace import write_atomically
from nnopt_lab.workbench.language import languages, speaking
from nnopt_lab.workbench.paths import root

# Shown after English text that has no translation, or only one of an earlier text.
MARKS = {"zh": "*（译文更新中）*"}
OTHER_MARK = "*(translation in progress)*"


def edition_file(lesson: str, language: str) -> Path:
    """The path of the learner's notebook of a lesson in another language."""
    return root() / "notebooks" / language / f"{lesson}.ipynb"


def translate_notebook(notebook: NotebookNode, known: dict[str, str], language: str) -> None:
    """Replace the prose of a notebook, its docstrings and its comments by translations, in place.

    Questions stay as they are. A docstring or comment without a translation stays English, too, without a mark.

    Args:
        notebook: in English.
        known: translations by English text. A text without one stays English and gets a mark.
        language: its code, for the mark.
    """
    mark = MARKS.get(language, OTHER_MARK)
    for cell, following in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
        is_question = following is not None and ASKS in following.metadata
        if cell.cell_type == "markdown" and not is_question:
            cell.source = with_translations(cell.source, lambda block: known.get(block.text) or _marked(block, mark))
        elif cell.cell_type == "code":
            cell.source = code_remarks.with_translations(cell.source, known.get)


def edition(lesson: str, language: str, solved: bool = False) -> NotebookNode:
    """A notebook of a lesson in another language, made from its source and its translations; without those, in English.

    Args:
        lesson: its name.
        language: its code.
        solved: whether it has the answers instead of the learner's blanks.
    """
    path = catalogs.po_file(lesson, language)
    with speaking(language) if language in languages() else nullcontext():  # questions are texts of the library
        notebook = to_notebook(root() / "solutions" / f"{lesson}.py", solved)
    if path.is_file():
        translate_notebook(notebook, catalogs.translations(catalogs.read(path)), language)
    return notebook


def write_edition(lesson: str, language: str) -> None:
    """Write the learner's notebook of a lesson in another language; nothing is executed."""
    _write(edition_file(lesson, language), _text(edition(lesson, language)))


def readme(language: str) -> str:
    """The text of the README in another language."""
    known = catalogs.translations(catalogs.read(catalogs.po_file(README, language)))
    return readme_edition(known, MARKS.get(language, OTHER_MARK))


def write_readme(language: str) -> None:
    """Write the README in another language."""
    _write(readme_file(language), readme(language))


def _write(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)


def write_editions(language: str, lessons: list[str]) -> None:
    """Write the compiled catalogue, the notebooks of those of the lessons that have translations, and the README."""
    catalogs.compile_catalog(language)
    for lesson in catalogs.lessons_due(language, lessons):
        if lesson == README:
            write_readme(language)
        elif lesson != LIBRARY:
            write_edition(lesson, language)


def out_of_step(language: str, lessons: list[str]) -> list[str]:
    """What is outdated in a language, each as a sentence: stale and missing translations, notebooks, the catalogue.

    Args:
        language: its code.
        lessons: the lessons to look at, LIBRARY for the library's own texts, and README. One without a file of
            translations is only looked at if the language is complete.
    """
    found = []
    for lesson in catalogs.lessons_due(language, lessons):
        found += _unfinished(lesson, language)
        if lesson == README:
            path = readme_file(language)
            if not path.is_file() or path.read_text(encoding="utf-8") != readme(language):
                found.append(f".github/{path.name} is outdated: run nnopt translate {README}.")
        if lesson in (LIBRARY, README):
            continue
        path = edition_file(lesson, language)
        if not path.is_file() or _cells(read_notebook(path)) != _cells(edition(lesson, language)):
            found.append(f"notebooks/{language}/{lesson}.ipynb is outdated: run nnopt translate {lesson}.")
    if not catalogs.is_compiled(language):
        found.append(f"The compiled texts of {language} are outdated: run nnopt translate.")
    return found


def _unfinished(lesson: str, language: str) -> list[str]:
    wanted = catalogs.texts(lesson)
    catalog = catalogs.read(catalogs.po_file(lesson, language))
    stale = {entry.msgid for entry in catalogs.live(catalog) if entry.fuzzy and entry.msgstr}
    known = catalogs.translations(catalog)
    states = {text: "stale" if text in stale else "missing" for text in wanted if text not in known}
    return [f"solutions/{language}/{lesson}.po: {state}: {_start(text)}" for text, state in states.items()]


def _start(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"


def _marked(block: Block, mark: str) -> str:
    if block.kind == COMMENT:
        return block.text
    if block.kind == TABLE_ROW:
        return f"{block.text.removesuffix('|').rstrip()} {mark} |"
    return f"{block.text} {mark}"


def _cells(notebook: NotebookNode) -> list[tuple]:
    return [(c.cell_type, c.get("id"), c.source, dict(c.metadata), c.get("outputs")) for c in notebook.cells]


def _text(notebook: NotebookNode) -> str:
    return nbformat.writes(notebook) + "\n"
