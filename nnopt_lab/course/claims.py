"""Claims: statements of a lesson, each marked by whether the lesson's own measurements confirm it.

A cell shows its first three claims and every false one. The others are folded into one line, so that a long list of
confirmations does not hide a surprising one.

Claims that compare measured times are marked as timed and counted apart, because they can also fail if another program
disturbs the measurement (see `timing_claims`). The mark is a word, because no font is sure to have a sign for it. Their
outputs have the same number and order whatever their states, so that the other claims of a cell can be compared with
those of the stored notebook.
"""

import html
import re
import sys
from dataclasses import dataclass

from nnopt_lab.course import disturbances, other_kernels, record, session, timing_claims
from nnopt_lab.course.cards import FONT, WIDTH, badge, inline
from nnopt_lab.course.cell_output import shell
from nnopt_lab.course.timing_claims import NOT_JUDGED
from nnopt_lab.workbench import smoke
from nnopt_lab.workbench.language import _, counted, translated

SHOWN_IN_A_CELL = 3
_MARKS = {True: "✔", False: "✘", None: "○", NOT_JUDGED: "○"}  # None: does not apply here
_MOODS = {"✔": "good", "✘": "bad", "○": "quiet"}
_CLASS = ' class="nnopt-timing"'  # by which the tests recognise what they don't compare
_in_cell: list["Statement"] = []  # the current notebook cell's claims so far


def claim(text: str, condition, where: tuple[bool, str] | None = None, timing: bool = False) -> None:
    """Show a statement with ✔ (true), ✘ (false) or ○ (does not apply here, or not judged), and record it.

    A ✘ fails a build.

    Args:
        text: a whole sentence.
        condition: a truth value, or a function without arguments that returns one and is called only if the claim
            applies.
        where: the machines to which the claim applies: `needs("AMX")`, or a pair (whether it applies here, the reason
            why not), such as `(engine is not None, "this engine is not installed")`. Default all machines.
        timing: whether the condition compares measured times. Such a claim is not judged on a busy machine; if it is
            false, the statements that measured its times run again once.

    Raises:
        ValueError: the text is empty, or `where` is not such a pair.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"text={text!r} must be a sentence.")
    applies, reason = _checked(where)
    found = timing_claims.judge(condition, sys._getframe(1), text, timing) if applies else None
    holds, again = (found.holds, found.again) if found else (None, False)
    with record.change() as contents:
        for section in ("claims", "timing_claims"):
            contents[section].get(session.current_lesson(), {}).pop(text, None)
        contents["timing_claims" if timing else "claims"].setdefault(session.current_lesson(), {})[text] = holds
    shown = _with_reason(translated(text), holds, reason, again)
    note = " ".join(filter(None, (found.measured if found else "", _note(holds, timing, again))))
    _show(Statement(shown, holds, note, bool(timing)))


@dataclass(frozen=True)
class Statement:
    """A claim as it is shown: prose that wraps between words, which printed text in a notebook does not."""

    text: str
    holds: bool | str | None
    note: str = ""
    timing: bool = False

    def __repr__(self) -> str:
        sign = f"[{_('timed')}] " if self.timing else ""
        return f"{_MARKS[self.holds]} {sign}{self.text}" + (f"\n    {self.note}" if self.note else "")

    def _repr_html_(self) -> str:
        return f'<div style="margin:0 0 4px;max-width:{WIDTH};{FONT}">{self.html}</div>'

    @property
    def html(self) -> str:
        """The line without its frame; the text's further lines begin below its first."""
        note = f"<br>{inline(self.note)}" if self.note else ""
        if note and self.holds == NOT_JUDGED:
            note += other_kernels.offer()
        sign = f"{_timed()} " if self.timing else ""
        return (
            f'<div{_CLASS if self.timing else ""} style="padding-left:1.8em;text-indent:-1.8em;margin-top:2px">'
            f"{badge(_MOODS[_MARKS[self.holds]])}{sign}{inline(self.text)}{note}</div>"
        )


@dataclass(frozen=True)
class Further:
    """The claims of a cell after the third, as one line that expands; above it, those on times that are false.

    The other false ones are not among them: each has been shown already.
    """

    claims: tuple[Statement, ...]

    @property
    def summary(self) -> str:
        """How many of them are true, do not apply to this machine, and are not judged; those on times apart."""
        exact, timed = (tuple(c for c in self.claims if c.timing is timing) for timing in (False, True))
        return " · ".join(filter(None, (_summary(exact, False), _summary(timed, True))))

    def __repr__(self) -> str:
        return "\n".join(filter(None, [self.summary, *(f"  {claim}" for claim in self.claims)]))

    def _repr_html_(self) -> str:
        above, folded = ("".join(claim.html for claim in claims) for claims in self._parted())
        fold = (
            f'<details><summary style="cursor:pointer">{_with_badges(self.summary)}</summary>'
            f'<div style="padding-left:1.5em">{folded}</div></details>'
        )
        return f'<div style="margin:2px 0 8px;max-width:{WIDTH};{FONT}">{above}{fold if folded else ""}</div>'

    def _parted(self) -> tuple[list[Statement], list[Statement]]:
        return [c for c in self.claims if c.holds is False], [c for c in self.claims if c.holds is not False]


def _summary(claims: tuple[Statement, ...], timing: bool) -> str:
    held, elsewhere, busy = (sum(claim.holds == state for claim in claims) for state in (True, None, NOT_JUDGED))
    parts = []
    if held:
        which = {"claims": _noun(held, timing)}
        parts.append(counted(held, "{count} {claims} is true", "{count} {claims} are true", **which))
    if elsewhere and parts:
        parts.append(counted(elsewhere, "{count} does not apply here", "{count} do not apply here"))
    elif elsewhere:
        which = {"claims": _noun(elsewhere, timing)}
        parts.append(
            counted(elsewhere, "{count} {claims} does not apply here", "{count} {claims} do not apply here", **which)
        )
    if busy and parts:
        parts.append(_("{count} not judged: busy", count=busy))
    elif busy:
        parts.append(_("{count} {claims} not judged: busy", count=busy, claims=_noun(busy, timing)))
    return f"{_MARKS[True if held else None]} {_('; ').join(parts)}" if parts else ""


def _with_badges(summary: str) -> str:
    return re.sub("([✔✘○]) ", lambda mark: badge(_MOODS[mark[1]]), inline(summary))


def _timed() -> str:
    style = "border:1px solid;border-radius:4px;padding:0 .35em;font-size:80%;text-indent:0"
    title = html.escape(_("compares measured times"))
    return f'<span title="{title}" style="{style}">{html.escape(_("timed"))}</span>'


def _noun(count: int, timing: bool) -> str:
    if timing:
        return counted(count, "further timing claim", "further timing claims")
    return counted(count, "further claim", "further claims")


def _with_reason(text: str, holds, reason: str, again: bool) -> str:
    if holds is None:
        return _("{claim} (does not apply here: {reason})", claim=text, reason=translated(reason))
    if holds == NOT_JUDGED:
        return _("{claim} (not judged: busy)", claim=text)
    return _("{claim} (measured twice)", claim=text) if holds and again else text


def _note(holds, timing: bool, again: bool) -> str:
    if holds == NOT_JUDGED:
        return "" if any(claim.holds == NOT_JUDGED for claim in _in_cell) else disturbances.busy()
    if holds is not False:
        return ""
    if timing:
        return _twice() if again else disturbances.may_be_disturbed()
    return "" if any(claim.holds is False and not claim.timing for claim in _in_cell) else _what_now()


def _what_now() -> str:
    if smoke.on():
        return disturbances.short_run()
    return _(
        "Run this lesson's cells above again, in order. If it is false again, your changes or your processor, which "
        "rounds differently, may be the reason."
    )


def _twice() -> str:
    return _("Its times were measured a second time, on a machine that was not busy, and it is false again.")


def _show(statement: Statement) -> None:
    if not _in_a_notebook():
        print(statement)
        return
    if not _in_cell:
        shell().events.register("post_run_cell", _end_cell)
    _in_cell.append(statement)
    # One on times is shown by its place alone, so that a cell has as many outputs whatever its state.
    if len(_in_cell) <= SHOWN_IN_A_CELL or _stands_alone(statement):
        _display(statement)


def _stands_alone(statement: Statement) -> bool:
    return statement.holds is False and not statement.timing


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
    further = tuple(c for c in _in_cell[SHOWN_IN_A_CELL:] if not _stands_alone(c))
    _in_cell.clear()
    timing_claims.end_cell()
    if further:
        _display(Further(further))


def _in_a_notebook() -> bool:
    return shell() is not None
