"""A page of JupyterLab: what a learner does with a notebook in it.

It can be imported without Playwright, since the tests that import it must be collected to be skipped.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SECONDS = 120  # for a kernel to become idle; a cell of a shortened lesson takes a few


def notebook_of(cells: Iterable[str | nbformat.NotebookNode]) -> nbformat.NotebookNode:
    """A notebook of cells; a text is the source of a code cell."""
    whole = [nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    kernel = {"name": "python3", "display_name": "Python 3"}
    return nbformat.v4.new_notebook(cells=whole, metadata={"kernelspec": kernel})


def write_notebook(path: Path, cells: Iterable[str | nbformat.NotebookNode]) -> str:
    """Write a `notebook_of` cells, and return the file's name."""
    nbformat.write(notebook_of(cells), path)
    return path.name


class LabPage:
    """A notebook in JupyterLab.

    Attributes:
        page: Playwright's page, for what has no method here.
        errors: what the page's console said about errors.
    """

    def __init__(self, page: Page, address: str, token: str):
        self.page, self._address, self._token, self.errors = page, address, token, []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, path: str = "") -> LabPage:
        """Open a file of the workspace, or what `nnopt lab` opens; a notebook's kernel is there on return."""
        self.page.goto(f"{self._address}/{f'lab/tree/{path}' if path else ''}?token={self._token}")
        if path.endswith(".ipynb"):
            self.page.wait_for_selector(".jp-Notebook .jp-Cell:visible")
            self.page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
        return self

    def run_all(self, seconds: int = SECONDS) -> None:
        """Run all cells, and wait until the kernel is idle."""
        self.menu("Run", "Run All Cells")
        self.wait_until_idle(seconds)

    def restart_kernel(self) -> None:
        """Restart the kernel; the outputs stay."""
        self.menu("Kernel", "Restart Kernel…")
        self.page.get_by_role("button", name="Confirm Kernel Restart").click()
        self.page.wait_for_timeout(300)
        self.wait_until_idle()

    def save(self) -> None:
        """Save the notebook, and wait until its tab shows no unsaved change."""
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("Control+s")
        self.page.wait_for_selector(".lm-DockPanel-tabBar .lm-TabBar-tab.lm-mod-current:not(.jp-mod-dirty)")

    def menu(self, name: str, command: str) -> None:
        """Choose a command of the menu bar."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=name).first.click()
        self.page.locator(".lm-Menu-itemLabel").get_by_text(command, exact=True).click()

    def menu_item(self, name: str, group: str, command: str) -> None:
        """Choose a command in a group of commands of the menu bar."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=name).first.click()
        self.page.locator(".lm-Menu-itemLabel", has_text=group).first.hover()
        self.page.locator(".lm-Menu-itemLabel", has_text=command).first.click()

    def outputs(self, text: str = "") -> Locator:
        """The cells' outputs that contain a text."""
        return self.page.locator(".jp-Notebook .jp-OutputArea-output", has_text=text)

    def cells(self, text: str) -> Locator:
        """The cells that contain a text, in their code or their output."""
        return self.page.locator(".jp-Notebook .jp-Cell", has_text=text)

    def sessions(self) -> list[dict]:
        """The notebooks that have a kernel on the server, as Jupyter's server tells them."""
        return self._ask("sessions")

    def wait_until_idle(self, seconds: int = SECONDS) -> None:
        """Wait until no cell of the open notebook waits, and no kernel that a page listens to is busy.

        Raises:
            TimeoutError: one still is after `seconds`.
        """
        end, idle = time.monotonic() + seconds, 0
        while idle < 3:  # between two cells a kernel is idle for a moment
            if time.monotonic() > end:
                raise TimeoutError(f"A kernel was still busy after {seconds} s.")
            self.page.wait_for_timeout(250)
            if self.page.locator(".jp-Notebook-ExecutionIndicator:visible:not([data-status=idle])").count():
                idle = 0
                continue
            states = [kernel["execution_state"] for kernel in self._ask("kernels") if kernel["connections"]]
            idle = idle + 1 if states and set(states) == {"idle"} else 0

    def _ask(self, what: str) -> list:
        with urllib.request.urlopen(f"{self._address}/api/{what}?token={self._token}", timeout=20) as answer:
            return json.load(answer)
