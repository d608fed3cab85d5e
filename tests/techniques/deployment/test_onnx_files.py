"""ONNX files: what stands in the int8 one, and that 7 bits are used where sums of 8-bit products would saturate."""

import shutil
import sys

import onnx
import pytest
import torch

from nnopt_lab.techniques.deployment import EngineUnavailable, processor
from nnopt_lab.techniques.deployment.onnx_engines import engine_of_file
from nnopt_lab.techniques.deployment.onnx_files import export_onnx, quantize_onnx

pytestmark = pytest.mark.own_process


def test_the_qdq_file_has_integer_weights_and_no_relu_of_its_own(onnx_file):
    assert sorted(path.name for path in onnx_file.parent.iterdir()) == ["net.int8.onnx", "net.onnx"]
    graph = onnx.load(onnx_file.with_suffix(".int8.onnx")).graph
    operators = [node.op_type for node in graph.node]
    assert operators.count("QuantizeLinear") == 8 and operators.count("DequantizeLinear") == 16
    assert "Relu" not in operators
    integers = [i for i in graph.initializer if i.data_type == onnx.TensorProto.INT8 and i.name.endswith("_quantized")]
    assert sum(torch.Size(i.dims).numel() for i in integers) == 268_464


def test_without_vnni_one_bit_is_left_out_and_the_classes_stay(
    onnx_file, net, calibration, pictures, monkeypatch, tmp_path
):
    monkeypatch.setattr(processor, "sums_saturate", lambda: True)
    path = quantize_onnx(shutil.copy(onnx_file, tmp_path / "net.onnx"), calibration)
    weights = [i for i in onnx.load(path).graph.initializer if i.name.endswith("weight_quantized")]
    assert all(abs(onnx.numpy_helper.to_array(w).astype(int)).max() <= 64 for w in weights)
    x = pictures.to_input(pictures.test.images[:1_000])
    with torch.inference_mode():
        wanted = net(x).argmax(1)
    assert (engine_of_file("int8", path, calibration)(x).argmax(1) == wanted).float().mean() >= 0.98


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_said_in_a_sentence(package, layers, vectors, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineUnavailable, match=f"{package} is missing.*pip install {package}"):
        export_onnx(layers, [vectors], tmp_path / "net.onnx")
