"""An offer to stop the kernels of the lessons that a learner has left, since each takes memory until it is stopped.

The kernel doesn't know of others. So it gives the texts, and JupyterLab's extension (`kernels.js`) shows them, with the
lessons' names, while others run. It stops none that computes.
"""

import html
import os

from nnopt_lab.course.cell_output import NOTEBOOK
from nnopt_lab.workbench.language import _

BOX = "nnopt-others"  # class of the offer
NAMES = "nnopt-names"  # class of the place for the lessons' names
COMMAND = "nnopt-lab:stop-others"  # of the extension
_STYLE = "margin-left:8px;padding:2px 12px;font:inherit;color:inherit;background:transparent;border:1px solid #767676"


def offer() -> str:
    """The offer in HTML, hidden until the extension shows it; "" where no Jupyter server has started the kernel."""
    if not os.environ.get(NOTEBOOK):
        return ""
    place = "\ue000"  # a character that no text contains
    told = _(
        "Kernels of other lessons still run and take memory: {names}. Stopping the idle ones loses nothing that you "
        "wrote; their cells must run again.",
        names=place,
    )
    text = html.escape(told).replace(place, f'<span class="{NAMES}"></span>')
    return (
        f'<div class="{BOX}" style="display:none;margin-top:6px;text-indent:0">{text} <button type="button" '
        f'data-commandlinker-command="{COMMAND}" style="{_STYLE};border-radius:4px;cursor:pointer">'
        f"{html.escape(_('Stop the idle ones'))}</button></div>"
    )
