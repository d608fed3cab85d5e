"""Engines of one runtime share the network's graph, and are what they are without sharing."""

from functools import cache

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.deployment import ENGINES, EngineUnavailable, build_engines, onnx_engines, registry
from nnopt_lab.techniques.deployment.engine import new_engine
from nnopt_lab.techniques.deployment.graphs import GraphEngine, Graphs
from nnopt_lab.techniques.pruning import channel_pruning

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


@pytest.fixture(scope="module")
def unshared(net, calibration):
    """A function of an engine's name: the engine with a graph of its own, built once."""
    return cache(lambda name: registry.build_engine(net, calibration, name))


@pytest.mark.parametrize("order", [NAMES, NAMES[::-1]], ids=["int8 first", "float32 first"])
def test_engines_that_share_a_graph_equal_those_that_do_not(order, net, calibration, example, unshared):
    shared, missing = build_engines(net, calibration, order)
    if missing:
        pytest.skip(str(missing))
    for name, engine in shared.items():
        own = unshared(name)
        assert torch.equal(engine(example), own(example)) and engine.bytes == pytest.approx(own.bytes, abs=200)


def narrow(net, example, share):
    keep = channel_pruning.keep_most_important(net, example[:1], share)
    return channel_pruning.remove_channels(net, example[:1], keep)


def test_an_onnx_graph_is_refitted_to_other_widths(net, calibration, example, monkeypatch):
    whole = onnx_engines.onnx_graph(net, calibration)
    small = narrow(net, example, 0.5)
    graph = onnx_engines.refitted_graph(whole, small, calibration)
    own = onnx_engines.onnx_graph(small, calibration)
    assert graph is not None and abs(len(graph) - len(own)) < 0.05 * len(own)
    monkeypatch.setattr(onnx_engines, "export_onnx", lambda *_: pytest.fail("exported"))
    with torch.no_grad():
        wanted = small(example)
    assert torch.allclose(onnx_engines._float32(graph, calibration)(example), wanted, atol=1e-4)
    assert onnx_engines._int8(graph, calibration).bytes < len(graph) / 2


class Scaled(nn.Module):
    """A network whose exported graph has a constant that depends on its width."""

    def __init__(self, width):
        super().__init__()
        self.first, self.last, self.width = nn.Linear(12, width), nn.Linear(width, 3), width

    def forward(self, x):
        return self.last(self.first(x) / self.width)


def test_a_graph_that_does_not_fit_is_exported(vectors):
    torch.manual_seed(0)
    wide, small, templates = Scaled(8).eval(), Scaled(4).eval(), {}
    assert onnx_engines.refitted_graph(onnx_engines.onnx_graph(wide, [vectors]), small, [vectors]) is None
    for net in (wide, small, wide):
        ready, missing = build_engines(net, [vectors], ["ONNX Runtime float32"], templates=templates)
        with torch.no_grad():
            assert not missing and torch.allclose(ready["ONNX Runtime float32"](vectors), net(vectors), atol=1e-5)


def test_a_network_of_other_parameters_is_exported(layers, vectors):
    templates = {}
    deeper = nn.Sequential(*layers, nn.Linear(3, 3)).eval()
    for net in (layers, deeper):
        ready, missing = build_engines(net, [vectors], ["ONNX Runtime float32"], templates=templates)
        with torch.no_grad():
            assert not missing and torch.allclose(ready["ONNX Runtime float32"](vectors), net(vectors), atol=1e-5)
