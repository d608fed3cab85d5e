"""Loads the plugin where options are replaced, as by `-o addopts=`; begins each test as in a new kernel.

Sandboxes that are not tested themselves share one template, which has imported torch.
"""

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


class LentTemplate:
    """A template that stays when a batch, which would close its own one, is over."""

    def __init__(self, template):
        self._template = template

    def __getattr__(self, name):
        return getattr(self._template, name)

    def close(self):
        """The session closes it."""


@pytest.fixture(scope="session")
def lend_template():
    """A function of a sandbox's kind and limits: a template for all tests, since importing torch takes seconds."""
    from nnopt_lab.grading.namespaces import Template

    made = {}

    def lend(kind, limits):
        if kind == "none":  # deletes what answers have left behind only when it is closed
            return Template(kind, limits)
        if (kind, limits) not in made:
            made[kind, limits] = Template(kind, limits)
        return LentTemplate(made[kind, limits])

    yield lend
    for template in made.values():
        template.close()
