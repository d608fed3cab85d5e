"""The command in this process, and a small course for it."""

import sys
from textwrap import dedent

import nbformat
import pytest

from nnopt_lab import cli
from nnopt_lab.course import builder, lesson_files, skeleton, strays
from nnopt_lab.course import workspace as workspace_module
from nnopt_lab.course.translation import catalogs, editions, glossary, readme
from nnopt_lab.workbench import language, paths
from tests.course.as_if_run import as_if_run


@pytest.fixture
def nnopt(monkeypatch, capsys, tmp_path, lend_template):
    """Runs a command in this process, in an empty current folder: (status, stdout, stderr).

    Its sandboxes are forked from the tests' template; `test_batch.py` runs `nnopt grade` with one of its own.
    """
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NNOPT_WORKSPACE")
    monkeypatch.setattr("nnopt_lab.grading.pool.Template", lend_template)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["nnopt", *map(str, arguments)])
        # Else click would name what runs the tests, such as "python -m pytest".
        monkeypatch.setattr(sys.modules["__main__"], "__package__", None, raising=False)
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        return status, *capsys.readouterr()

    yield call
    language.set_language(None)


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course without lessons; the fixture's value writes a source and its notebooks, not executed."""
    root = tmp_path / "course"
    for folder in ("solutions", "notebooks"):
        (root / folder).mkdir(parents=True)
    for module in (builder, lesson_files, skeleton, strays, workspace_module, catalogs, editions, glossary, readme):
        monkeypatch.setattr(module, "root", lambda: root)
    monkeypatch.setattr(paths, "root", lambda: root)
    monkeypatch.setattr("nnopt_lab.workbench.language.catalogs._locale_folder", lambda: root / "locale")
    language.forget_catalogs()

    def write(name: str, source: str):
        (root / "solutions" / f"{name}.py").write_text(dedent(source).lstrip())
        for solved, path in lesson_files.paths(name).items():
            notebook = builder.to_notebook(root / "solutions" / f"{name}.py", solved)
            nbformat.write(as_if_run(notebook) if solved else notebook, path)
        return root

    yield write
    language.forget_catalogs()
