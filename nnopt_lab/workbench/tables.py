"""Tables: HTML in a notebook, aligned text elsewhere."""

import html
import re
from collections.abc import Sequence
from itertools import groupby

_NUMBER = re.compile(r"[+−]?[\d,]+(\.\d+)?(e[+−]?\d+)?(?=$|[\s×%])")
_LONGEST = 32  # letters of a cell that stays on one line
_PAD, _PAD_POINT = "\u2007", "\u2008"  # spaces as wide as a digit and as a point
_LINE = "border-bottom:1px solid var(--jp-border-color2,#8888884d)"
_CELL = f"padding:3px 14px 3px 0;vertical-align:top;{_LINE};"


class Table:
    """Rows of cells under named columns, for the end of a notebook's cell or for `print`.

    Columns of numbers are aligned at their points, minus signs are true ones, and a name that several rows in
    succession share is written once.

    Args:
        rows: one sequence of cells per row, one cell per column: text, integers (shown as 1,234), or None (a dash).
            The first cell names its row.
        columns: the columns' names.
        caption: what the table shows, in one line; default none.

    Raises:
        ValueError: there is no column, or a row has another number of cells.
    """

    def __init__(self, rows: Sequence[Sequence], columns: Sequence[str], caption: str = ""):
        self.columns, self.caption = list(columns), caption
        self.rows = [[_text(cell) for cell in row] for row in rows]
        wrong = next((row for row in self.rows if len(row) != len(self.columns)), None)
        if not self.columns or wrong is not None:
            given = "no column" if not self.columns else f"the row {wrong} has {len(wrong)} cells"
            raise ValueError(f"columns={self.columns}: {given}; a table needs one cell per column, at least one.")
        self._numeric = [_is_numeric(column) for column in self._by_column()]

    def __repr__(self) -> str:
        aligned = [
            _aligned(column, " ", " ") if numeric else column
            for column, numeric in zip(self._by_column(), self._numeric, strict=True)
        ]
        aligned[0] = [name if span else "" for name, span in zip(aligned[0], _spans(aligned[0]), strict=True)]
        lines = [self.columns, *zip(*aligned, strict=True)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join([*([self.caption] if self.caption else []), *(self._line(line, widths) for line in lines)])

    def _repr_html_(self) -> str:
        aligned = [
            _aligned(column, _PAD, _PAD_POINT) if numeric else column
            for column, numeric in zip(self._by_column(), self._numeric, strict=True)
        ]
        heads = "".join(
            f'<th scope="col" style="{_CELL}{side};font-weight:600">{html.escape(name)}</th>'
            for name, side in zip(self.columns, self._sides(), strict=True)
        )
        spans = _spans(self._by_column()[0])
        rows = "".join(self._html_row(*row) for row in zip(spans, zip(*aligned, strict=True), strict=True))
        caption = (
            f'<caption style="text-align:left;padding-bottom:4px;font-weight:600;'
            f'color:var(--jp-ui-font-color1,inherit)">{html.escape(self.caption)}</caption>'
        )
        return (
            '<table style="border-collapse:collapse;color:var(--jp-ui-font-color1,inherit);'
            f'font-variant-numeric:tabular-nums">{caption if self.caption else ""}'
            f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        )

    def _html_row(self, span: int, row: Sequence[str]) -> str:
        first, *others = zip(row, self._sides(), strict=True)
        scope = f'scope="rowgroup" rowspan="{span}"' if span > 1 else 'scope="row"'
        style = f"{_CELL}{first[1]};font-weight:400;white-space:nowrap"
        name = f'<th {scope} style="{style}">{html.escape(first[0])}</th>' if span else ""
        cells = (f'<td style="{_CELL}{side}{_wrap(cell)}">{html.escape(cell)}</td>' for cell, side in others)
        return f"<tr>{name}{''.join(cells)}</tr>"

    def _line(self, cells: Sequence[str], widths: list[int]) -> str:
        parts = (
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(cells, widths, self._numeric, strict=True)
        )
        return "  ".join(parts).rstrip()

    def _sides(self) -> list[str]:
        return [f"text-align:{'right' if numeric else 'left'}" for numeric in self._numeric]

    def _by_column(self) -> list[list[str]]:
        return [list(column) for column in zip(*self.rows, strict=True)] or [[] for _ in self.columns]


def _wrap(cell: str) -> str:
    """Keep short cells on one line; the widest column of a table, if it is of sentences, takes what is left."""
    return ";white-space:nowrap" if len(cell) <= _LONGEST else ""


def _text(cell) -> str:
    """A cell as text: an integer with commas, a float with three digits, a dash for None; a true minus sign."""
    if cell is None:
        return "–"
    if isinstance(cell, float):
        cell = f"{cell:.3g}"
    elif isinstance(cell, int) and not isinstance(cell, bool):
        cell = f"{cell:,}"
    without = re.sub(r"(?<![\w.)])[+-](?=0(\.0*)?(?![\d.]))", "", str(cell))  # a rounded zero has no sign
    return re.sub(r"(?<![\w.)])-(?=\d)|(?<=\de)-(?=\d)", "−", without)


def _is_numeric(column: list[str]) -> bool:
    """Whether all cells but empty ones begin with a number, and at least one does."""
    filled = [cell for cell in column if cell not in ("", "–")]
    return bool(filled) and all(_NUMBER.match(cell) for cell in filled)


def _spans(names: list[str]) -> list[int]:
    """For each row the number of rows that share its name, or 0 if a row above has named it."""
    runs = [len(list(run)) for _, run in groupby(names)]
    return [size if first else 0 for size in runs for first in [True] + [False] * (size - 1)]


def _aligned(column: list[str], digit: str, point: str) -> list[str]:
    """The cells with spaces behind them, so that points lie below each other if the column is flush right.

    What follows the numbers, such as a unit or an interval, is padded to one length too.
    """
    parts = [(m.group(), cell[m.end() :]) if (m := _NUMBER.match(cell)) else (cell, "") for cell in column]
    decimals = [len(number.partition(".")[2]) for number, _ in parts]
    most, longest = max(decimals, default=0), max((len(rest) for _, rest in parts), default=0)
    return [
        number + (point if has == 0 < most else "") + digit * (most - has) + rest + digit * (longest - len(rest))
        if number not in ("", "–")
        else number
        for (number, rest), has in zip(parts, decimals, strict=True)
    ]
