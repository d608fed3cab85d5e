"""Engines by ONNX Runtime, which runs the whole graph without Python or torch."""

import importlib
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import Engine, EngineUnavailable, new_engine, require
from nnopt_lab.techniques.deployment.graphs import GraphEngine
from nnopt_lab.techniques.deployment.onnx_files import export_onnx, quantize_onnx
from nnopt_lab.workbench import device


def onnx_graph(model: nn.Module, calibration: Sequence[Tensor]) -> bytes:
    """Export the model in float32; returns the content of an ONNX file."""
    with tempfile.TemporaryDirectory() as folder:
        return export_onnx(model, calibration, Path(folder, "float32.onnx")).read_bytes()


def _float32(graph: bytes, calibration: Sequence[Tensor]) -> Engine:
    return _engine_of("ONNX Runtime float32", graph, calibration)


def _int8(graph: bytes, calibration: Sequence[Tensor]) -> Engine:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "float32.onnx")
        path.write_bytes(graph)
        return engine_of_file("ONNX Runtime int8", quantize_onnx(path, calibration), calibration)


# int8 is a QDQ graph, whose QuantizeLinear and DequantizeLinear ONNX Runtime fuses into integer kernels.
onnx_float32, onnx_int8 = GraphEngine(onnx_graph, _float32), GraphEngine(onnx_graph, _int8)


def onnx_cuda(model: nn.Module, calibration: Sequence[Tensor], tf32: bool = False) -> Engine:
    """float32 by ONNX Runtime's CUDA provider, on the device of the calibration.

    Args:
        tf32: whether to compute products in tf32.

    Raises:
        EngineUnavailable: the device is not CUDA's, or the package has no such provider.
    """
    here = device.of(calibration)
    if device.describe(here).capability is None:
        raise EngineUnavailable(f"ONNX Runtime's CUDA provider does not run on {device.describe(here)}.")
    runtime = require("onnxruntime", "onnxruntime-gpu")
    if "CUDAExecutionProvider" not in runtime.get_available_providers():
        raise EngineUnavailable("This onnxruntime has no CUDA provider: `pip install onnxruntime-gpu` in its place.")
    with torch.inference_mode():
        outputs = model(calibration[0][:1]).shape[1:]
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(model.cpu(), [batch.cpu() for batch in calibration], Path(folder, "float32.onnx"))
        return _cuda_engine(runtime, path, calibration, tuple(outputs), here, tf32)


def _cuda_engine(runtime, path: Path, calibration, outputs: tuple[int, ...], here: torch.device, tf32: bool) -> Engine:
    numpy = importlib.import_module("numpy")
    options = {"device_id": here.index, "use_tf32": int(tf32)}
    session = runtime.InferenceSession(path.read_bytes(), providers=[("CUDAExecutionProvider", options)])
    if session.get_providers()[0] != "CUDAExecutionProvider":
        raise EngineUnavailable("ONNX Runtime's CUDA provider does not load here: a library that it needs is missing.")

    def run(x: Tensor) -> Tensor:
        x, result = x.contiguous(), torch.empty((len(x), *outputs), device=here)
        binding = session.io_binding()
        for bind, name, tensor in ((binding.bind_input, "x", x), (binding.bind_output, "logits", result)):
            bind(name, here.type, here.index, numpy.float32, tuple(tensor.shape), tensor.data_ptr())
        device.synchronize(here)  # ONNX Runtime's own stream doesn't wait for torch's
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return result

    return new_engine("ONNX Runtime float32", run, calibration, path.stat().st_size)


def engine_of_file(name: str, path: Path, calibration: Sequence[Tensor]) -> Engine:
    """Make an engine that runs an ONNX file; the file is read now and not needed later."""
    return _engine_of(name, path.read_bytes(), calibration)


def _engine_of(name: str, content: bytes, calibration: Sequence[Tensor]) -> Engine:
    runtime = require("onnxruntime", "onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that spin while they wait for work would slow down whatever is measured next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(x: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"x": x.contiguous().numpy()})[0])

    return replace(new_engine(name, run, calibration, len(content)), artefact={"onnx": content})
