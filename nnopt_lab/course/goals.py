"""The goals of a playground: tasks beside its controls, and what was found of them below its figure."""

import html
from collections.abc import Sequence

import ipywidgets as widgets

from nnopt_lab.course.cards import ACCENTS, BADGE, FONT, TINT, WIDTH
from nnopt_lab.course.static_outputs import CURRENT

_BOX, _TASKS, _FOUND = "nnopt-goals", "nnopt-tasks", "nnopt-found"
_reached: dict[str, str] = {}  # sentences by task: a goal stays ticked when its cell runs again


class NotYet(str):
    """What is said below a figure that seems to reach a goal but does not, until the next figure is drawn."""


class Goals:
    """Tasks with a mark each, and a sentence for each one that was reached.

    The sentences stand apart, below the figure: the tasks keep their height, so no control and no figure moves.

    Args:
        tasks: for the learner, one sentence each, in the language in use. A goal that was reached once stays ticked as
            long as the kernel lives; `forget_goals()` unticks all.

    Attributes:
        tasks, found: widgets, hidden while they have nothing to say.
    """

    def __init__(self, tasks: Sequence[str]):
        self._tasks = tasks
        self._not_yet: dict[str, str] = {}  # sentences by task
        self.tasks, self.found = widgets.HTML(), widgets.HTML()
        for part, name in ((self.tasks, _TASKS), (self.found, _FOUND)):
            for of in (_BOX, name, CURRENT):
                part.add_class(of)
        self._show()

    def tick(self, found: Sequence[str] = ()) -> None:
        """Show what a figure found: for each task a sentence if it is reached, else "" or a `NotYet`."""
        self._not_yet.clear()
        for task, sentence in zip(self._tasks, found, strict=True):
            if isinstance(sentence, NotYet):
                self._not_yet[task] = sentence
            elif sentence:
                _reached.setdefault(task, sentence)
        self._show()

    def _show(self) -> None:
        said = self._not_yet | _reached
        _fill(self.tasks, [_row(task, task) for task in self._tasks])
        _fill(self.found, [_row(task, said[task]) for task in self._tasks if task in said])


def _row(task: str, sentence: str) -> str:
    mark = '<b class="nnopt-reached">✔</b>' if task in _reached else "<b>☐</b>"
    return f"<div>{mark} {html.escape(sentence)}</div>"


def _fill(part: widgets.HTML, rows: list[str]) -> None:
    part.value = "".join(rows)
    part.layout.display = None if rows else "none"


def forget_goals() -> None:
    """Untick the goals of all playgrounds."""
    _reached.clear()


STYLE = (
    f".{_BOX}.{_BOX}{{box-sizing:border-box;width:100%;max-width:{WIDTH};margin:4px 0;padding:8px 14px;"
    f"height:auto;border-left:4px solid {ACCENTS['neutral']};border-radius:4px;background:{ACCENTS['neutral']}{TINT}}}"
    f".{_BOX}.{_BOX}>.widget-html-content{{{FONT}}}"
    f".{_BOX} div>div{{padding-left:1.8em;text-indent:-1.8em;margin-top:2px}}"
    f".{_BOX} b{{{BADGE}}}"
    f".{_BOX} b.nnopt-reached{{color:#fff;background:{ACCENTS['good']}}}"
)
