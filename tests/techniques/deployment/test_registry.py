"""Several engines are built in turn: what runs here, and for the others a sentence."""

import re
import sys

import pytest
import torch

from nnopt_lab.techniques.deployment import ENGINES, TARGETS, build_engines

pytestmark = pytest.mark.own_process


def test_engines_come_in_the_order_asked_for_with_the_time_that_they_took(layers, vectors):
    names = ["channels-last float32", "bf16", "eager float32"]
    ready, missing = build_engines(layers, [vectors], names)
    assert list(ready) == names and not missing
    assert all(engine.name == name and engine.seconds > 0 for name, engine in ready.items())


def test_every_engine_is_a_target_s():
    assert set(ENGINES.values()) <= {engine for kinds in TARGETS.values() for engine in kinds.values()}


@pytest.mark.parametrize(
    ("name", "module", "sentence"),
    [
        ("ONNX Runtime float32", "onnxruntime", "onnxruntime is missing.*pip install onnxruntime"),
        ("ONNX Runtime int8", "onnxruntime.quantization", "onnxruntime is missing"),
        ("OpenVINO float32", "openvino", r"openvino is missing.*pip install 'nnopt-lab\[openvino\]'"),
        ("OpenVINO int8", "openvino", "openvino is missing"),
    ],
)
def test_a_missing_package_is_said_in_a_sentence(name, module, sentence, layers, vectors, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    ready, missing = build_engines(layers, [vectors], ["eager float32", name])
    assert list(ready) == ["eager float32"] and list(missing) == [name]
    assert re.search(sentence, missing[name])


def test_a_fault_of_the_engine_itself_is_not_hidden(layers, vectors, monkeypatch):
    def broken(*arguments):
        raise TypeError("a bug")

    monkeypatch.setitem(ENGINES, "bf16", broken)
    with pytest.raises(TypeError, match="a bug"):
        build_engines(layers, [vectors], ["bf16"])


@pytest.mark.parametrize(
    ("calibration", "names", "sentence"),
    [
        ([], ["bf16"], "calibration must be"),
        ([torch.zeros(0, 12)], ["bf16"], "calibration must be"),
        ([torch.zeros(1, 12, dtype=torch.uint8)], ["bf16"], "calibration must be"),
        ([torch.zeros(1, 12)], ["TensorRT"], "'TensorRT'; choose from eager float32"),
    ],
)
def test_bad_input_is_named(layers, calibration, names, sentence):
    with pytest.raises(ValueError, match=sentence):
        build_engines(layers, calibration, names)
