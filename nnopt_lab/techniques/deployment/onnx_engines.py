"""Engines by ONNX Runtime: no Python and no torch between the first operator and the last."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import Engine, new_engine, require
from nnopt_lab.techniques.deployment.onnx_files import export_onnx, quantize_onnx


def onnx_float32(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """float32 by ONNX Runtime."""
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(model, calibration, Path(folder, "float32.onnx"))
        return engine_of_file("ONNX Runtime float32", path, calibration)


def onnx_int8(model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
    """int8 by ONNX Runtime: a QDQ graph, whose QuantizeLinear and DequantizeLinear it fuses into integer kernels."""
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(model, calibration, Path(folder, "float32.onnx"))
        return engine_of_file("ONNX Runtime int8", quantize_onnx(path, calibration), calibration)


def engine_of_file(name: str, path: Path, calibration: Sequence[Tensor]) -> Engine:
    """An engine that runs an ONNX file, which is read at once."""
    runtime = require("onnxruntime", "onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that spin while they wait for work take the cores from whatever is measured next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = runtime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

    def run(x: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"x": x.contiguous().numpy()})[0])

    return new_engine(name, run, calibration, path.stat().st_size)
