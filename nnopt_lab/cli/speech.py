"""The language of a command: that of its option, else of the variable, the kit or the system."""

from typing import Annotated

import typer

from nnopt_lab.workbench.language import current_language, set_language

Language = Annotated[
    str | None,
    typer.Option(metavar="CODE", help="Such as zh or en."),
]


def speak(language: str | None) -> str:
    """Speak the language of the option from now on, and return the one in use.

    Raises:
        ValueError: the course does not speak the language of the option or of the variable.
    """
    if language is not None:
        set_language(language)
    return current_language()
