"""Engines of one runtime share the network's graph, and are what they are without sharing."""

import pytest
import torch

from nnopt_lab.techniques.deployment import ENGINES, EngineUnavailable, build_engines, registry
from nnopt_lab.techniques.deployment.engine import new_engine
from nnopt_lab.techniques.deployment.graphs import GraphEngine, Graphs

NAMES = ["OpenVINO int8", "OpenVINO float32", "ONNX Runtime int8", "ONNX Runtime float32"]


def _counted(monkeypatch, graph):
    """Two engines of one runtime, whose graph is made by `graph`."""
    made = []

    def counting(model, calibration):
        made.append(model)
        return graph(model)

    for name in ("bf16", "channels-last float32"):
        engine = GraphEngine(counting, lambda graph, calibration: new_engine("it", graph, calibration, 7))
        monkeypatch.setitem(ENGINES, name, engine)
    return made


def test_a_graph_is_made_once_per_network(layers, vectors, monkeypatch):
    made = _counted(monkeypatch, lambda model: model)
    ready, missing = build_engines(layers, [vectors], ["bf16", "channels-last float32"])
    assert len(made) == 1 and len(ready) == 2 and not missing
    assert ready["channels-last float32"].seconds > 0
    build_engines(layers, [vectors], ["bf16"])
    assert len(made) == 2, "another call may be for another network"


def test_a_graph_that_fails_is_tried_once_and_told_for_each_engine(layers, vectors, monkeypatch):
    def failing(model):
        raise EngineUnavailable("No graph.")

    made = _counted(monkeypatch, failing)
    ready, missing = build_engines(layers, [vectors], ["bf16", "channels-last float32", "eager float32"])
    assert len(made) == 1 and list(ready) == ["eager float32"]
    assert missing == dict.fromkeys(("bf16", "channels-last float32"), "No graph.")


def test_other_functions_are_left_as_they_are(layers, vectors):
    assert Graphs().shared(ENGINES["eager float32"]) is ENGINES["eager float32"]
    assert Graphs().saved_seconds(ENGINES["eager float32"]) == 0


@pytest.mark.parametrize("order", [NAMES, NAMES[::-1]], ids=["int8 first", "float32 first"])
def test_engines_that_share_a_graph_equal_those_that_do_not(order, net, calibration, example):
    shared, missing = build_engines(net, calibration, order)
    if missing:
        pytest.skip(str(missing))
    for name, engine in shared.items():
        own = registry.build_engine(net, calibration, name)
        assert torch.equal(engine(example), own(example)) and engine.bytes == pytest.approx(own.bytes, abs=200)
