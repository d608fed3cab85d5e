"""A Sphinx extension that turns formulas into MathML when the book is built, so that reading it needs no script."""

import html
import re

from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging

# latex2mathml writes the command itself if one of these follows a size.
SIZED = re.compile(r"(\\[bB]igg?[lrm]?\s*)\\(\||[lr]?[vV]ert\b|[lr](?:floor|ceil|angle)\b)")
SYMBOLS = {"|": "‖", "Vert": "‖", "vert": "|", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉"}
SYMBOLS |= {f"{side}{bar}": SYMBOLS[bar] for side in "lr" for bar in ("Vert", "vert")} | {"langle": "⟨", "rangle": "⟩"}

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict:
    """Register the renderer, which Sphinx finds by the name in its setting `html_math_renderer`."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mathml(latex: str, block: bool = False) -> str:
    """Convert LaTeX to a `<math>` element.

    Args:
        latex: a formula without its dollar signs.
        block: whether it stands on its own line.

    Raises:
        ValueError: it is not a formula, or has a command that is not known.
    """
    sized = SIZED.sub(lambda found: found[1] + SYMBOLS[found[2]], latex)
    try:
        converted = convert(sized, display="block" if block else "inline")
    except Exception as error:  # latex2mathml raises a type of its own for each fault
        raise ValueError(f"The formula {latex!r} can't be converted ({type(error).__name__}).") from error
    if unknown := re.search(r"\\\w*", converted):
        raise ValueError(f"The formula {latex!r} can't be converted: {unknown[0]} is not known.")
    return converted


def _inline(writer, node) -> None:
    _write(writer, node, False)


def _block(writer, node) -> None:
    _write(writer, node, True)


def _write(writer, node, block: bool) -> None:
    from docutils import nodes

    latex = node.astext()
    try:
        writer.body.append(mathml(latex, block))
    except ValueError as error:
        logger.warning("%s", error, location=node)
        writer.body.append(f"<code>{html.escape(latex)}</code>")
    raise nodes.SkipNode
