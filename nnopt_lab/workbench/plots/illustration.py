"""A figure as a notebook shows it: a sharp, transparent picture that says in words what it shows."""

import base64
import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import reduce

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnopt_lab.workbench.language import _, continued, labelled
from nnopt_lab.workbench.plots.one_at_a_time import one_at_a_time
from nnopt_lab.workbench.plots.summary import KEY, panel_title, summary

SHARPNESS = 2  # pixels of a photograph in a figure per pixel on the page, for screens with a high resolution
POINTS = 72  # per inch, SVG's unit in matplotlib
_REPRODUCIBLE = {"svg.hashsalt": "nnopt-lab", "svg.fonttype": "path"}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
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


def img(fig: Figure, quick: bool = False) -> str:
    """A figure as an HTML `<img>` element that contains its picture and its description.

    Args:
        fig: from `figure()`.
        quick: as `svg()` takes it.
    """
    picture = svg(fig, quick)
    width = round(float(re.search(r' viewBox="0 0 ([\d.]+) ', picture)[1]) * fig.dpi / POINTS)
    return embedded(picture, width, alt_text(fig))


def embedded(picture: str, width: int, alt: str) -> str:
    """An HTML `<img>` element that contains a picture, whose texts `figures.js` shows in the colour of the page's text.

    Args:
        picture: the content of an SVG file.
        width: on a page that is wide enough, in pixels.
        alt: what there is to see, in words.
    """
    source = base64.b64encode(picture.encode()).decode()
    return (
        f'<img alt="{html.escape(alt)}" class="nnopt-drawn" width="{width}" '
        f'style="max-width:100%;height:auto" src="data:image/svg+xml;base64,{source}">'
    )


@one_at_a_time
def svg(fig: Figure, quick: bool = False) -> str:
    """Render a figure as the content of an SVG file: transparent, cropped to what is drawn, its letters as shapes.

    Args:
        fig: from `figure()`.
        quick: in half the time, as `finish()` laid the figure out, and not cropped.
    """
    buffer = io.StringIO()
    with plt.rc_context(_REPRODUCIBLE), _laid_out(fig) if quick else nullcontext():
        size = None if quick else "tight"
        fig.savefig(
            buffer, format="svg", bbox_inches=size, dpi=SHARPNESS * fig.dpi, transparent=True, metadata=_NO_METADATA
        )
    picture = buffer.getvalue()
    return re.sub(r"<!--.*?-->|\s+", " ", picture[picture.index("<svg") :], flags=re.DOTALL)


@one_at_a_time
def png(fig: Figure, scale: float = 1) -> bytes:
    """Render a figure as the content of a PNG file: transparent, cropped to what is drawn, `scale` times its pixels.

    Args:
        fig: from `figure()`.
        scale: above 0.
    """
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", bbox_inches="tight", dpi=scale * fig.dpi, transparent=True)
    return buffer.getvalue()


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
        ends.append(_("rows: {names}", names=_listed(name for name in names if name.strip())))
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
