"""Print in a lesson's cells: what the lesson itself prints is shown in the language in use.

A cell's code is the same in every language, and `print` never reaches the library. So `lesson()` gives the notebook a
`print` of its own, which looks texts up among those that the lessons' cells print, and nowhere else: what a learner
prints stays as it is, unless it is word for word what a lesson prints, or a measured interval. Values of the library,
such as a ratio of times, are shown in the language in use, too.
"""

import builtins
import functools
import re
import sys

from nnopt_lab.course.cell_output import shell
from nnopt_lab.workbench.language import ENGLISH, PRINTED, continued, spoken_language, translated
from nnopt_lab.workbench.paths import PACKAGE

# What a lesson prints of a measurement, such as print(f"    {ratio}"), has no words of the lesson's own.
_INTERVAL = re.compile(r"[^()\n]*\((?:ratio \S+, )?[\d.]+ % interval \S+ to \S+\)")


@functools.wraps(builtins.print)
def translating_print(*values, **options) -> None:
    """As Python's `print`, but lessons' texts are translated; those for another file than the output are not."""
    if options.get("file") in (None, sys.stdout):
        said = [_said(value) for value in values]
        if options.get("sep") in (None, " "):
            said = [_joined(values, said)]
        values = said
    builtins.print(*values, **options)


def _joined(values: tuple, said: list) -> str:
    """What is said of some values, without the space after a lesson's text that ends with a full-width mark."""
    text, is_learners = "", False
    for value, shown in zip(values, said, strict=True):
        text = f"{text} {shown}" if is_learners else continued(text, str(shown))
        is_learners = shown is value
    return text


def _said(value):
    if type(value).__module__.partition(".")[0] == PACKAGE.name:  # the library's, such as a ratio or a message
        return translated(value if isinstance(value, str) else str(value))
    if type(value) is not str:
        return value
    found = translated(value, PRINTED)
    is_interval = found == value and _INTERVAL.fullmatch(value.strip())
    return translated(value) if is_interval else found


def translate_prints() -> None:
    """Make the notebook's `print` the translating one; nothing happens in English, or if a cell has made its own."""
    if shell() is None or spoken_language() == ENGLISH:
        return
    shell().user_ns.setdefault("print", translating_print)
    shell().display_formatter.formatters["text/plain"].for_type(str, _show_text)


def _show_text(text: str, printer, cycle: bool) -> None:
    """Show a cell's value that is a text of a lesson, as `translating_print` prints one."""
    printer.text(repr(translated(text, PRINTED)))
