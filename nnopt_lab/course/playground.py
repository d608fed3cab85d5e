"""Playgrounds: controls above a figure that is redrawn when a control is released."""

import html
from collections.abc import Callable

import ipywidgets as widgets

from nnopt_lab.workbench import plots

SHARPNESS = 2  # pixels of the picture per pixel of its width on the page, for screens with a high resolution


class Playground(widgets.VBox):
    """Controls above a figure and a line of text.

    Args:
        draw: a function of the controls' values → (matplotlib Figure, text).
        controls: widgets by the name of the argument of `draw`.

    Attributes:
        figure: the figure drawn last, None before the first.
    """

    def __init__(self, draw: Callable, **controls: widgets.Widget):
        self._draw, self._controls, self.figure = draw, controls, None
        self._picture = widgets.Image(
            format="png", layout={"max_width": "100%", "height": "auto", "align_self": "flex-start"}
        )
        self._text = widgets.HTML()
        for control in controls.values():
            control.observe(lambda change: self.redraw(), names="value")
        super().__init__(
            [widgets.HBox(list(controls.values()), layout={"flex_flow": "row wrap"}), self._text, self._picture]
        )
        self.redraw()

    def redraw(self) -> None:
        """Draw for the current values of the controls; a ValueError is shown in the text line."""
        try:
            self.figure, text = self._draw(**{name: control.value for name, control in self._controls.items()})
        except ValueError as error:
            self._text.value = html.escape(str(error))
            return
        picture = plots.png(self.figure, SHARPNESS)
        self._picture.layout.width = f"{_width(picture) // SHARPNESS}px"
        self._picture.value, self._text.value = picture, text

    def __repr__(self) -> str:
        return "A playground: run this cell in JupyterLab and move the controls."


def _width(png: bytes) -> int:
    return int.from_bytes(png[16:20], "big")  # of the first chunk, IHDR, whose data begins at byte 16


def choice(name: str, options: list[float], value: float) -> widgets.SelectionSlider:
    """A slider over a few values that takes effect when released."""
    return widgets.SelectionSlider(
        options=options, value=value, description=name, continuous_update=False, style={"description_width": "initial"}
    )
