"""Look into an ONNX file: the tensors it stores, and the operators that ONNX Runtime makes of it."""

import tempfile
from collections.abc import Collection
from pathlib import Path


def stored_tensors(path: Path, bits: Collection[int]) -> tuple[list[list[int]], list[int]]:
    """Shapes and bits per number of the tensors that a file stores in these widths.

    Args:
        path: of an ONNX file whose tensors are float32, int64, int8 or int4.
        bits: widths of numbers, such as (4, 8).
    """
    import onnx

    kinds = onnx.TensorProto
    width = {kinds.FLOAT: 32, kinds.INT64: 64, kinds.INT8: 8, kinds.INT4: 4}
    found = [tensor for tensor in onnx.load(path).graph.initializer if width[tensor.data_type] in bits]
    return [list(tensor.dims) for tensor in found], [width[tensor.data_type] for tensor in found]


def with_floats(path: Path, target: Path) -> Path:
    """Write the same network with float32 weights instead of integers and DequantizeLinear; returns `target`.

    Args:
        path: of an ONNX file by `write_onnx`, whose weights have one scale and no zero point.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    graph, tensors = model.graph, {tensor.name: tensor for tensor in model.graph.initializer}
    for node in [node for node in graph.node if node.op_type == "DequantizeLinear"]:
        integers, scale = (numpy_helper.to_array(tensors[name]) for name in node.input)
        graph.initializer.append(numpy_helper.from_array(integers.astype("float32") * scale, node.output[0]))
        graph.node.remove(node)
    read = {name for node in graph.node for name in node.input}
    for name in tensors.keys() - read:
        graph.initializer.remove(tensors[name])
    onnx.save(model, target)
    return target


def operators_run(path: Path) -> list[str]:
    """The operators that ONNX Runtime runs for a file on the CPU, each after its domain if that is not ONNX's own."""
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder) / "rewritten.onnx")
        options.log_severity_level = 4
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        nodes = onnx.load(options.optimized_model_filepath).graph.node
        return [f"{node.domain} {node.op_type}".strip() for node in nodes]
