"""The progress bar for everything that takes longer than two seconds.

In a notebook, a bar is ordinary HTML that becomes a line of plain text when it closes. tqdm's own notebook bar is a
widget, which a saved notebook shows as an error ("model not found") once it is closed.
"""

import html
import os
import sys
from dataclasses import dataclass, field
from itertools import count

from tqdm.std import tqdm

from nnopt_lab.workbench.language import DOMAIN, _, translated

_numbers = count()


def progress_bar(*args, **kwargs) -> tqdm:
    """A tqdm bar that leaves nothing in a terminal, and one line of text in a notebook.

    Its `desc` and `unit` are shown in the language in use. `$TQDM_DISABLE` turns it off, in a notebook's kernel too.
    """
    kwargs |= {key: translated(kwargs[key], DOMAIN) for key in ("desc", "unit") if kwargs.get(key)}
    kind = _NotebookBar if _kernel_shell() is not None else tqdm
    return kind(*args, leave=False, smoothing=0, disable=bool(os.environ.get("TQDM_DISABLE")), **kwargs)


class _NotebookBar(tqdm):
    """A bar on the board of the cell that runs."""

    def __init__(self, *args, **kwargs):
        self.board = None  # until the bar is first shown
        super().__init__(*args, file=sys.stdout, **kwargs)

    def display(self, msg=None, pos=None) -> bool:
        if msg is None:  # else it is the empty text with which tqdm clears a line of a terminal
            self.board = self.board or _board_of_this_cell()
            self.board.show(self)
        return True

    def close(self) -> None:
        if getattr(self, "disable", True):
            return
        self.disable = True
        self._decr_instances(self)
        if self.board is not None:
            with self.get_lock():
                self.board.end(self)

    @property
    def name(self) -> str:
        return self.desc.removesuffix(": ") or _("progress")

    def _repr_html_(self) -> str:
        done = _("{n_fmt} of {total_fmt}") if self.total else "{n_fmt}"
        time = _("{elapsed} so far, {remaining} left") if self.total else "{elapsed}"
        text = self.format_meter(**self.format_dict | {"bar_format": f"{done}   {time}{{postfix}}"})
        bounds = f'value="{min(self.n, self.total)}" max="{self.total}"' if self.total else ""
        name = html.escape(self.name)
        return (
            f'<div style="white-space:pre;padding-left:8px">{name}  '
            f'<progress aria-label="{name}" {bounds}></progress>  {html.escape(text)}</div>'
        )


@dataclass
class _Board:
    """The bars of one cell, in one output: those that ended as text, those that run as HTML.

    A bar that began while another one ran is not mentioned at the end, and bars of one name share a line.
    """

    handle: object = None
    running: dict[_NotebookBar, None] = field(default_factory=dict)  # a set in order; tqdm's bars compare as equal
    ended: dict[str, list[tuple[float, dict]]] = field(default_factory=dict)  # name → (seconds, where it was stopped)

    def show(self, bar: _NotebookBar) -> None:
        self.running[bar] = None
        self._draw()

    def end(self, bar: _NotebookBar) -> None:
        if bar is next(iter(self.running)):
            stopped = bar.total and bar.n < bar.total
            where = {"done": bar.n, "total": bar.total} if stopped else {}
            self.ended.setdefault(bar.name, []).append((bar.format_dict["elapsed"], where))
        self.running.pop(bar)
        self._draw()

    def end_all(self) -> None:
        """End the bars that an interrupt or an error in a loop left open."""
        for bar in reversed(list(self.running)):
            bar.close()

    def _draw(self) -> None:
        from IPython.display import display

        text = "\n".join([*(_summary(name, ends) for name, ends in self.ended.items()), *map(str, self.running)])
        bundle = {"text/plain": text}
        if self.running:
            bundle["text/html"] = "".join(bar._repr_html_() for bar in self.running)
        if self.handle is None:
            self.handle = display(bundle, raw=True, display_id=f"nnopt-progress-{os.getpid()}-{next(_numbers)}")
        else:
            self.handle.update(bundle, raw=True)


_board: _Board | None = None


def _board_of_this_cell() -> _Board:
    global _board
    if _board is None:
        _board = _Board()
        _kernel_shell().events.register("post_run_cell", _end_cell)
    return _board


def _end_cell(*_) -> None:
    global _board
    _kernel_shell().events.unregister("post_run_cell", _end_cell)
    _board, board = None, _board
    board.end_all()


def _summary(name: str, ends: list[tuple[float, dict]]) -> str:
    told = {"name": name, "seconds": f"{sum(seconds for seconds, where in ends):.3g}"}
    if len(ends) > 1:
        return _("{name}: {count} times in {seconds} s", count=len(ends), **told)
    if where := ends[0][1]:
        return _("{name}: stopped at {done} of {total}, after {seconds} s", **where, **told)
    return _("{name}: done in {seconds} s", **told)


def _kernel_shell():
    """The shell of a notebook's kernel; None in a script and in IPython's terminal."""
    ipython = sys.modules.get("IPython")  # if it has not been imported, this is not a notebook
    shell = ipython and ipython.get_ipython()
    return shell if hasattr(shell, "kernel") else None
