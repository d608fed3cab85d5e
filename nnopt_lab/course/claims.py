"""Claims: statements of a lesson, each marked by whether the lesson's own measurements confirm it.

A cell shows its first three claims and every false one. The others are folded into one line, so that a long list of
confirmations does not hide a surprising one.
"""

import html
from dataclasses import dataclass

from nnopt_lab.course import record, session
from nnopt_lab.course.cards import ACCENTS, FONT
from nnopt_lab.course.cell_output import shell

SHOWN_IN_A_CELL = 3
_MARKS = {True: "✔", False: "✘", None: "○"}  # None: does not apply here
_COLORS = {True: ACCENTS["good"], False: ACCENTS["bad"], None: ACCENTS["quiet"]}
_BUSY = (
    "This compares measured times, which another program may have disturbed. Close other programs, then run the "
    "measuring cell and this cell again."
)
_in_cell: list["Statement"] = []  # the current notebook cell's claims so far


def claim(text: str, condition, where: tuple[bool, str] | None = None, timing: bool = False) -> None:
    """Show a statement with ✔ (true), ✘ (false) or ○ (does not apply here), and record it. A ✘ fails a build.

    Args:
        text: a whole sentence.
        condition: a truth value, or a function without arguments that returns one and is called only if the claim
            applies.
        where: the machines to which the claim applies: `needs("AMX")`, or a pair (whether it applies here, the reason
            why not), such as `(engine is not None, "this engine is not installed")`. Default all machines.
        timing: whether the condition compares measured times. A ✘ then adds that the machine may be busy.

    Raises:
        ValueError: the text is empty, or `where` is not such a pair.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"text={text!r} must be a sentence.")
    applies, reason = _checked(where)
    holds = bool(condition() if callable(condition) else condition) if applies else None
    with record.change() as contents:
        contents["claims"].setdefault(session.current_lesson(), {})[text] = holds
    text = text if applies else f"{text} (does not apply here: {reason})"
    statement = Statement(text, holds, _BUSY if timing and holds is False else "")
    if not _in_a_notebook():
        print(statement)
        return
    if not _in_cell:
        shell().events.register("post_run_cell", _end_cell)
    _in_cell.append(Statement(text, holds))
    if len(_in_cell) <= SHOWN_IN_A_CELL or holds is False:
        _display(statement)


@dataclass(frozen=True)
class Statement:
    """A claim as it is shown: prose that wraps between words, which printed text in a notebook does not."""

    text: str
    holds: bool | None
    note: str = ""

    def __repr__(self) -> str:
        return f"{_MARKS[self.holds]} {self.text}" + (f"\n  {self.note}" if self.note else "")

    def _repr_html_(self) -> str:
        return f'<div style="margin:0;{FONT}">{self.html}</div>'

    @property
    def html(self) -> str:
        """The line without its frame; the text's further lines begin below its first."""
        note = f"<br>{html.escape(self.note)}" if self.note else ""
        return (
            f'<div style="padding-left:1.5em;text-indent:-1.5em"><strong style="display:inline-block;width:1.2em;'
            f'text-indent:0;color:{_COLORS[self.holds]}">{_MARKS[self.holds]}</strong> '
            f"{html.escape(self.text)}{note}</div>"
        )


@dataclass(frozen=True)
class Further:
    """The claims of a cell after the third, as one line that expands."""

    claims: tuple[Statement, ...]

    @property
    def summary(self) -> str:
        """How many of them are true, and how many do not apply to this machine."""
        held, elsewhere = (sum(claim.holds is state for claim in self.claims) for state in (True, None))
        count = len(self.claims) - elsewhere
        parts = [f"{held} of {count} further claim{'s are' if count > 1 else ' is'} true"] if count else []
        if elsewhere:
            which = "" if count else f" further claim{'s' if elsewhere > 1 else ''}"
            parts.append(f"{elsewhere}{which} {'do' if elsewhere > 1 else 'does'} not apply here")
        return f"{_MARKS[held == count if count else None]} {'; '.join(parts)}"

    def __repr__(self) -> str:
        return "\n".join([self.summary, *(f"  {claim}" for claim in self.claims)])

    def _repr_html_(self) -> str:
        lines = "".join(claim.html for claim in self.claims)
        return (
            f'<details style="margin:0;{FONT}"><summary style="cursor:pointer">{html.escape(self.summary)}</summary>'
            f'<div style="padding-left:1.5em">{lines}</div></details>'
        )


def _checked(where) -> tuple[bool, str]:
    if where is None:
        return True, ""
    if not isinstance(where, tuple) or len(where) != 2 or not isinstance(where[1], str):
        raise ValueError(f"where={where!r} must be a pair: whether the claim applies here, and the reason why not.")
    return bool(where[0]), where[1]


def _display(output) -> None:
    from IPython.display import display

    display(output)


def _end_cell(*_) -> None:
    shell().events.unregister("post_run_cell", _end_cell)
    further = tuple(_in_cell[SHOWN_IN_A_CELL:])
    _in_cell.clear()
    if further:
        _display(Further(further))


def _in_a_notebook() -> bool:
    return shell() is not None
