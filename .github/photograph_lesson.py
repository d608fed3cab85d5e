"""Photograph lesson 01 for the README: an exercise, its card and a figure, in a real JupyterLab, in both themes.

    python .github/photograph_lesson.py

Run it in a clone with `pip install '.[browser]'`, Chromium and Pillow, when the lesson or its look has changed. It
shows the solved notebook as it is stored, and writes `.github/lesson.png` and `.github/lesson-dark.png`.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

CLONE = Path(__file__).parents[1]
sys.path.insert(0, str(CLONE))

from tests.browser.conftest import BROWSERS, FLAGS, _free_port, _wait_for  # noqa: E402 - found in the clone
from tests.browser.lab_page import LabPage  # noqa: E402

LESSON = "01_pruning.ipynb"
FIRST = "def l1_importance"  # the text of the first cell in the picture
WIDTH, HEIGHT, COLORS = 1200, 840, 256
FILES = {"Light": "lesson.png", "Dark": "lesson-dark.png"}


def main() -> None:
    """Start JupyterLab with the solved lesson, and photograph it."""
    home, port, token = Path(tempfile.mkdtemp()), _free_port(), secrets.token_hex(16)
    work = home / "work"
    work.mkdir()
    shutil.copy(CLONE / "solutions" / LESSON, work)
    folders = {f"JUPYTER_{name}_DIR": str(home / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    folders |= {f"JUPYTERLAB_{name}_DIR": str(home / name) for name in ("SETTINGS", "WORKSPACES")}
    command = [sys.executable, "-m", "nnopt_lab", "lab", "--no-browser", f"--port={port}", f"--workspace={work}"]
    with (home / "log").open("wb") as log:
        environment = os.environ | folders | {"JUPYTER_TOKEN": token, "PYTHONPATH": str(CLONE)}
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api?token={token}", server, home / "log")
        with sync_playwright() as playwright:
            program = next(filter(None, map(shutil.which, BROWSERS)))
            browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
            for theme, file in FILES.items():
                _photograph(browser, address, token, theme, CLONE / ".github" / file)
            browser.close()
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(home, ignore_errors=True)


def _photograph(browser: Browser, address: str, token: str, theme: str, file: Path) -> None:
    page = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}).new_page()
    lesson = LabPage(page, address, token).open(LESSON)
    lesson.menu_item("Settings", "Theme", f"JupyterLab {theme}")
    page.locator(f"body[data-jp-theme-name='JupyterLab {theme}']").wait_for(state="attached")
    page.locator(".jp-Cell", has_text=FIRST).first.evaluate("cell => cell.scrollIntoView()")
    page.wait_for_timeout(3000)  # figures are drawn when they come into view
    page.locator(".jp-Cell", has_text=FIRST).first.evaluate("cell => cell.scrollIntoView()")
    page.wait_for_timeout(1000)
    page.screenshot(path=file)
    with Image.open(file) as picture:
        small = picture.convert("RGB").quantize(COLORS)
    small.save(file, optimize=True)


if __name__ == "__main__":
    main()
