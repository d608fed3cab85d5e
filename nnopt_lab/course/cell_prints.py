"""Fingerprints of a notebook's cells, by which texts are compared that are no longer there."""

import hashlib

Prints = list[tuple[str, str]]  # a notebook's cells in order: id, and hash of type and source


def text_of(cell: dict) -> str:
    """A cell's source, which a file may store as lines."""
    return "".join(cell["source"])


def fingerprint(cell: dict) -> str:
    """A hash of a cell's type and source."""
    return hashlib.sha256(f"{cell['cell_type']}\n{text_of(cell)}".encode(errors="surrogatepass")).hexdigest()[:16]


def prints_of(cells: list[dict]) -> Prints:
    """The fingerprints of a notebook's cells."""
    return [(cell.get("id", ""), fingerprint(cell)) for cell in cells]
