"""A sandbox for all tests of a module that need no other one, forked from the template of all modules."""

import pytest

from nnopt_lab.grading.namespaces import NamespaceSandbox
from nnopt_lab.grading.sandbox import Limits, available
from tests.cli.conftest import nnopt  # noqa: F401 - a fixture of the term's tests
from tests.grading.engine import docker  # noqa: F401 - a fixture for all tests here


@pytest.fixture(scope="module")
def sandbox(lend_template):
    kind, limits = available(), Limits(5, 512)
    with NamespaceSandbox(kind, limits, lend_template(kind, limits)) as ready:
        ready.wait()
        yield ready
