"""A course on smaller and faster PyTorch networks: nnopt lab opens the lessons."""

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from nnopt_lab import __version__
from nnopt_lab.cli import learner, maintainer, teacher, usage
from nnopt_lab.course.kit import kit
from nnopt_lab.requirements import installed_version
from nnopt_lab.workbench.files import in_words
from nnopt_lab.workbench.language import _, current_language, translated_sentences
from nnopt_lab.workbench.text import printable

LEARN, TEACH, MAINTAIN = usage.PANELS
COMMANDS = {
    LEARN: {
        "lab": learner.lab,
        "update": learner.update,
        "reset": learner.reset,
        "progress": learner.progress,
        "doctor": learner.doctor,
        "capstone": learner.capstone,
        "optimize": learner.optimize,
    },
    TEACH: {
        "release": teacher.release,
        "class": teacher.class_,
        "grade": teacher.grade,
        "mark": teacher.mark,
    },
    MAINTAIN: {
        "new": maintainer.new,
        "run": maintainer.run,
        "build": maintainer.build,
        "translate": maintainer.translate,
        "test": maintainer.test,
        "book": maintainer.book,
        "train": maintainer.train,
        "record": maintainer.record,
        "make-data": maintainer.make_data,
    },
}
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}  # `nnopt test` passes other options to pytest


def show_version(wanted: bool) -> None:
    """Print the versions of the course, of Python and of torch, and end."""
    if wanted:
        python, torch = sys.version.split()[0], installed_version("torch")
        print(f"nnopt-lab {__version__}, Python {python}, torch {torch or _('is missing')}")
        raise typer.Exit


app = typer.Typer(
    cls=usage.Group, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)


@app.callback(help=__doc__)
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=show_version, help="Show the versions and exit.")
    ] = False,
) -> None:
    """Give the command its options without a subcommand."""
    current_language()  # refuses a variable that names an unknown language


def offered() -> dict[str, dict[str, Callable]]:
    """The commands by panel; in a learner's kit, those for learners, without the capstone if that is not in the kit."""
    if kit() is None:
        return COMMANDS
    has_capstone = any(lesson.endswith("_capstone") for lesson in kit().lessons)
    return {LEARN: {name: call for name, call in COMMANDS[LEARN].items() if has_capstone or name != "capstone"}}


for panel, commands in offered().items():
    for name, command in commands.items():
        settings = PASSED_ON if command is maintainer.test else None
        app.command(name, cls=usage.Command, rich_help_panel=panel, context_settings=settings)(command)


def main() -> None:
    """Run a command; a user's mistake or a full disk gives one sentence and status 2."""
    # For this package jsonschema, which reading a notebook loads, takes a second to build 38 grammars of addresses.
    sys.modules.setdefault("rfc3987_syntax", None)
    try:
        try:
            app()
        finally:
            _flush()
    except BrokenPipeError:  # as in `nnopt progress | head -1`, which is not a mistake
        sys.exit(1)
    except (ValueError, OSError) as error:
        lines = map(translated_sentences, in_words(error).splitlines())
        print(*(printable(line, 2_000) for line in lines), sep="\n", file=sys.stderr)
        sys.exit(2)


def _flush() -> None:
    """Write buffered output; if that fails, drop it, because Python would try again at exit, with a traceback."""
    try:
        if sys.stdout is not None:  # it is None if a shell closed it
            sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise OSError(f"The output can't be written: {error.strerror}.") from error
