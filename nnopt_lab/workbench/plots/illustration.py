"""A figure as a notebook shows it: a sharp, transparent picture that says in words what it shows."""

import base64
import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from nnopt_lab.workbench.language import _, continued, labelled
from nnopt_lab.workbench.plots.summary import KEY, panel_title, summary

SHARPNESS = 2  # pixels of the picture per pixel on the page, for screens with a high resolution
_MOST_NAMES = 8  # rows or series that a description lists
_ENDS = (".", "!", "?", "。", "！", "？")
_RAISED = str.maketrans("-−0123456789+kn", "⁻⁻⁰¹²³⁴⁵⁶⁷⁸⁹⁺ᵏⁿ")
_SYMBOLS = {"times": "×", "cdot": "·", "pm": "±", "leq": "≤", "geq": "≥", "approx": "≈", "mu": "µ", "lambda": "λ"}


class Illustration(Figure):
    """A matplotlib Figure that a notebook shows as an `<img>` with a description for readers who do not see it.

    JupyterLab gives a picture of type image/png no description, so the picture is inside HTML.

    Attributes:
        alt: what there is to see in the figure, in one or two sentences; "" if only its titles and axes describe it.
        varies: the keywords of `finish()`.
    """

    alt = ""
    varies: dict | None = None

    def _ipython_display_(self) -> None:
        from IPython.display import display

        shown = {"text/plain": _("Figure: {description}", description=alt_text(self)), "text/html": img(self)}
        display(shown, metadata={KEY: summary(self)}, raw=True)


def img(fig: Figure, picture: bytes | None = None) -> str:
    """A figure as an HTML `<img>` element that contains its picture and its description.

    Args:
        fig: from `figure()`.
        picture: the content of its PNG file, with `SHARPNESS` pixels per pixel on the page; default `png(fig)`'s.
    """
    picture = png(fig, SHARPNESS) if picture is None else picture
    width = int.from_bytes(picture[16:20], "big") // SHARPNESS  # in the first chunk, IHDR, whose data begins at byte 16
    source = base64.b64encode(picture).decode()
    return (
        f'<img alt="{html.escape(alt_text(fig))}" class="nnopt-drawn" width="{width}" '
        f'style="max-width:100%;height:auto" src="data:image/png;base64,{source}">'
    )


def png(fig: Figure, scale: float = 1, quick: bool = False) -> bytes:
    """Render a figure as the content of a PNG file: transparent, cropped to what is drawn, `scale` times its pixels.

    Only photographs have more than 256 colours, so other figures are stored with a palette, at a third of the bytes.

    Args:
        fig: from `figure()`.
        scale: above 0.
        quick: in a third of the time, as `finish()` laid the figure out, not cropped, and less compressed.
    """
    photograph = any(image.get_array().ndim == 3 for image in fig.findobj(AxesImage))
    small = io.BytesIO()
    if quick:
        picture = _rendered(fig, scale)
        (picture if photograph else _with_palette(picture)).save(small, format="png", compress_level=1)
        return small.getvalue()
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", bbox_inches="tight", dpi=scale * fig.dpi, transparent=True)
    if photograph:
        return buffer.getvalue()
    _with_palette(Image.open(buffer)).save(small, format="png", optimize=True)
    return small.getvalue()


def _with_palette(picture: Image.Image) -> Image.Image:
    return picture.quantize(256, method=Image.Quantize.FASTOCTREE)


def _rendered(fig: Figure, scale: float) -> Image.Image:
    """The figure, drawn once; `savefig` would draw it twice."""
    dpi, canvas = fig.dpi, FigureCanvasAgg(fig)
    with _laid_out(fig):
        fig.set_dpi(scale * dpi)
        try:
            canvas.draw()
        finally:
            fig.set_dpi(dpi)
    return Image.fromarray(np.array(canvas.buffer_rgba()))


@contextmanager
def _laid_out(fig: Figure) -> Iterator[None]:
    """Leave everything on the figure where it is."""
    engine = fig.get_layout_engine()
    fig.set_layout_engine("none")
    try:
        yield
    finally:
        fig.set_layout_engine(engine)


def alt_text(fig: Figure) -> str:
    """What a figure shows, in words: its `alt`, then titles, axes, names of rows, and the legend."""
    parts = [getattr(fig, "alt", "").strip(), fig.get_suptitle()]
    parts += [_axes(ax) for ax in fig.axes if ax.get_visible()]
    labels = dict.fromkeys(label for ax in fig.axes for label in ax.get_legend_handles_labels()[1])
    parts.append(_("Legend: {names}", names=_listed(labels)) if labels else "")
    sentences = (" ".join(_plain(part).split()) for part in parts)
    whole = (part if part.endswith(_ENDS) else _("{sentence}.", sentence=part) for part in sentences if part)
    return reduce(continued, whole, "")


def _axes(ax: Axes) -> str:
    title = panel_title(ax)
    ends = [labelled(axis, label) for axis, label in (("x", ax.get_xlabel()), ("y", ax.get_ylabel())) if label]
    names = [_plain(label.get_text()) for label in ax.get_yticklabels()] if ax.axison else []
    if any(c.isalpha() and not c.isupper() for name in names for c in name):  # rows, not numbers
        ends.append(_("rows: {names}", names=_listed(filter(None, names))))
    return labelled(title, ", ".join(ends)) if title and ends else title or ", ".join(ends)


def _plain(text: str) -> str:
    """Text whose formulas, between dollar signs, are in the characters that a screen reader speaks: 10⁻¹."""
    return re.sub(r"(?<!\\)\$(.+?)(?<!\\)\$", lambda formula: _plain_formula(formula[1]), text).replace(r"\$", "$")


def _plain_formula(formula: str) -> str:
    formula = re.sub(r"\\math\w+|\\text\w*|\\operatorname", "", formula)
    formula = re.sub(r"\\([a-zA-Z]+)", lambda symbol: _SYMBOLS.get(symbol[1], symbol[1]), formula)
    formula = re.sub(r"\^(?:\{([^{}]*)\}|(\w))", lambda power: (power[1] or power[2]).translate(_RAISED), formula)
    return re.sub(r"[{}\\]", "", formula)


def _listed(names) -> str:
    names = list(names)
    more = len(names) - _MOST_NAMES
    listed = ", ".join(names[:_MOST_NAMES])
    return _("{names} and {more} more", names=listed, more=more) if more > 0 else listed
