"""Lesson 08's measurements: the graph that an engine runs, and the time of each layer of a network."""

import tempfile
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from nnopt_lab.workbench import measure


def graph_that_runs(path: Path) -> onnx.GraphProto:
    """The graph that ONNX Runtime makes of an ONNX file when it loads it on the CPU."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder, "runs.onnx"))
        options.log_severity_level = 3  # without the warning that the file is for this processor only
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath).graph


def time_layers(net: nn.Module, pictures: Tensor) -> dict[str, float]:
    """Milliseconds that each layer of a `MyNet` takes, by place and class.

    Args:
        net: has `features` and `classifier`, both sequential.
        pictures: float [N, 3, 32, 32].
    """
    milliseconds, x = {}, pictures
    for place, layer in enumerate((*net.features, nn.Flatten(), *net.classifier)):
        timed = measure.latency({"layer": layer}, x, rounds=8, budget_seconds=0.2)
        milliseconds[f"{place} {type(layer).__name__}"] = 1000 * timed["layer"].median
        with torch.inference_mode():
            x = layer(x)
    return milliseconds
