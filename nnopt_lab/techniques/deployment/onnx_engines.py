"""Engines by ONNX Runtime, which runs the whole graph without Python or torch."""

import importlib
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import TOLERANCE, Engine, EngineUnavailable, new_engine, require
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


def refitted_graph(graph: bytes, model: nn.Module, calibration: Sequence[Tensor]) -> bytes | None:
    """Put a model's weights into the ONNX file of a network of other weights and widths, which saves seconds.

    Args:
        graph: the content of a file of `onnx_graph`, of a network whose parameters have the same names.
        model: the network.
        calibration: batches on which the outputs are compared.

    Returns:
        The content of the model's file; None if it does not compute what the model does, because an exported constant
        depends on the weights or the widths.
    """
    onnx = importlib.import_module("onnx")
    file, state = onnx.load_from_string(graph), model.state_dict()
    for constant in file.graph.initializer:
        if constant.name in state:
            value = state[constant.name].detach().cpu().contiguous().numpy()
            constant.CopyFrom(onnx.numpy_helper.from_array(value, constant.name))
    _flatten_any_width(file.graph)
    _set_groups(file.graph, model)
    del file.graph.value_info[:]  # shapes between the layers, of the other network
    content = file.SerializeToString()
    with torch.inference_mode():
        wanted = model(calibration[0].clone())
    try:
        outputs = _engine_of("a try", content, calibration, silent=True).run(calibration[0])
    except Exception:  # ONNX Runtime's errors have no common class
        return None
    same = outputs.shape == wanted.shape and (outputs - wanted).norm() <= TOLERANCE["float32"] * wanted.norm()
    return content if same else None


def _set_groups(graph, model: nn.Module) -> None:
    """Set the groups of convolutions, whose number changes with the width if they are depthwise."""
    groups = {f"{name}.weight": layer.groups for name, layer in model.named_modules() if hasattr(layer, "groups")}
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Conv" and attribute.name == "group" and node.input[1] in groups:
                attribute.i = groups[node.input[1]]


def _flatten_any_width(graph) -> None:
    """Let reshapes that flatten all but the first axis infer the width, instead of containing it."""
    numpy, onnx = importlib.import_module("numpy"), importlib.import_module("onnx")
    shapes = {constant.name: constant for constant in graph.initializer}
    for node in graph.node:
        shape = shapes.get(node.input[1]) if node.op_type == "Reshape" else None
        if shape is not None and list(shape.dims) == [2] and onnx.numpy_helper.to_array(shape)[0] in (-1, 0):
            del node.attribute[:]  # "allowzero", with which 0 would not keep the input's axis
            shape.CopyFrom(onnx.numpy_helper.from_array(numpy.array([0, -1], "int64"), shape.name))


# int8 is a QDQ graph, whose QuantizeLinear and DequantizeLinear ONNX Runtime fuses into integer kernels.
onnx_float32, onnx_int8 = (GraphEngine(onnx_graph, make, refitted_graph) for make in (_float32, _int8))


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


def _engine_of(name: str, content: bytes, calibration: Sequence[Tensor], silent: bool = False) -> Engine:
    runtime = require("onnxruntime", "onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    if silent:
        options.log_severity_level = 4  # otherwise it prints errors besides raising them
    # Threads that spin while they wait for work would slow down whatever is measured next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(x: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"x": x.contiguous().numpy()})[0])

    return replace(new_engine(name, run, calibration, len(content)), artefact={"onnx": content})
