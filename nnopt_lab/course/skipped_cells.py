"""A cell that needs one above it that has not run, or has failed: sentences take the place of the `NameError`.

An extension of IPython. Kernels of `nnopt lab` load it when they start (`jupyterlab/kernels`), because in a new kernel,
as after a restart, no cell of the lesson has run that could. Elsewhere, as in VS Code, `lesson` loads it.
"""

import html
import json
import os
import re
import symtable
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from nnopt_lab.course.cards import ACCENTS, FONT, ButtonlessLine, Card
from nnopt_lab.course.cell_output import NOTEBOOK
from nnopt_lab.course.cell_runs import running_source, stopped_run, watch
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.failed_cells import failed_card
from nnopt_lab.course.kept import kept_lines
from nnopt_lab.course.needed_cells import needed_cells
from nnopt_lab.course.spoken_errors import spoken_card
from nnopt_lab.workbench.language import _

COMMAND = "nnopt-lab:run-above-and-this"  # of the course's extension of JupyterLab
_CHECK = re.compile(r"""\s*check\(\s*["']([\w.]+)["']\s*,\s*(\w+)\s*,?\s*\)\s*""")
FILLED, QUIET = f"color:#fff;background:{ACCENTS['neutral']}", "color:inherit;background:none"


def load_ipython_extension(shell) -> None:
    """Watch for names that are not defined, unless something else handles errors."""
    watch()
    if not shell.custom_exceptions:
        shell.set_custom_exc((NameError, ValueError), _explain)


@dataclass(frozen=True, repr=False)
class SkippedCard(Card):
    """Says which name is not defined yet; in JupyterLab, with buttons that run what is missing.

    Attributes:
        needed: the ids of the cells that this one needs, if they are known and not all that are above.
    """

    needed: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        buttons = [_button(_("Run the cells above and this one"), {}, QUIET if self.needed else FILLED)]
        if self.needed:
            buttons.insert(0, _button(_("Run only what this cell needs"), {"cells": self.needed}, FILLED))
        return super()._repr_html_().removesuffix("</div>") + " ".join(buttons) + "</div>"


def _button(text: str, arguments: dict, colors: str) -> str:
    style = (
        f"margin:8px 0 2px;padding:3px 11px;border:1px solid {ACCENTS['neutral']};border-radius:4px;cursor:pointer;"
        f"{colors};{FONT}"
    )
    given = html.escape(json.dumps(arguments))
    return (
        f'<button type="button" data-commandlinker-command="{COMMAND}" data-commandlinker-args="{given}" '
        f'style="{style}">{html.escape(text)}</button>'
    )


def skipped_card(name: str, cell_id: str, cells: list[dict]) -> SkippedCard | None:
    """The card for a name that is not defined in a cell, or None if no cell above defines it.

    Args:
        name: the name.
        cell_id: of the cell.
        cells: of its notebook, as stored.
    """
    ids = [cell.get("id") for cell in cells]
    if cell_id not in ids:
        return None
    above = cells[: ids.index(cell_id)]
    sources = ["".join(cell.get("source", "")) for cell in above if cell.get("cell_type") == "code"]
    if not any(name in _defined(source) for source in sources):
        return None
    needed = needed_cells(cell_id, cells) or []
    return SkippedCard(
        _("`{name}` is not defined yet", name=name),
        "quiet",
        (
            _("This kernel is new, or a cell was left out: a cell above defines `{name}`, and has not run.", name=name),
            ButtonlessLine(_("Run the cells above first (menu Run ▸ Run All Above Selected Cell), then this one.")),
        ),
        needed=tuple(needed) if len(needed) < len(sources) else (),
    )


def stopped_card(name: str) -> Card | None:
    """The card for a name whose cell stopped with an error before it defined it, or None if there is no such cell."""
    run = stopped_run(name)
    if run is None or run.line is None:
        return None
    stopped = _(
        "Your cell above stopped with an error ({error}, line {line}) before it could define `{name}`.",
        error=run.error,
        line=run.line,
        name=name,
    )
    again = _("Correct that cell and run it again, then this one.")
    return Card(_("`{name}` is not defined yet", name=name), "quiet", (stopped, again))


def unchecked_card(source: str, name: str) -> Card | None:
    """The card of a check whose answer's cell has only stopped with errors so far, or None if the cell is none.

    Args:
        source: of the cell that needs the name.
        name: the name.
    """
    found = _CHECK.fullmatch(source)
    exercise = exercises().get(found[1]) if found and found[2] == name else None
    return failed_card(exercise) if exercise else None


def _with_kept_points(card: SkippedCard, source: str) -> SkippedCard:
    found = _CHECK.fullmatch(source)
    return replace(card, lines=(*card.lines, *kept_lines("exercises", found[1]))) if found else card


def _drop_figures() -> None:
    """Show no empty axes that the cell had opened before it stopped; figures of cells above are shown already."""
    if plt := sys.modules.get("matplotlib.pyplot"):
        plt.close("all")


def _explain(shell, kind, error, trace, tb_offset=None) -> None:
    from IPython.display import display

    card = None
    with suppress(Exception):  # an explanation must never hide the error
        card = spoken_card(error, trace) if isinstance(error, ValueError) else _card_of_name(shell, error.name)
    if card is None or isinstance(error, ValueError):
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    else:
        _drop_figures()
    if card is not None:
        display(card)


def _card_of_name(shell, name: str) -> Card | None:
    source = running_source()
    if stopped := unchecked_card(source, name) or stopped_card(name):
        return stopped
    skipped = skipped_card(name, _running_cell(shell), _cells(os.environ[NOTEBOOK]))
    return skipped and _with_kept_points(skipped, source)


def _running_cell(shell) -> str:
    return shell.kernel.get_parent()["metadata"]["cellId"]


def _cells(notebook: str) -> list[dict]:
    return json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]


def _defined(source: str) -> Iterable[str]:
    """The names that a cell defines at its top level; of one that Python can't read, the functions and classes."""
    lines = (line for line in source.split("\n") if not line.lstrip().startswith(("%", "!")))
    try:
        symbols = symtable.symtable("\n".join(lines), "cell", "exec").get_symbols()
    except (SyntaxError, ValueError):
        return re.findall(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", source, re.MULTILINE)
    return [symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()]
