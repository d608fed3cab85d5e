"""A batch of pictures for the tests of precision."""

import pytest

from nnopt_lab.workbench import data


@pytest.fixture(scope="module")
def batch():
    pictures = data.load("fashion")
    return pictures.to_input(pictures.train.images[:16]), pictures.train.labels[:16]
