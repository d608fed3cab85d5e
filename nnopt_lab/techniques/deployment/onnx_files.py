"""Write a network as an ONNX file, and its int8 version beside it.

Source: ONNX Runtime, "Quantize ONNX models",
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment import processor
from nnopt_lab.techniques.deployment.engine import evaluation_copy, failing_as_unavailable, require, two_pictures
from nnopt_lab.techniques.deployment.logs import quiet, quiet_export


def export_onnx(model: nn.Module, calibration: Sequence[Tensor], path: Path) -> Path:
    """Write the model as an ONNX file for any batch size, with input "x" and output "logits"; returns `path`.

    Raises:
        EngineUnavailable: a package is missing, or this model can't be exported.
    """
    for package in ("onnx", "onnxscript"):
        require(package, package)
    with failing_as_unavailable("It cannot be exported to ONNX"), quiet_export():
        torch.onnx.export(
            evaluation_copy(model),
            (two_pictures(calibration),),
            path,
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            input_names=["x"],
            output_names=["logits"],
            external_data=False,
            verbose=False,
        )
    return path


def quantize_onnx(path: Path, calibration: Sequence[Tensor]) -> Path:
    """Write an int8 version of an ONNX file beside it, in QDQ format with per-channel weights.

    Args:
        path: of the float32 file.
        calibration: batches float32 [N, ...] of real pictures, from which the activations' ranges are chosen.

    Returns:
        The new path, "….int8.onnx".

    Raises:
        EngineUnavailable: a package is missing, or this network can't be quantized.
    """
    quantization = require("onnxruntime.quantization", "onnxruntime")
    shapes = require("onnxruntime.quantization.shape_inference", "onnxruntime")

    class Reader(quantization.CalibrationDataReader):
        batches = iter(calibration)

        def get_next(self):
            batch = next(self.batches, None)
            return None if batch is None else {"x": batch.numpy()}

    prepared, target = path.with_suffix(".prepared.onnx"), path.with_suffix(".int8.onnx")
    with failing_as_unavailable("Its ONNX file cannot be quantized"), quiet("root"):
        shapes.quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            target,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=processor.sums_saturate(),
        )
    prepared.unlink()
    return target
