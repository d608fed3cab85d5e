"""What happens after a notebook was saved."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from nnopt_lab.course import saving
from nnopt_lab.course.start_page import write
from nnopt_lab.course.workspace import START_PAGE, fill


@pytest.fixture
def started(monkeypatch):
    """The commands that saves start, which don't run."""
    commands = []
    monkeypatch.setattr(saving, "_last", [])
    thread = lambda target, args, daemon: SimpleNamespace(start=lambda: commands.extend(args))  # noqa: E731
    monkeypatch.setattr(saving, "Thread", thread)
    return commands


def save(name: str, kind: str = "notebook") -> None:
    saving.after_save(os_path=f"/somewhere/{name}", model={"type": kind}, contents_manager=None)


def test_the_page_follows_a_save_of_another_lesson_only(started, own_workspace):
    for name in ("01_pruning.ipynb", "01_pruning.ipynb", "notes.ipynb", "01_pruning.ipynb", "02_convolutions.ipynb"):
        save(name)
    save("03_learning_rates.ipynb", "file")
    assert len(started) == 2


def test_the_command_writes_the_page(started, own_workspace, monkeypatch):
    fill(own_workspace)
    page = write(own_workspace)
    path = own_workspace / "02_convolutions.ipynb"
    path.write_text(path.read_text() + " ")
    save(path.name)
    monkeypatch.undo()
    monkeypatch.setenv("NNOPT_WORKSPACE", str(own_workspace))
    subprocess.run(started[0], check=True)
    assert page.name == START_PAGE and "Continue with [02 Convolutions" in page.read_text()


def test_the_server_does_not_load_torch_for_it():
    code = "import sys; from nnopt_lab.course import saving; saving.lessons(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
