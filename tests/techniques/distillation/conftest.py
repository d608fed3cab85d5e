"""A few pictures for the tests of distillation."""

import pytest

from nnopt_lab.workbench import data


@pytest.fixture(scope="module")
def few():
    whole = data.load("fashion")
    splits = (whole.train[:128], whole.validation[:64], whole.test[:64])
    return data.Pictures("few", *splits, whole.classes, whole.mean, whole.std)
