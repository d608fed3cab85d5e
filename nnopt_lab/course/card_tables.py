"""Tables in cards: texts whose lines are rows, with tabs between the cells, in HTML and in columns of plain text."""

import html

from rich.cells import cell_len

_TABLE = "margin:2px 0 0;border-collapse:collapse;font-size:90%"
_CELL = "padding:1px 24px 1px 0;border:0;background:none;color:inherit"
_CELL_CODE = "background:none;color:inherit"


def cells_of(text: str) -> list[list[str]]:
    """The cells of a text that is a table: at least two lines, with equally many tabs, at least two; else nothing."""
    cells = [line.split("\t") for line in text.split("\n")]
    return cells if len(cells) > 1 and len({len(row) for row in cells}) == 1 and len(cells[0]) > 2 else []


def html_table(head: list[str], *rows: list[str]) -> str:
    """The table in HTML; the first column holds names, the others numbers."""
    tags = [("th", head), *(("td", row) for row in rows)]
    return f'<table style="{_TABLE}">{"".join(_row(*row) for row in tags)}</table>'


def _row(tag: str, row: list[str]) -> str:
    sides = ["left", *["right"] * (len(row) - 1)]
    cells = (
        f'<{tag} style="{_CELL};text-align:{side}">{_cell(tag, cell)}</{tag}>'
        for side, cell in zip(sides, row, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _cell(tag: str, text: str) -> str:
    is_code = tag == "td" and text and not text.startswith("…")
    return f'<code style="{_CELL_CODE}">{html.escape(text)}</code>' if is_code else html.escape(text)


def text_table(cells: list[list[str]]) -> list[str]:
    """The lines of the table as text, for a font in which a Chinese character is two letters wide."""
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    padded = (
        [f"{' ' * (width - cell_len(cell))}{cell}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        for row in cells
    )
    firsts = (f"{row[0]}{' ' * (widths[0] - cell_len(row[0]))}" for row in cells)
    return ["  ".join([first, *others]).rstrip() for first, others in zip(firsts, padded, strict=True)]
