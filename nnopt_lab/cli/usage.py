"""Help texts and errors of use of the commands, in the language in use; typer and click write them in English."""

import copy
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import typer
from typer.core import TyperCommand, TyperGroup

from nnopt_lab.workbench.language import _, translated, translated_sentences, typography

PANELS = ("Learn", "Teach", "Maintain")
OF_HELP_OPTION = "Show this message and exit."
# Errors of typer and click, for the translators.
ERRORS = (
    "No such option: {0}",
    "No such option: {0} (Possible options: {1})",
    "Did you mean {0}?",
    "No such command {0}.",
    "Missing command.",
    "Missing argument {0}.",
    "Missing option {0}.",
    "Invalid value for {0}: {1}",
    "{0} is not in the range {1}.",
    "{0} is not a valid integer.",
    "{0} is not a valid float.",
    "Input should be greater than or equal to {0}",
    "Input should be less than or equal to {0}",
    "Input should be a valid integer, unable to parse string as an integer",
    "Input should be a valid number, unable to parse string as a number",
    "Option {0} requires an argument.",
    "Option {0} does not take a value.",
    "Got unexpected extra argument ({0})",
    "Got unexpected extra arguments ({0})",
)
# Rich breaks lines at spaces only, and cuts off a Chinese sentence that is wider than its column. To it, this separator
# is a space without a width.
_BREAK = "\x1f"
_OPENING, _CLOSING = typography.OPENING + typography.SHARED_OPENING, typography.CLOSING + typography.SHARED_CLOSING
_BREAKABLE = re.compile(
    rf"(?<=[{typography.HAN}{_CLOSING}])(?=[^\s{_CLOSING}])|(?<=[^\s{_OPENING}])(?=[{typography.HAN}{_OPENING}])"
)
_UsageError = typer.BadParameter.__base__  # of click, or of typer's own copy of it


class _InWords:
    """A command whose help is shown in the language in use."""

    def format_help(self, ctx, formatter) -> None:
        """Write the help."""
        with _without_breaks():
            super(_InWords, _shown(self)).format_help(ctx, formatter)

    def get_usage(self, ctx) -> str:
        """The line of usage, which typer asks for before it writes anything else."""
        _speak()
        return super().get_usage(ctx).replace("Usage:", _("Usage:"), 1)

    def collect_usage_pieces(self, ctx) -> list[str]:
        """What follows the command's name in that line."""
        said = {"[OPTIONS]": _("[OPTIONS]"), "COMMAND [ARGS]...": _("COMMAND [ARGS]...")}
        return [said.get(piece, piece) for piece in super().collect_usage_pieces(ctx)]


class Command(_InWords, TyperCommand):
    """A command of `nnopt`."""


class Group(_InWords, TyperGroup):
    """The command `nnopt`, whose errors of use are shown in the language in use, too."""

    def make_context(self, *arguments, **options):
        """Read the options before the command's name."""
        with _errors_in_words():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx):
        """Find the command, read its options and run it."""
        with _errors_in_words():
            return super().invoke(ctx)


def _speak() -> None:
    """Give typer its words in the language in use; it asks gettext for them only once, when it is imported."""
    from typer import rich_utils  # on use, because most commands end without it

    rich_utils.DEFAULT_STRING = _("[default: {value}]", value="{}")
    rich_utils.REQUIRED_LONG_STRING = _("[required]")
    rich_utils.ARGUMENTS_PANEL_TITLE, rich_utils.OPTIONS_PANEL_TITLE = _("Arguments"), _("Options")
    rich_utils.ERRORS_PANEL_TITLE = _("Error")
    rich_utils.RICH_HELP = _("Try [blue]'{command}'[/] for help.", command="{command_path} {help_option}")


@contextmanager
def _errors_in_words() -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        english = error.format_message()
        said = translated_sentences(english)
        if said == english:
            raise
        raise _UsageError(said, ctx=error.ctx) from None


@contextmanager
def _without_breaks() -> Iterator[None]:
    page = io.StringIO()
    page.isatty = sys.stdout.isatty  # rich shows colours in a terminal only
    with redirect_stdout(page):
        yield
    sys.stdout.write(page.getvalue().replace(_BREAK, ""))


def _breakable(text: str) -> str:
    return _BREAKABLE.sub(_BREAK, text)


def _shown(command: Command | Group) -> Command | Group:
    """A copy of a command with translated texts."""
    shown = _with_translated_help(command)
    shown.get_params = lambda ctx: [_parameter(p) for p in command.get_params(ctx)]
    if isinstance(shown, Group):
        shown.commands = {name: _with_translated_help(one) for name, one in command.commands.items()}
    return shown


def _with_translated_help(command):
    shown = copy.copy(command)
    parts = (translated(" ".join(part.split())) for part in (command.help or "").split("\n\n"))
    shown.help = "\n\n".join(map(_breakable, parts))
    shown.rich_help_panel = translated(command.rich_help_panel or "")
    return shown


def _parameter(parameter):
    shown = copy.copy(parameter)
    if getattr(parameter, "help", None):
        shown.help = _breakable(translated(parameter.help))
    if getattr(parameter, "is_flag", False):
        shown.metavar = ""  # typer would write <bool>, as if a value had to follow
        if not parameter.default:
            shown.secondary_opts = []  # --no-download, which is so already, would take a third of the width
    return shown
