"""A study's storage: where networks stand beside it, and what makes two searches different."""

from dataclasses import replace
from pathlib import Path

import pytest

from nnopt_lab.techniques.search.points import Goal
from nnopt_lab.techniques.search.study import fingerprint, networks_folder
from tests.techniques.search.small_search import build


@pytest.mark.parametrize(
    ("storage", "folder"),
    [
        (None, None),
        ("search.db", Path("search.db.networks")),
        (Path("a", "search.db"), Path("a", "search.db.networks")),
        ("sqlite:///a/search.db", Path("a", "search.db.networks")),
        ("postgresql://host/search", None),
    ],
)
def test_networks_stand_beside_a_file(storage, folder):
    assert networks_folder(storage) == folder


def test_a_fingerprint_tells_searches_apart(task):
    fewer = replace(task.pictures, train=task.pictures.train[:-1])
    others = [replace(task, model=build(seed=3)), replace(task, pictures=fewer), replace(task, epochs=3)]
    digits = [fingerprint(other, Goal()) for other in (task, *others)] + [fingerprint(task, Goal("bytes"))]
    assert len(set(digits)) == len(digits) and fingerprint(task, Goal()) == digits[0]
