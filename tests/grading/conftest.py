"""A sandbox for all tests of a module that need no other one: its start takes a second or two."""

import pytest

from nnopt_lab.grading.namespaces import NamespaceSandbox
from nnopt_lab.grading.sandbox import Limits, available
from tests.cli.conftest import nnopt  # noqa: F401 - a fixture of the term's tests
from tests.grading.engine import docker  # noqa: F401 - a fixture for all tests here


@pytest.fixture(scope="module")
def sandbox():
    with NamespaceSandbox(available(), Limits(5, 512)) as ready:
        ready.wait()
        yield ready
