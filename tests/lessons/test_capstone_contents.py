"""Lesson 15's view into ONNX files: what they store, the same network in float32, and what the engine runs of it."""

import onnx
import pytest
import torch
from torch import nn

from nnopt_lab.grading.sandboxed import classifier
from nnopt_lab.lessons.capstone.contents import operators_run, stored_tensors, with_floats
from nnopt_lab.lessons.capstone.onnx_files import Grey, write_onnx
from nnopt_lab.techniques.quantization import qat


@pytest.fixture
def int4(tmp_path):
    """A file with two weights of 4 bits."""
    torch.manual_seed(0)
    model = nn.Sequential(Grey(), nn.Conv2d(1, 15, 3), nn.ReLU(), nn.Flatten(), nn.Linear(15 * 900, 10))
    qat.prepare(model, torch.randn(2, 3, 32, 32), 4, None, ends=None)
    qat.make_permanent(model)
    return write_onnx(model, tmp_path / "int4.onnx")


def test_tensors_are_found_by_their_bits(int4):
    shapes, bits = stored_tensors(int4, bits=(4, 8))
    assert shapes == [[15, 1, 3, 3], [10, 13_500]] and bits == [4, 4]
    shapes, bits = stored_tensors(int4, bits=(32, 64))
    assert [15] in shapes and [10] in shapes and set(bits) == {32, 64}


def test_with_floats_it_is_the_same_network_without_dequantize_linear(int4, tmp_path):
    target = with_floats(int4, tmp_path / "floats.onnx")
    onnx.checker.check_model(onnx.load(target), full_check=True)
    x = torch.randn(5, 3, 32, 32)
    before, after = (classifier.run(classifier.open_session(path.read_bytes()), x) for path in (int4, target))
    torch.testing.assert_close(after, before)
    assert stored_tensors(target, bits=(4, 8)) == ([], [])
    assert operators_run(int4).count("DequantizeLinear") == 2
    assert "DequantizeLinear" not in operators_run(target) and "Gemm" in " ".join(operators_run(target))
