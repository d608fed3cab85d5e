"""Claims: statements of a lesson, each marked by whether the lesson's own measurements confirm it.

A cell shows its first three claims and every false one. The others are folded into one line, so that a long list of
confirmations does not hide a surprising one.
"""

import html
from dataclasses import dataclass

from nnopt_lab.course import record, session
from nnopt_lab.course.cell_output import shell

SHOWN_IN_A_CELL = 3
_MARKS = {True: "✔", False: "✘", None: "○"}  # None: does not apply here
_BUSY = (
    "  This compares measured times, which another program may have disturbed. Close other programs, then run the "
    "measuring cell and this cell again."
)
_in_cell: list[tuple[str, bool | None]] = []  # the current notebook cell's claims so far


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
    line = _line(text if applies else f"{text} (does not apply here: {reason})", holds)
    if _in_a_notebook():
        if not _in_cell:
            shell().events.register("post_run_cell", _end_cell)
        _in_cell.append((line, holds))
        if len(_in_cell) > SHOWN_IN_A_CELL and holds is not False:
            return
    print(line + (f"\n{_BUSY}" if timing and holds is False else ""))


@dataclass(frozen=True)
class Further:
    """The claims of a cell after the third, as one line that expands."""

    claims: tuple[tuple[str, bool | None], ...]

    @property
    def summary(self) -> str:
        """How many of them are true, and how many do not apply to this machine."""
        held, elsewhere = (sum(holds is state for _, holds in self.claims) for state in (True, None))
        count = len(self.claims) - elsewhere
        parts = [f"{held} of {count} further claim{'s are' if count > 1 else ' is'} true"] if count else []
        if elsewhere:
            which = "" if count else f" further claim{'s' if elsewhere > 1 else ''}"
            parts.append(f"{elsewhere}{which} {'do' if elsewhere > 1 else 'does'} not apply here")
        return f"{_MARKS[held == count if count else None]} {'; '.join(parts)}"

    def __repr__(self) -> str:
        return "\n".join([self.summary, *(f"  {line}" for line, _ in self.claims)])

    def _repr_html_(self) -> str:
        lines = "".join(f"<div>{html.escape(line)}</div>" for line, _ in self.claims)
        return (
            '<details style="font-family:var(--jp-code-font-family,monospace);font-size:var(--jp-code-font-size,13px)">'
            f'<summary style="cursor:pointer">{html.escape(self.summary)}</summary>'
            f'<div style="padding-left:1.5em">{lines}</div></details>'
        )


def _checked(where) -> tuple[bool, str]:
    if where is None:
        return True, ""
    if not isinstance(where, tuple) or len(where) != 2 or not isinstance(where[1], str):
        raise ValueError(f"where={where!r} must be a pair: whether the claim applies here, and the reason why not.")
    return bool(where[0]), where[1]


def _line(text: str, holds: bool | None) -> str:
    return f"{_MARKS[holds]} {text}"


def _end_cell(*_) -> None:
    from IPython.display import display

    shell().events.unregister("post_run_cell", _end_cell)
    further = tuple(_in_cell[SHOWN_IN_A_CELL:])
    _in_cell.clear()
    if further:
        display(Further(further))


def _in_a_notebook() -> bool:
    return shell() is not None
