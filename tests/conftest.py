"""Loads the plugin where pyproject.toml's options are replaced, as by `-o addopts=`."""


def pytest_addoption(pluginmanager):
    """The first hook of a session; a plugin that is there already is not loaded again."""
    pluginmanager.import_plugin("tests.plugin")
