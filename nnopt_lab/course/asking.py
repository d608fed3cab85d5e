"""How a notebook asks a question: its text as prose above the answer's cell, and what a press of a button writes there.

The answer is always in the cell's code, which graders read and which `nnopt update` keeps. The course's extension of
JupyterLab shows buttons, or a box for a number, under a cell with `asks` in its metadata; a press writes the answer
into the code and runs the cell. Under a cell that only asks for a guess, with `guesses` in its metadata, it shows a
button that runs the cell. The code of both would only repeat the prose above, so it is shown on request. Under the cell
of an exercise, with `checks` in its metadata, it shows a button that runs the cell and its check.
"""

import re

from nnopt_lab.course.cards import EMPHASIS
from nnopt_lab.course.exercises import Question
from nnopt_lab.workbench.language import _, continued, counted, translated

ASKS, CHECKS, GUESSES = "asks", "checks", "guesses"  # keys of a cell's metadata
_CODE = re.compile(r"(`[^`]+`)")
_SPECIAL = re.compile(r"[\\`*_$<\[\]#~|&]")


def prose(question: Question) -> str:
    """The question with its points and choices, in Markdown, in the language in use."""
    title = counted(question.points, "**Question ({count} point).**", "**Question ({count} points).**")
    choices = "".join(f"\n- **{letter})** {_escaped(translated(text))}" for letter, text in question.choices.items())
    return continued(title, _escaped(translated(question.text))) + (f"\n{choices}" if choices else "")


def asks(question: Question) -> dict:
    """What JupyterLab shows to answer a question, for its cell's metadata: the letters, and words in the language.

    `choices` is empty for a number.
    """
    words = {"label": _("Your answer"), "button": _("Answer"), "refused": _("The answer must be a number.")}
    return {"choices": list(question.choices), **words, "placeholder": _("a number"), **_code()}


def guesses(names: list[str]) -> dict:
    """What JupyterLab shows under a cell that only asks for guesses, for its metadata: words in the language.

    Args:
        names: of the predictions.
    """
    asked = " ".join(_("Predict: {name}?", name=translated(name)) for name in names)
    return {"label": asked, "button": _("Make your guess"), **_code()}


def checks() -> dict:
    """What JupyterLab shows under the cell of an exercise, for the cell's metadata: words in the language."""
    words = {"button": _("Check"), "tip": _("Run this cell and its check")}
    return words | {"running": _("Running…"), "stop": _("Still running – stop")}


def _code() -> dict:
    return {"code": _("Code"), "tip": _("Show or hide the code of this cell")}


def _escaped(text: str) -> str:
    """The text with Markdown's signs escaped, except those of code and emphasis, which cards know, too."""
    return "".join(part if n % 2 else _prose_escaped(part) for n, part in enumerate(_CODE.split(text)))


def _prose_escaped(text: str) -> str:
    parts = EMPHASIS.split(text)
    return "".join(f"*{part}*" if n % 2 else _SPECIAL.sub(r"\\\g<0>", part) for n, part in enumerate(parts))
