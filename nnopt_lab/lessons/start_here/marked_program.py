"""The program of the bug hunt in HTML, with marks at its lines and what is wrong in those that were found."""

import html

from nnopt_lab.course.cards import ACCENTS, TINT, badge, inline
from nnopt_lab.lessons.start_here.buggy_program import BUGS, NUMBERS, code
from nnopt_lab.workbench.language import _, counted, spoken

_ROW = "padding:1px 4px"
_NOTE = "padding:0 0 2px 4em;text-wrap:wrap"  # below the code's first letter, in every line


def found(marked: set[int]) -> dict[int, int]:
    """The bugs that have a marked line: from their number to the line at which they are explained."""
    at = {number: next((line for line in bug.lines if line in marked), 0) for number, bug in BUGS.items()}
    return {number: line for number, line in at.items() if line}


def marked_program(marked: set[int]) -> str:
    """The program in HTML.

    Args:
        marked: numbers of lines.
    """
    rows = "".join(_row(line, *_said(line, marked)) for line in NUMBERS)
    return f'<div style="margin:8px 0;overflow-x:auto">{rows}</div>'


def _said(line: int, marked: set[int]) -> tuple[str, str]:
    """A line's mood, "" for none, and the note below it."""
    here = [number for number, bug in BUGS.items() if line in bug.lines]
    if line not in marked:
        missed = [n for n in here if BUGS[n].lines[0] == line and n not in found(marked)]
        told = counted(len(missed), "Not found: bug {bugs}.", "Not found: bugs {bugs}.", bugs=_listed(missed))
        return ("quiet", told) if missed else ("", "")
    if not here:
        return "bad", _("There is no bug in this line.")
    explained = [n for n in here if found(marked)[n] == line]
    told = [_("Bug {number}: {sentence}", number=n, sentence=spoken(BUGS[n].sentence)) for n in explained]
    if len(told) > 1:
        told.insert(0, _("This line has {count} bugs.", count=len(told)))
    return "good", " ".join(told) or counted(len(here), "Bug {bugs}, too.", "Bugs {bugs}, too.", bugs=_listed(here))


def _listed(bugs: list[int]) -> str:
    return _(", ").join(map(str, bugs))


def _row(line: int, mood: str, text: str) -> str:
    tint = f";background:{ACCENTS[mood]}{TINT}" if mood else ""
    mark = badge(mood) if mood else '<span style="display:inline-block;width:1.5em"></span> '
    style = "padding:0;white-space:pre;background:none;color:inherit;font-size:90%"
    written = f'<code style="{style}">{line:2}  {html.escape(code(line))}</code>'
    below = f'<div style="{_NOTE}">{inline(text)}</div>' if text else ""
    return f'<div style="{_ROW}{tint}"><span style="white-space:nowrap">{mark}{written}</span>{below}</div>'
