"""Where a learner goes on in a lesson: the first section with an exercise or a question that is not passed."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nnopt_lab.course.exercises import is_passed


def open_section(notebook: Path, noted: dict) -> tuple[str, str]:
    """The heading above the first exercise or question that is not passed, and the id of its cell; "" if unknown.

    Args:
        notebook: the learner's copy; a missing or damaged one has no section.
        noted: of `record.read`.
    """
    heading = cell_id = ""
    for cell in _cells(notebook):
        text = "".join(cell.get("source", ""))
        if cell.get("cell_type") == "markdown" and (found := re.findall(r"^## (.+)$", text, re.MULTILINE)):
            heading, cell_id = found[-1].strip(), str(cell.get("id", ""))
        for kind in ("exercise", "question"):
            id = cell.get("metadata", {}).get(kind)
            if id and not is_passed(noted, f"{kind}s", id):
                return heading, cell_id
    return "", ""


def _cells(notebook: Path) -> Iterator[dict]:
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        yield from json.loads(notebook.read_text(encoding="utf-8"))["cells"]
