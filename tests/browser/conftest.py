"""A real browser, and JupyterLab as `nnopt lab` starts it. Where there is no browser, the tests here are skipped.

All tests share one workspace and one server, a file of tests one browser, and each test has a page of its own.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CLONE = HERE.parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Without a sandbox of its own, because root and containers have none to give; and nothing asks the network.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
STEP_MS = 90_000  # for one step of a test, such as a kernel's first import of torch, on two cores with other work
START_SECONDS = 90


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def playwright_and_program():
    """What starts a browser, and the browser's program."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sync_playwright = None
    if not (program and sync_playwright):
        pytest.skip("browser tests need Chromium (Debian's package chromium, for example) and pip install '.[browser]'")
    return sync_playwright, program


@pytest.fixture(scope="module")  # because while Playwright runs, no other test can start an event loop
def browser(playwright_and_program):
    """Chromium, without a screen."""
    start, program = playwright_and_program
    with start() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    """An empty page, for files and addresses."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(STEP_MS)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def workspace(tmp_path_factory):
    """A learner's folder with fresh copies of the lessons."""
    from nnopt_lab.course.workspace import fill

    folder = tmp_path_factory.mktemp("learner") / "work"
    fill(folder)
    return folder


@pytest.fixture(scope="session")
def server(playwright_and_program, workspace, tmp_path_factory):
    """JupyterLab, started by `nnopt lab` in the workspace with shortened lessons: (address, token).

    Nothing of the user's own Jupyter is read or written.
    """
    home, port, token = tmp_path_factory.mktemp("jupyter"), _free_port(), secrets.token_hex(16)
    folders = {f"JUPYTER_{name}_DIR": str(home / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    folders |= {f"JUPYTERLAB_{name}_DIR": str(home / name) for name in ("SETTINGS", "WORKSPACES")}
    environment = {key: value for key, value in os.environ.items() if key != "TQDM_DISABLE"}
    environment |= folders | {"JUPYTER_TOKEN": token, "NNOPT_SMOKE": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(CLONE), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "nnopt_lab", "lab", "--no-browser", f"--port={port}", f"--workspace={workspace}"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api?token={token}", process, home / "log")
        yield address, token
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def lab(page, server, workspace):
    """Opens a file of the workspace in JupyterLab, by default what `nnopt lab` opens; returns a `LabPage`."""
    from nnopt_lab.course import last_work
    from nnopt_lab.course.lab_layout import FOLDER, layout_folder
    from tests.browser.lab_page import LabPage

    shutil.rmtree(workspace / FOLDER, ignore_errors=True)  # else the tabs of the test before would be open
    (workspace / last_work.FILE).unlink(missing_ok=True)  # and the start page would go on in its lesson
    layout_folder(workspace)
    address, token = server
    return lambda path="": LabPage(page, address, token).open(path)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")
