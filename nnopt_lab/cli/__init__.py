"""The command `nnopt`: what a learner, a teacher and a maintainer type."""

import sys

import typer

from nnopt_lab.cli import learner, maintainer, teacher
from nnopt_lab.workbench.text import printable

COMMANDS = {
    "Learn": {
        "lab": learner.lab,
        "reset": learner.reset,
        "progress": learner.progress,
        "capstone": learner.capstone,
        "optimize": learner.optimize,
    },
    "Teach": {
        "release": teacher.release,
        "grade": teacher.grade,
        "mark": teacher.mark,
    },
    "Maintain": {
        "new": maintainer.new,
        "run": maintainer.run,
        "build": maintainer.build,
        "test": maintainer.test,
        "train": maintainer.train,
        "record": maintainer.record,
        "make-data": maintainer.make_data,
    },
}
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}  # pytest reads what `nnopt test` does not know

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
for panel, commands in COMMANDS.items():
    for name, command in commands.items():
        settings = PASSED_ON if command is maintainer.test else None
        app.command(name, rich_help_panel=panel, context_settings=settings)(command)


def main() -> None:
    """Run a command; a user's mistake is answered with one sentence and status 2."""
    try:
        app()
    except (ValueError, OSError) as error:
        print(*(printable(line, 2_000) for line in str(error).splitlines()), sep="\n", file=sys.stderr)
        sys.exit(2)
