"""Cells of notebooks, for the tests: what they show and what they ask."""

import re


def shown(cell) -> str:
    """All text that a cell shows, in plain and in HTML."""
    parts = []
    for output in cell.get("outputs", []):
        parts += [output.get("text", ""), *(v for v in output.get("data", {}).values() if isinstance(v, str))]
    return "\n".join(parts)


def calls(cell, kind: str) -> list[str]:
    """The ids of the exercises that a cell checks, or of the questions that it asks."""
    return re.findall(rf'^{kind}\("([\w.]+)"', cell.source, re.MULTILINE) if cell.cell_type == "code" else []
