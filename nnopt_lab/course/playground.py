"""Playgrounds: controls above a figure that is redrawn when a control is moved."""

import asyncio
import gc
import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import ipywidgets as widgets
from rich.cells import cell_len

from nnopt_lab.course.cards import WIDTH, inline
from nnopt_lab.course.disturbances import short_run
from nnopt_lab.course.goals import STYLE, Goals
from nnopt_lab.course.static_outputs import CURRENT
from nnopt_lab.workbench import plots, smoke
from nnopt_lab.workbench.language import _, continued, labelled, translated
from nnopt_lab.workbench.language.typography import unbroken
from nnopt_lab.workbench.plots.one_at_a_time import one_at_a_time
from nnopt_lab.workbench.plots.summary import KEY

PAUSE = 0.04  # seconds without a further move before the figure is drawn
_PARENTHESES = re.compile(r"\([^()<>]{1,24}\)")
_BUSY = "nnopt-drawing"
_STALE = "nnopt-stale"  # the figure does not belong to the controls' values
_FONT = "font-family:var(--jp-content-font-family,inherit);font-size:var(--jp-content-font-size1,inherit)"
# The delay keeps a quick redraw from flickering.
_STYLE = (
    "<style>.nnopt-figure img{transition:opacity .1s .15s}"
    f".{_STALE} .nnopt-figure img,.{_BUSY} .nnopt-figure img{{opacity:.35}}"
    # It has its place all the time, as a text that becomes narrower may need a line more.
    ".nnopt-text::after{content:'drawing …';font-weight:600;flex:none;margin-left:1em;visibility:hidden}"
    f".{_BUSY} .nnopt-text::after{{visibility:visible}}"
    ".nnopt-controls.nnopt-controls{display:contents}"
    f".nnopt-controls :is(label,.widget-label,select,input,.widget-readout){{{_FONT}!important}}"
    ".nnopt-controls.nnopt-controls>:is(.widget-inline-hbox,.nnopt-choice){min-height:30px;"
    "align-items:center;margin:1px 0}.nnopt-controls .widget-label{height:auto;line-height:1.45}"
    ".nnopt-controls select{height:28px}"
    ".nnopt-choice.nnopt-choice{display:flex!important;flex-direction:row!important;height:auto}"
    ".nnopt-choice>.widget-label{text-align:right;margin:0;flex-shrink:0}"
    ".nnopt-choice>.widget-radio-box{margin:0 0 0 8px!important}"
    ".nnopt-choice>.widget-radio-box label{min-width:5em;margin:0;padding-right:.8em;"
    "box-sizing:border-box}"  # columns, since all rows have numbers
    f"{STYLE}"
    f".nnopt-text.nnopt-text{{max-width:{WIDTH};height:auto;margin:8px 0}}"
    # Two lines at least, so that the figure does not move with each text.
    f".nnopt-text.nnopt-text>.widget-html-content{{line-height:1.45;{_FONT};min-height:calc(2.9em + 4px)}}"
    ".nnopt-text .widget-html-content:has(>span){display:flex;flex-wrap:wrap;align-content:start;gap:4px 24px}"
    ".nnopt-text span>i{display:none}.nnopt-text .widget-html-content>div{flex:100%}</style>"
)


class Playground(widgets.VBox):
    """Controls above a line of text and a figure.

    Sliders redraw while they are dragged. In a notebook, moves that follow each other quickly, or that arrive while a
    figure is drawn, are drawn once, at the last position; the old figure is greyed until then.

    Args:
        draw: a function of the controls' values → (matplotlib Figure, text in HTML). The words of the figure say what
            there is to see, and the text says its numbers; readers who do not see the figure hear both. If there are
            goals, a third value has one sentence per goal, in the language in use, which says what was found if it is
            reached with these values, else "" or a `NotYet`.
        goals: tasks for the learner, see `Goals`.
        measured: whether the text has times or accuracies that are measured here: they say nothing in smoke mode.
        controls: widgets by the name of the argument of `draw`.

    Attributes:
        figure: the figure drawn last, None before the first.
    """

    def __init__(self, draw: Callable, goals: Sequence[str] = (), measured: bool = False, **controls: widgets.Widget):
        self._draw, self._goals, self._controls = draw, Goals(goals), controls
        self._caution = f"<div>{inline(short_run())}</div>" if measured and smoke.on() else ""
        self.figure, self._summary = None, {}
        self._pending = None
        self._text, self._picture = widgets.HTML(), widgets.HTML(layout={"overflow": "hidden"})
        self._text.add_class("nnopt-text")
        self._picture.add_class("nnopt-figure")
        self._settings = widgets.HTML(layout={"display": "none"})  # seen only in a saved notebook
        self._settings.add_class("nnopt-settings")
        for part in (self._settings, self._text, self._picture):
            part.add_class(CURRENT)
        for control in controls.values():
            _translate(control)
        rows = widgets.VBox([*_aligned(list(controls.values())), self._settings])
        rows.add_class("nnopt-controls")
        super().__init__([rows, self._goals.tasks, self._text, self._picture, self._goals.found])
        for control in controls.values():
            control.observe(lambda change: self._moved(), names="value")
        self.redraw()

    @one_at_a_time
    def redraw(self) -> None:
        """Draw for the current values of the controls; a ValueError is shown in the text line."""
        with _no_garbage_collection():
            self._redraw()

    def _redraw(self) -> None:
        try:
            self.figure, text, *found = self._draw(**{name: control.value for name, control in self._controls.items()})
        except ValueError as error:
            self._tell(translated(str(error)))
            return
        text = translated(text)
        self._goals.tick(*found)
        self._summary = {KEY: plots.summary(self.figure)}
        self.figure.alt = continued(self.figure.alt, _plain(text)).strip()
        style = _STYLE.replace("drawing …", _("drawing …"))
        self._picture.value = style + plots.img(self.figure, quick=True)
        self._text.value = _row(_whole(text)) + self._caution
        self.remove_class(_STALE)
        settings = " · ".join(labelled(control.description, _shown(control)) for control in self._controls.values())
        how = _("{settings} <em>(run this cell to move the controls)</em>", settings=html.escape(settings))
        self._settings.value = how

    def _tell(self, why_not: str) -> None:
        """Say why there is no new figure."""
        self._text.value = html.escape(why_not)
        self.add_class(_STALE)

    def _moved(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no notebook
            self.redraw()
            return
        if self._pending:
            self._pending.cancel()
        self.add_class(_BUSY)
        # Moves that wait in the kernel's queue are handled before the timer, and each one starts it anew.
        self._pending = loop.call_later(PAUSE, self._redraw_last)

    def _redraw_last(self) -> None:
        self._pending = None
        try:
            self._redraw_patiently()
        except Exception:
            self._tell(_("The figure could not be drawn; move a control again."))
            raise  # into the kernel's log
        finally:
            self.remove_class(_BUSY)

    def _redraw_patiently(self) -> None:
        try:
            self.redraw()
        except Exception:  # a cell may draw without the course's functions, and then does not wait for this thread
            self.redraw()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self._repr_mimebundle_(), metadata=self._summary, raw=True)

    def _repr_mimebundle_(self, **kwargs) -> dict:
        """The widget, and for pages that show no widgets its settings, its text and its figure with a description."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle and self.figure is not None:  # cropped, since it is stored in the notebook
            parts = {
                "settings": self._settings.value,
                "goals nnopt-tasks": self._goals.tasks.value,
                "text": self._text.value,
                "figure": plots.img(self.figure),
                "goals nnopt-found": self._goals.found.value,
            }
            shown = (f'<div class="nnopt-{name}">{part}</div>' for name, part in parts.items() if part)
            bundle = {**bundle, "text/html": "".join(shown)}
        return bundle

    def __repr__(self) -> str:
        return _("A playground: run this cell in JupyterLab and move the controls.")


def choice(name: str, options: Sequence, value) -> widgets.RadioButtons:
    """A row of radio buttons, for values without a common step.

    A screen reader says the value of each; ipywidgets' slider over a list would say its position in the list.
    """
    buttons = widgets.RadioButtons(options=list(options), value=value, description=name, orientation="horizontal")
    buttons.add_class("nnopt-choice")
    return buttons


def slider(name: str, low: float, high: float, value: float, step: float = 1, format: str = "") -> widgets.Widget:
    """A slider from `low` to `high`, of integers if all four numbers are.

    Args:
        name: shown before the slider.
        low, high, value, step: numbers, with low ≤ value ≤ high and step above 0.
        format: of the number shown, such as ".0%"; default ".2f", or "d" for integers.
    """
    whole = all(isinstance(number, int) for number in (low, high, value, step))
    kind, default = (widgets.IntSlider, "d") if whole else (widgets.FloatSlider, ".2f")
    told = {"description": name, "readout_format": format or default}
    # Else a press on the rail moves the handle, but a drag from there does not.
    return kind(value=value, min=low, max=high, step=step, behavior="snap", **told)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Put Python's collection off until the figure is shown: it takes half a second where torch is loaded."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _translate(control: widgets.Widget) -> None:
    """Show a control's name and its options in the language in use; its values stay as they are."""
    control.description = translated(control.description)
    if hasattr(control, "options") and hasattr(control, "index"):  # a selection of any kind
        pairs, index = _labelled(control.options), control.index
        words = [(translated(label), of) for label, of in pairs]
        if words != pairs:
            control.options = words
            control.index = index  # rather than the value, which need not be comparable


def _labelled(options) -> list[tuple[str, object]]:
    """The (label, value) pairs of a selection's options, by ipywidgets' rules for a dict, pairs and bare values."""
    if isinstance(options, Mapping):
        return [(str(label), of) for label, of in options.items()]
    options = list(options)
    if all(isinstance(option, list | tuple) and len(option) == 2 for option in options):
        return [(str(label), of) for label, of in options]
    return [(str(option), option) for option in options]


def _aligned(controls: list[widgets.Widget]) -> list[widgets.Widget]:
    """The controls with room for the longest description before each, and for the longest option in each list."""
    longest = max((cell_len(control.description) for control in controls), default=0)
    for control in controls:
        control.style.description_width = f"{longest + 1}ch"
        if isinstance(control, widgets.Dropdown):
            control.layout.width = "max-content"
        elif isinstance(control, widgets.RadioButtons):
            control.layout.width = "auto"
        elif isinstance(control, widgets.IntSlider | widgets.FloatSlider):
            control.layout.width = "min(100%, 34em)"
    return controls


def _shown(control: widgets.Widget) -> str:
    """A control's value, as it is shown in the notebook."""
    if isinstance(control, widgets.IntSlider | widgets.FloatSlider):
        return format(control.value, control.readout_format)
    if isinstance(control, widgets.Checkbox):
        return _("yes") if control.value else _("no")
    return str(getattr(control, "label", control.value))  # of a list, the option's name


def _row(text: str) -> str:
    """The results as items of a row, which wraps between them; sentences stay as they are.

    Items are separated by dots or, where there are none, by commas. Pages without the style show the separators.
    """
    separator = r" · " if " · " in text else "$^" if text.endswith((".", "。")) else ", |，"
    parts = re.split(f"({separator})", text)
    if len(parts) == 1:
        return text
    ends = [f"<i>{end}</i>" for end in parts[1::2]] + [""]
    return "".join(f"<span>{part}{end}</span>" for part, end in zip(parts[::2], ends, strict=True))


def _whole(text: str) -> str:
    """The text with no-break spaces in numbers and in short parentheses, such as "(before: 78.1 %)"."""
    return _PARENTHESES.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), unbroken(text))


def _plain(text: str) -> str:
    """The text without its tags."""
    return html.unescape(re.sub(r"<[^>]+>", "", text))
