"""The sections of a lesson's copy: the first one with something open, and the one in which a cell stands."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nnopt_lab.course.exercises import is_passed

KINDS = ("exercise", "question")
CHECKED = re.compile(r"""^check\(\s*["']([^"']+)["']""", re.MULTILINE)


def open_section(notebook: Path, noted: dict) -> tuple[str, str]:
    """The heading above the first exercise or question that is not passed, and the id of its cell; "" if unknown.

    Args:
        notebook: the learner's copy; a missing or damaged one has no section.
        noted: of `record.read`.
    """
    for cell, section in _in_sections(notebook):
        marks = cell.get("metadata", {})
        open_ones = (marks.get(kind) and not is_passed(noted, f"{kind}s", marks[kind]) for kind in KINDS)
        if any(open_ones):
            return section
    return "", ""


def section_of(notebook: Path, id: str) -> tuple[str, str]:
    """The heading above a cell, and the id of the cell to go on with: a check leads to the answer that it checks.

    Args:
        notebook: as for `open_section`.
        id: of the cell.

    Returns:
        Two texts, both "" if no cell has the id, or there is no heading above it.
    """
    answers = {}
    for cell, (heading, _) in _in_sections(notebook):
        if exercise := cell.get("metadata", {}).get("exercise"):
            answers[exercise] = str(cell.get("id", ""))
        if id and heading and cell.get("id") == id:
            checked = CHECKED.search("".join(cell.get("source", "")))
            return heading, answers.get(checked and checked[1], id)
    return "", ""


def code_cells(notebook: Path) -> list[str]:
    """The ids of a lesson's code cells, in order; those of `open_section`'s notebook, "" where a cell has none."""
    return [str(cell.get("id", "")) for cell in _cells(notebook) if cell.get("cell_type") == "code"]


def _in_sections(notebook: Path) -> Iterator[tuple[dict, tuple[str, str]]]:
    """The cells, each with the heading above it and the id of the heading's cell."""
    section = "", ""
    for cell in _cells(notebook):
        text = "".join(cell.get("source", ""))
        if cell.get("cell_type") == "markdown" and (found := re.findall(r"^## (.+)$", text, re.MULTILINE)):
            section = found[-1].strip(), str(cell.get("id", ""))
        yield cell, section


def _cells(notebook: Path) -> Iterator[dict]:
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        yield from json.loads(notebook.read_text(encoding="utf-8"))["cells"]
