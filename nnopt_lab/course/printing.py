"""Print in a lesson's cells: what the lesson itself prints is shown in the language in use.

A cell's code is the same in every language, and `print` never reaches the library. So `lesson()` gives the notebook a
`print` of its own, which looks texts up among those that the lessons' cells print, and nowhere else: what a learner
prints stays as it is, unless it is word for word what a lesson prints.
"""

import builtins
import functools
import sys

from nnopt_lab.course.cell_output import shell
from nnopt_lab.workbench.language import ENGLISH, PRINTED, spoken_language, translated


@functools.wraps(builtins.print)
def translating_print(*values, **options) -> None:
    """As Python's `print`, but lessons' texts are translated; those for another file than the output are not."""
    if options.get("file") in (None, sys.stdout):
        values = tuple(translated(value, PRINTED) if type(value) is str else value for value in values)
    builtins.print(*values, **options)


def translate_prints() -> None:
    """Make the notebook's `print` the translating one; nothing happens in English, or if a cell has made its own."""
    if shell() is None or spoken_language() == ENGLISH:
        return
    shell().user_ns.setdefault("print", translating_print)
