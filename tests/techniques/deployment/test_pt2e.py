"""PT2E int8 is refused by name where it cannot run; that it computes the model is tested with the targets."""

import sys

import pytest

from nnopt_lab.techniques.deployment import EngineUnavailable
from nnopt_lab.techniques.deployment.pt2e import pt2e_int8

pytestmark = pytest.mark.own_process


def test_the_x86_quantizer_says_so_on_another_processor(layers, vectors, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    with pytest.raises(EngineUnavailable, match="for x86 processors; this one is arm64"):
        pt2e_int8(layers, [vectors])


def test_without_torchao(layers, vectors, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("nnopt_lab.techniques.deployment.compiler.require_compiler", lambda: None)
    monkeypatch.setitem(sys.modules, "torchao.quantization.pt2e.quantize_pt2e", None)
    with pytest.raises(EngineUnavailable, match=r"torchao is missing.*pip install torchao"):
        pt2e_int8(layers, [vectors])
