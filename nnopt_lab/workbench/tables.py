"""Tables: HTML in a notebook, aligned text elsewhere."""

import html
import re
from collections.abc import Callable, Sequence
from itertools import groupby, zip_longest
from urllib.parse import quote

from rich.cells import cell_len

from nnopt_lab.workbench.language import _, translated
from nnopt_lab.workbench.language.typography import with_whole_units

_NUMBER = re.compile(r"[+−]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?(e[+−]?\d+)?(?=$|[\s×%])")
_CODE = re.compile(r"`([^`\n]+)`")
_INTERVAL = re.compile(r" \(.*\)$")
_LONGEST = 32  # characters of a line with numbers that is never broken
_LONGEST_NAME = 20  # of one without
_SPARE = 4  # characters by which the first half of a broken line may be the longer one
_PAD, _PAD_POINT = "\u2007", "\u2008"  # spaces as wide as a digit and as a point
_LINE = "border-bottom:1px solid var(--jp-border-color2,#8888884d)"
_CELL = f"vertical-align:baseline;{_LINE};"
_GAP = 14  # pixels between columns
_COLOR = "color:var(--jp-ui-font-color1,inherit)"
_SECOND = "opacity:0.75;font-size:92%"
# The sign below a table that is wider than the page. It is a picture: text would stay where a page drops styles.
# Only there is the content (100%) wider than the frame (100cqw), and only then does the sign get a height, as padding,
# because a padding's percentages are those of the width. The picture is a mask before the theme's colour; it is a
# gradient, which a page that drops masks drops as well.
_ARROW = (
    "<svg xmlns='http://www.w3.org/2000/svg' width='110' height='18'><text x='108' y='13' text-anchor='end' "
    "font-family='sans-serif' font-size='12'>{}</text></svg>"
)
_SIGN = (
    "position:sticky;left:0;width:100%;width:100cqw;height:0;padding-top:0;"
    "padding-top:clamp(0px,calc((100% - 100cqw)*999),18px);"
    "background:linear-gradient(var(--jp-ui-font-color2,currentColor) 0 0);"
    "mask:right top no-repeat url(&quot;data:image/svg+xml,{}&quot;)"
)


class Table:
    """Rows of cells under named columns, for the end of a notebook's cell or for `print`.

    Columns of numbers are aligned at their points, minus signs are true ones, and a name that several rows in
    succession share is written once. On a narrow page, names and sentences wrap, at most once; numbers stay whole, and
    a table that still doesn't fit can be scrolled in its own frame. Its words are shown in the language in use; `rows`,
    `columns` and `caption` keep those given.

    Args:
        rows: one sequence of cells per row, one cell per column: text, integers (shown as 1,234), or None (a dash).
            The first cell names its row. A cell's second line, after a line break, is shown smaller.
        columns: the columns' names; they may have a second line, too.
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
        first, *others = self._aligned(" ", " ")
        names = [name if span else "" for name, span in zip(first, _spans(first), strict=True)]
        rows = [[cell.split("\n") for cell in row] for row in zip(names, *others, strict=True)]
        lines = [
            line
            for row in [[_translated(name).split("\n") for name in self.columns], *rows]
            for line in zip_longest(*row, fillvalue="")
        ]
        widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
        caption = [translated(self.caption)] if self.caption else []
        return "\n".join([*caption, *(self._line(line, widths) for line in lines)])

    def _repr_html_(self) -> str:
        heads = "".join(
            f'<th scope="col" style="{_CELL}{place};font-weight:600">{_lines(_translated(name))}</th>'
            for name, place in zip(self.columns, self._places(), strict=True)
        )
        spans = _spans(self._in_this_language()[0])
        aligned = zip(*self._aligned(_PAD, _PAD_POINT), strict=True)
        # A body per group, where some share a name: JupyterLab shades every second row of a body, but never a name in
        # its first row.
        first = "</tbody><tbody>" if max(spans, default=1) > 1 else ""
        rows = [first * (span > 0) + self._html_row(span, row) for span, row in zip(spans, aligned, strict=True)]
        body = "".join(rows).removeprefix(first)
        caption = (
            f'<caption style="text-align:left;padding-bottom:4px;font-weight:600;{_COLOR}">'
            '<span style="position:sticky;left:0;display:inline-block;max-width:100cqw">'
            f"{html.escape(with_whole_units(translated(self.caption)))}</span></caption>"
        )
        return _framed(
            f'<table style="border-collapse:collapse;margin-left:0;{_COLOR};'
            f'font-variant-numeric:tabular-nums">{caption if self.caption else ""}'
            f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _html_row(self, span: int, row: Sequence[str]) -> str:
        first, *others = zip(row, self._places(), strict=True)
        scope = f'scope="rowgroup" rowspan="{span}"' if span > 1 else 'scope="row"'
        style = f"{_CELL}{first[1]};font-weight:400{_wrap(first[0])}"
        name = f'<th {scope} style="{style}">{_lines(first[0])}</th>' if span else ""
        cells = (f'<td style="{_CELL}{place}{_wrap(cell)}">{_lines(cell)}</td>' for cell, place in others)
        return f"<tr>{name}{''.join(cells)}</tr>"

    def _line(self, cells: Sequence[str], widths: list[int]) -> str:
        parts = map(_padded, cells, widths, self._numeric)
        return "  ".join(parts).rstrip()

    def _places(self) -> list[str]:
        """Each column's side, and its distance to the next; the last one ends where the rules do."""
        gaps = [_GAP] * (len(self.columns) - 1) + [0]
        sides = ["right" if numeric else "left" for numeric in self._numeric]
        return [f"padding:3px {gap}px 3px 0;text-align:{side}" for gap, side in zip(gaps, sides, strict=True)]

    def _by_column(self) -> list[list[str]]:
        return [list(column) for column in zip(*self.rows, strict=True)] or [[] for _ in self.columns]

    def _in_this_language(self) -> list[list[str]]:
        return [[_translated(cell) for cell in column] for column in self._by_column()]

    def _aligned(self, digit: str, point: str) -> list[list[str]]:
        """The columns, and in those of numbers all first lines aligned; second ones stay flush with the first."""
        return [
            _first_lines(column, lambda lines: _at_points(lines, digit, point)) if numeric else column
            for column, numeric in zip(self._in_this_language(), self._numeric, strict=True)
        ]


def _translated(cell: str) -> str:
    """A cell in the language in use, as a whole or line by line."""
    found = translated(cell)
    return found if found != cell else "\n".join(translated(line) for line in cell.split("\n"))


def _padded(cell: str, width: int, right: bool) -> str:
    """`str.rjust` or `ljust`, which would count a Chinese character, twice as wide as others, as one."""
    blank = " " * (width - cell_len(cell))
    return blank + cell if right else cell + blank


def _framed(table: str) -> str:
    """A table that can be scrolled where it is wider than the page, with a sign below it that says so."""
    sign = _SIGN.format(quote(_ARROW.format(_("more columns →"))))
    return (
        '<div style="overflow-x:auto;container-type:inline-size"><div style="min-width:min-content">'
        f'{table}<div style="{sign}"></div></div></div>'
    )


def _lines(cell: str) -> str:
    first, *others = _CODE.sub(r"<code>\1</code>", html.escape(cell)).split("\n")
    whole = ";white-space:nowrap" if max(map(cell_len, others), default=0) <= _LONGEST else ""
    return first + "".join(f'<br><span style="{_SECOND}{whole}">{line}</span>' for line in others)


def _wrap(cell: str) -> str:
    """Keep short lines whole, and let longer ones break once."""
    longest = max(cell.split("\n"), key=cell_len)
    if cell_len(longest) <= (_LONGEST if any(map(str.isdigit, longest)) else _LONGEST_NAME):
        return ";white-space:nowrap"
    return f";min-width:min({(cell_len(longest) + 1) // 2 + _SPARE}ch,60cqw)"


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


def _first_lines(column: list[str], change: Callable[[list[str]], list[str]]) -> list[str]:
    """The cells after a change of all their first lines together."""
    firsts, rests = zip(
        *((first, line + rest) for first, line, rest in (c.partition("\n") for c in column)), strict=True
    )
    return [first + rest for first, rest in zip(change(list(firsts)), rests, strict=True)]


def _at_points(column: list[str], digit: str, point: str) -> list[str]:
    """The lines with spaces behind them, so that points lie below each other if the column is flush right.

    What follows the numbers is padded to one length too. Numbers in different units aren't aligned, since they can't be
    compared by their place; nor are powers of ten, nor numbers that would get a gap before their unit or interval.
    """
    parts = [(m.group(), line[m.end() :]) if (m := _NUMBER.match(line)) else (line, "") for line in column]
    units = {_INTERVAL.sub("", rest) for number, rest in parts if _NUMBER.match(number)}
    decimals = [len(number.partition(".")[2]) for number, _ in parts]
    most, longest = max(decimals, default=0), max((len(rest) for _, rest in parts), default=0)
    powers = any("e" in number for number, _ in parts)
    gaps = any(has < most and rest for (_, rest), has in zip(parts, decimals, strict=True))
    if len(units) > 1 or gaps or powers:
        return column
    return [
        number + (point if has == 0 < most else "") + digit * (most - has) + rest + digit * (longest - len(rest))
        if number not in ("", "–")
        else number
        for (number, rest), has in zip(parts, decimals, strict=True)
    ]
