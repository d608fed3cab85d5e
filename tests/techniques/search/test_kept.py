"""Kept networks come back as they were, in memory and from a folder, and no other search's are taken for them."""

from dataclasses import replace

import pytest

from nnopt_lab.techniques.search import candidates
from nnopt_lab.techniques.search.kept import KeptNetworks
from nnopt_lab.techniques.search.points import Point
from tests.techniques.search.small_search import same_weights

POINTS = [Point(n, {"channels": {"0": share}}, 90.0, 100, 1.0) for n, share in enumerate((0.5, 0.25))]


@pytest.fixture(params=["memory", "folder"])
def folder(request, tmp_path):
    return tmp_path / "networks" if request.param == "folder" else None


def test_what_is_kept_comes_back(task, folder):
    kept = KeptNetworks(task, "search", folder)
    networks = [candidates.shape(task.model, task.inputs(1), point.config) for point in POINTS]
    for point, network in zip(POINTS, networks, strict=True):
        kept.add(point, *network)
    for point, (model, sizes) in zip(POINTS, networks, strict=True):
        again, its_sizes = kept.get(point)
        assert its_sizes == sizes and not again.training and again is not model
        assert same_weights(again, model)
    kept.keep_only([POINTS[1]], POINTS)
    assert kept.get(POINTS[0]) is None and kept.get(POINTS[1])
    kept.keep_only([], [POINTS[0]])
    assert kept.get(POINTS[1]), "a point that this process does not know yet is another's"


def test_another_search_s_file_is_not_taken(task, tmp_path):
    KeptNetworks(task, "one", tmp_path).add(POINTS[0], *candidates.shape(task.model, task.inputs(1), POINTS[0].config))
    assert KeptNetworks(task, "one", tmp_path).get(POINTS[0])
    assert KeptNetworks(task, "two", tmp_path).get(POINTS[0]) is None
    assert KeptNetworks(task, "one", tmp_path).get(replace(POINTS[0], config={})) is None
