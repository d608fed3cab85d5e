"""Loads the plugin where options are replaced, as by `-o addopts=`; begins each test as in a new kernel.

Sandboxes that are not tested themselves share one template, which has imported torch.
"""

import sys

import pytest


def pytest_addoption(pluginmanager):
    """The first hook of a session; a plugin that is there already is not loaded again."""
    pluginmanager.import_plugin("tests.plugin")


REMEMBERED = {
    "course.calls": ("_accepted", "_given_away", "_left_blank", "_mistakes", "_wrong_numbers"),
    "course.cell_output": ("_waiting",),
    "course.cell_runs": ("_runs", "_watched"),
    "course.claims": ("_in_cell",),
    "course.following": ("_run", "_staying"),
    "course.goals": ("_reached",),
    "course.predictions": ("_boxes",),
    "course.record": ("unwritten",),
    "course.timing_claims": ("_busy_in_cell",),
    "course.waiting_reveal": ("_waiting",),
    "workbench.language.messages": ("_entered",),
}


@pytest.fixture(autouse=True)
def a_new_kernel(monkeypatch):
    """The lesson is that of a new kernel, and what a kernel remembers is empty, whatever the test before has left."""
    from nnopt_lab.course import session  # not before the plugin has prepared the imports

    monkeypatch.setattr(session, "_lesson", "00_start_here")
    for name, variables in REMEMBERED.items():
        if module := sys.modules.get(f"nnopt_lab.{name}"):
            for variable in variables:
                monkeypatch.setattr(module, variable, type(getattr(module, variable))())


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
