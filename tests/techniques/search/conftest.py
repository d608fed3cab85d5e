"""What the tests of the search share; each is made once per test run."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from torch import nn, optim

from nnopt_lab.techniques.search import fresh_process
from nnopt_lab.techniques.search.datasets import as_split
from nnopt_lab.techniques.search.points import Goal
from nnopt_lab.techniques.search.tasks import GivenPictures, Task
from tests.techniques.search.forked import Server
from tests.techniques.search.small_search import TRAIN, VALIDATION, build, search


@pytest.fixture(scope="session")
def trained():
    model = build().train()
    optimizer = optim.Adam(model.parameters(), 3e-3)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(TRAIN[0]), TRAIN[1]).backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="session")
def task(trained):
    return Task(trained, GivenPictures(as_split(TRAIN), as_split(VALIDATION), lambda images: images), 1, 1e-3, 64)


@pytest.fixture(scope="session")
def found(trained):
    """A search for a small file, of six trials."""
    return search(trained, Goal("bytes", max_drop=2.0), trials=6)


@pytest.fixture(scope="session")
def fork_server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def forked_processes(request):
    """Exported networks run in processes that are forked from one with torch, where the system can do so."""
    if sys.platform != "linux":
        yield
        return
    server = request.getfixturevalue("fork_server")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fresh_process, "subprocess", SimpleNamespace(PIPE=subprocess.PIPE, Popen=server.Popen))
        yield
