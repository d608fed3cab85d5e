"""Several engines are built in turn: what runs here, and for the others a sentence."""

import re
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.deployment import ENGINES, TARGETS, Engine, EngineUnavailable, build_engines, registry

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


def _failing(*arguments):
    raise TypeError("a fault.\nDetails of it")


def _failing_when_called(model, calibration):
    return Engine("bf16", _failing, tuple(calibration[0].shape[1:]), 1)


def _one_row(model, calibration):
    return Engine("bf16", lambda x: model(x)[:1], tuple(calibration[0].shape[1:]), 1)


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (_failing, "It does not run this model (TypeError: a fault)."),
        (_failing_when_called, "It does not run this model (TypeError: a fault)."),
        (_one_row, "It returns [1, 3] for [16, 12], the model [16, 3]."),
    ],
)
def test_whatever_fails_in_one_engine_leaves_the_others(broken, sentence, layers, vectors, monkeypatch):
    monkeypatch.setitem(ENGINES, "bf16", broken)
    ready, missing = build_engines(layers, [vectors], ["bf16", "eager float32"])
    assert list(ready) == ["eager float32"] and missing == {"bf16": sentence}
    with pytest.raises(EngineUnavailable, match="bf16 "):
        registry.build_engine(layers, [vectors], "bf16")


def test_in_float32_the_outputs_are_the_model_s(layers, vectors, monkeypatch):
    eager, name = ENGINES["eager float32"], "channels-last float32"
    broken = {name: lambda *given: replace(eager(*given), run=lambda x: 1.01 * layers(x))}
    monkeypatch.setitem(ENGINES, name, broken[name])
    monkeypatch.setitem(ENGINES, "ONNX Runtime int8", broken[name])
    ready, missing = build_engines(layers, [vectors], [name, "ONNX Runtime int8"])
    assert list(ready) == ["ONNX Runtime int8"], "an int8 engine is for the caller to judge"
    assert missing[name] == "It has a relative output error of 0.01; at most 0.0001 is allowed."


@pytest.mark.parametrize(
    ("forward", "sentence"),
    [
        (lambda x: {"logits": x}, "returns a dict; it must return one tensor"),
        (lambda x: [x, x], "returns a list; it must return one tensor"),
        (lambda x: None, "returns a NoneType; it must return one tensor"),
        (lambda x: x.double(), r"model returns float64 \[16, 12\] for calibration, float32 \[16, 12\]; it must return"),
        (lambda x: x.argmax(1), r"model returns int64 \[16\]"),
        (lambda x: x.sum(), r"model returns float32 \[\]"),
        (lambda x: x.view(7, 7), r"model cannot be called on calibration, float32 \[16, 12\] \(RuntimeError: shape"),
    ],
)
def test_a_network_that_is_none_for_these_pictures(forward, sentence, vectors):
    model = nn.Identity()
    model.forward = forward
    with pytest.raises(ValueError, match=sentence):
        build_engines(model, [vectors], ["bf16"])


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
