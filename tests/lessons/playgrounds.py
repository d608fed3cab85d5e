"""What a playground shows, for the tests of the lessons' playgrounds."""

import html
import re

from ipywidgets import Widget
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch

from nnopt_lab.course.playground import Playground


def controls(playground: Playground) -> dict[str, Widget]:
    """The controls by their descriptions."""
    return {control.description: control for control in playground.children[0].children}


def shown(playground: Playground, **values) -> tuple[str, list[Axes]]:
    """The text and the figure's axes, after the controls with these descriptions ("_" for " ") were moved."""
    for name, value in values.items():
        controls(playground)[name.replace("_", " ")].value = value
    text = re.sub("</?(span|i)>", "", playground.children[2].value)
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{WORD JOINER}", ""), playground.figure.axes


def goals(playground: Playground) -> list[tuple[bool, str]]:
    """Whether each goal is ticked, and what was found, or else its sentence.

    A goal that was ticked once stays so in this test; `forget_goals()` takes all ticks away.
    """
    tasks, found = (
        re.findall("<div><b[^>]*>(.)</b> (.*?)</div>", playground.children[place].value) for place in (1, -1)
    )
    reached = iter([html.unescape(sentence) for mark, sentence in found if mark == "✔"])
    return [(mark == "✔", next(reached) if mark == "✔" else html.unescape(task)) for mark, task in tasks]


def ticks(playground: Playground) -> list[bool]:
    """Which of the goals are ticked."""
    return [ticked for ticked, _ in goals(playground)]


def line(ax: Axes, label: str) -> Line2D:
    """The line of axes that has this label."""
    return next(line for line in ax.lines if line.get_label() == label)


def bars(ax: Axes, label: str) -> BarContainer:
    """The bars of axes that have this label."""
    return next(bars for bars in ax.containers if label == bars.get_label())


def counts(ax: Axes, label: str | None = None) -> list[float]:
    """The heights of the histogram with this label, or of the only one."""
    (found,) = (p for p in ax.patches if isinstance(p, StepPatch) and label in (None, p.get_label()))
    return found.get_data().values.tolist()
