"""Loads the plugin where options are replaced, as by `-o addopts=`; begins each test as in a new kernel."""

import sys

import pytest


def pytest_addoption(pluginmanager):
    """The first hook of a session; a plugin that is there already is not loaded again."""
    pluginmanager.import_plugin("tests.plugin")


@pytest.fixture(autouse=True)
def no_lesson_yet(monkeypatch):
    """A kernel's current lesson is that of a new kernel, whatever lesson the test before opened."""
    from nnopt_lab.course import session  # not before the plugin has prepared the imports

    monkeypatch.setattr(session, "_lesson", "00_start_here")
    monkeypatch.setattr("nnopt_lab.workbench.language.messages._entered", [])


@pytest.fixture(autouse=True)
def no_shell_left():
    """A shell that a test starts ends with it: the next test's cards and claims would be shown in it."""
    yield
    if core := sys.modules.get("IPython.core.interactiveshell"):
        core.InteractiveShell.clear_instance()
