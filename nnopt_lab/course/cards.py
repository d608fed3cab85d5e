"""Cards, the course's feedback to a learner: HTML in a notebook, plain text elsewhere."""

import html
import json
import re
from dataclasses import dataclass
from itertools import groupby

from nnopt_lab.course.card_tables import cells_of, html_table, text_table
from nnopt_lab.workbench.language import _
from nnopt_lab.workbench.language.typography import HAN, has_ideographs, unbroken

# One accent per mood: white text on it has a contrast of at least 4.5, and it has one of 3 on a light or dark page.
ACCENTS = {"good": "#00805d", "bad": "#c04c00", "neutral": "#0072b2", "guess": "#a8508a", "quiet": "#6e6e6e"}
_MARKS = {"good": "✔", "bad": "✘", "neutral": "▸", "guess": "≈", "quiet": "○"}
TINT = "14"  # opacity of the accent in the background, in hexadecimal
BADGE = (  # shape of a mark's box
    "display:inline-block;width:1.4em;margin-right:.1em;text-indent:0;text-align:center;border-radius:4px;"
    "line-height:1.3"
)
_MARKED = re.compile(  # a value behind a mark of `differences`: a string, a complex number, or one without a space
    r"[✗✓](?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\([^()]*\)|[^\s,\[\]()]+)"
)
_UNIT = re.compile(r"\w+ = [^\s,]+|[^\s,]*[-/?][^\s,]*")  # such as k = 3 or 8e-05, inside which a line would end
_UNBROKEN = 40  # characters of one, at most
_SIGN = "display:inline-block;width:1.25ch;font-size:80%;text-align:center;opacity:.75"
WHOLE = "white-space:nowrap"  # style of what no line ends inside
_SHORT, _SHORT_COPYABLE = 90, 75  # characters of a block that stands beside its label, and of one with a button
_ROWS = "display:grid;grid-template-columns:fit-content(14em) minmax(0,1fr);gap:4px 1.5em;align-items:baseline"
_GREY = "rgba(127,127,127,.14)"
_WORDS = "word-break:normal;overflow-wrap:anywhere;"  # JupyterLab breaks a line of code anywhere, even inside a name

WIDTH = "780px"  # at most, of cards, claims and forms, as of prose and code

FONT = (  # the same inside a widget as outside
    "line-height:1.45;font-family:var(--jp-content-font-family,inherit);font-size:var(--jp-content-font-size1,inherit)"
)

# Only around whole words, because a product such as a * b, or 2**n, is not emphasis. Chinese words touch each other.
_LETTER = rf"[^\W{HAN}]"
EMPHASIS = re.compile(rf"(?<!{_LETTER})(?<!\*)\*(\w[\w ]*)(?<! )\*(?!\*|{_LETTER})")

Line = str | tuple[str, str]
COPIES, COPY = "nnopt-copies", "nnopt-lab:copy"  # the button's class and command, for the extension
RENEWS, RENEW = "nnopt-renews", "nnopt-lab:run-below"
WITHOUT_BUTTONS = "nnopt-without-buttons"  # class of what the course's extension of JupyterLab hides


class ButtonlessLine(str):
    """A paragraph of a card that only helps where the course's extension of JupyterLab shows no buttons."""


class Copyable(str):
    """Code of a block, beside which the course's extension of JupyterLab shows a button that copies it."""


class Renewing(str):
    """A paragraph that says which results below are old; JupyterLab's extension adds a button that runs their cells.

    Attributes:
        name: of the function that they were not computed with.
    """

    def __new__(cls, text: str, name: str):
        made = super().__new__(cls, text)
        made.name = name
        return made


@dataclass(frozen=True)
class Card:
    """A title and lines of text; shown when it is the last expression of a notebook cell.

    Colours of text are inherited, so cards fit the light and dark themes of any notebook. A page that strips styles,
    such as GitHub, still shows the mark, a bold title and the lines.

    Attributes:
        title: one short line.
        mood: "good", "bad", "neutral", "guess" or "quiet".
        lines: paragraphs; a (label, text) pair is shown as a labelled block of code, or as a table if
            its lines are rows with tabs between the cells, of which the first has the columns' names.
            A `Copyable` text has a button that copies it.
        folds: (summary, line) pairs, each behind a triangle to click on; in HTML only.
        picture: HTML below the title; the lines, or `in_words`, say the same in words.
        in_words: paragraphs that say what the picture shows, where no HTML is shown.
    """

    title: str
    mood: str = "neutral"
    lines: tuple[Line, ...] = ()
    folds: tuple[tuple[str, Line], ...] = ()
    picture: str = ""
    in_words: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = (*self.in_words, *self.lines)
        body = [f"  {line}" if isinstance(line, str) else _plain_block(*line) for line in lines]
        return "\n".join([f"{_MARKS[self.mood]} {self.title}", *body])

    def _ipython_display_(self) -> None:
        """Show it without an execution number, as a card with a button, so that a verdict's place never changes."""
        from IPython.display import display

        display(self.forms(), raw=True)

    def forms(self) -> dict[str, str]:
        """The card as text and in HTML, by MIME type."""
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def _repr_html_(self) -> str:
        accent = ACCENTS[self.mood]
        return (
            f'<div role="note" class="nnopt-card nnopt-{self.mood}" aria-label="{html.escape(_kind(self.mood))}" '
            f'style="border-left:4px solid {accent};'
            f"border-radius:4px;background:{accent}{TINT};padding:8px 14px;margin:4px 0;"
            f'box-sizing:border-box;max-width:{WIDTH};{FONT}">'
            f'<div><span aria-hidden="true" style="display:inline-block;min-width:1.5em;margin-right:.4em;'
            f'border-radius:4px;text-align:center;color:#fff;background:{accent}">{_MARKS[self.mood]}</span> '
            f"<strong>{inline(self.title)}</strong></div>"
            f"{self.picture}{_body(self.lines)}{''.join(fold(*item) for item in self.folds)}</div>"
        )


def without_buttons() -> ButtonlessLine:
    """The paragraph that says how to check an answer without the button *Check*."""
    return ButtonlessLine(_("Without buttons, run both cells again."))


def badge(mood: str) -> str:
    """A mood's mark in a box of its colour, before a line of text whose further lines hang below its first."""
    return f'<strong style="{BADGE};color:#fff;background:{ACCENTS[mood]}">{_MARKS[mood]}</strong> '


def _kind(mood: str) -> str:
    known = {"good": _("passed"), "bad": _("not right yet"), "guess": _("guess"), "quiet": _("open")}
    return known.get(mood) or _("note")


def fold(summary: str, line: Line, is_open: bool = False) -> str:
    """A line of a card in HTML, folded under its summary."""
    opened = " open" if is_open else ""
    return (
        f'<details style="margin-top:6px"{opened}><summary style="cursor:pointer">{inline(summary)}</summary>'
        f"{_body((line,))}</details>"
    )


def inline(text: str) -> str:
    """Escape text for HTML, and format `code` and *emphasis*; no line ends inside a term or before a unit."""
    parts = html.escape(text).split("`")
    if len(parts) % 2 == 0:
        return html.escape(text)
    return "".join(f"<code>{part}</code>" if i % 2 else _emphasised(part) for i, part in enumerate(parts))


def _emphasised(text: str) -> str:
    tag = "strong" if has_ideographs(text) else "em"  # Chinese fonts have no italics
    return EMPHASIS.sub(rf"<{tag}>\1</{tag}>", unbroken(text))


def _body(lines: tuple[Line, ...]) -> str:
    """The lines in HTML; the labels of neighbouring short blocks are one column, as wide as the widest."""
    parts = []
    for are_rows, group in groupby(lines, _is_row):
        text = "".join(map(_row if are_rows else _line, group))
        parts.append(f'<div style="margin-top:4px;{_ROWS}">{text}</div>' if are_rows else text)
    return "".join(parts)


def _is_row(line: Line) -> bool:
    """Whether a block is so short that it stands beside its label."""
    if isinstance(line, str):
        return False
    label, text = line
    most = _SHORT_COPYABLE if isinstance(text, Copyable) else _SHORT
    return bool(label) and "\n" not in text and len(text) < most


def _row(line: tuple[str, str]) -> str:
    label, text = line
    # A page without styles still has a line for each row.
    return (
        f'<div style="display:contents"><span>{inline(label)}</span> <span><code style="{_WORDS}white-space:pre-wrap;'
        f'background:{_GREY};color:inherit">{_code(text)}</code>{_copier(text)}</span></div>'
    )


def _line(line: Line) -> str:
    return _paragraph(line) if isinstance(line, str) else _block(*line)


def _paragraph(text: str) -> str:
    kind = button = ""
    if isinstance(text, ButtonlessLine):
        kind = f' class="{WITHOUT_BUTTONS}"'
    elif isinstance(text, Renewing):
        kind, button = f' class="{RENEWS}"', _button(_("Run the cells below"), "", RENEW, {"name": text.name})
    return f'<div{kind} style="margin-top:4px">{inline(text)}{button}</div>'


def _block(label: str, text: str) -> str:
    if cells := cells_of(text):
        return f'<div style="margin-top:6px">{inline(label)}</div>{html_table(*cells)}'
    button = _copier(text)
    caption = f'<div style="margin-top:6px">{inline(label)}{button}</div>' if label or button else ""
    return (
        f'{caption}<pre style="margin:2px 0 0;padding:4px 8px;border-radius:3px;background:{_GREY};color:inherit;'
        f'{_WORDS}white-space:pre-wrap">{_code(text)}</pre>'
    )


def _copier(text: str) -> str:
    return _button(_("Copy"), COPIES, COPY, {"text": text}) if isinstance(text, Copyable) else ""


def _button(text: str, kind: str, command: str, given: dict[str, str]) -> str:
    """Hidden where nothing would follow its command."""
    kinds = f' class="{kind}"' if kind else ""
    return (
        f'<button type="button"{kinds} data-commandlinker-command="{command}" '
        f'data-commandlinker-args="{html.escape(json.dumps(given))}" style="display:none">{html.escape(text)}</button>'
    )


def _code(text: str) -> str:
    """Escape code for HTML; values that differ have a coloured background besides their ✗ or ✓."""
    parts, at = [], 0
    for found in _MARKED.finditer(text):
        parts += [_unbroken(text[at : found.start()]), _marked(found[0])]
        at = found.end()
    return "".join(parts) + _unbroken(text[at:])


def _marked(value: str) -> str:
    """A value behind its sign, which is as wide as a character of code whatever its font."""
    accent = ACCENTS["bad" if value[0] == "✗" else "good"]
    wrap = f";{WHOLE}" if len(value) <= _UNBROKEN else ""
    sign = (
        f'<span role="img" aria-label="{html.escape(_("differs:"))}" style="{_SIGN}">{value[0]}</span>'
        f"{html.escape(value[1:])}"
    )
    return f'<mark style="color:inherit;border-radius:2px;background:{accent}55{wrap}">{sign}</mark>'


def _unbroken(text: str) -> str:
    parts, at = [], 0
    for found in _UNIT.finditer(text):
        if len(found[0]) <= _UNBROKEN:
            parts += [html.escape(text[at : found.start()]), f'<span style="{WHOLE}">{html.escape(found[0])}</span>']
            at = found.end()
    return "".join(parts) + html.escape(text[at:])


def _plain_block(label: str, text: str) -> str:
    cells, label = cells_of(text), label.rstrip(".。")
    if not cells and label and "\n" not in text and len(text) < _SHORT:
        return f"  {label}: {text}"
    lines = text_table(cells) if cells else text.splitlines()
    return f"  {label}:\n" + "\n".join(f"    {line}" for line in lines)
