"""Engines by OpenVINO, an extra of this package: `pip install 'nnopt-lab[openvino]'`.

Source: OpenVINO and NNCF, "Basic Quantization Flow", https://docs.openvino.ai/
"""

import contextlib
import io
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest import mock

import rich.live
import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import (
    Engine,
    EngineUnavailable,
    evaluation_copy,
    new_engine,
    require,
    two_pictures,
)
from nnopt_lab.techniques.deployment.graphs import GraphEngine
from nnopt_lab.techniques.deployment.logs import quiet


def _float32(graph, calibration: Sequence[Tensor]) -> Engine:
    return _engine("OpenVINO float32", graph, calibration)


def _bfloat16(graph, calibration: Sequence[Tensor]) -> Engine:
    return _engine("OpenVINO bf16", graph, calibration, "bf16")


def _int8(graph, calibration: Sequence[Tensor]) -> Engine:
    without_bars = mock.patch.object(rich.live.Live, "start")  # NNCF draws its own progress bars
    with quiet("nncf"), without_bars, contextlib.redirect_stdout(io.StringIO()):
        nncf = require("nncf", "nncf", extra="openvino")
        batches = nncf.Dataset([batch.numpy() for batch in calibration])
        quantized = nncf.quantize(graph, batches, subset_size=len(calibration))
    return _engine("OpenVINO int8", quantized, calibration)


def openvino_graph(model: nn.Module, calibration: Sequence[Tensor]):
    """Convert the model in float32; returns an `openvino.Model`.

    It is converted from torch instead of ONNX, because NNCF's int8 version of that graph is slower: mobilenet_v3_small
    takes 1.4 times as long. Networks that can't be traced are exported with `torch.export` instead; one of them is
    `nn.TransformerEncoder`, whose path depends on how it is called.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # no telemetry from a learner's machine
    openvino = require("openvino", "openvino", extra="openvino")
    model, example = evaluation_copy(model), two_pictures(calibration)
    with quiet("root"):
        try:
            return openvino.convert_model(model, example_input=example, input=[-1, *example.shape[1:]])
        except Exception:  # OpenVINO and torch raise errors of many classes here
            program = torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
            return openvino.convert_model(program)


# bf16 is the arithmetic, on a processor with instructions for it; the file stays float32. The grids of int8 are NNCF's,
# which also corrects the biases for the shift by rounding.
openvino_float32 = GraphEngine(openvino_graph, _float32)
openvino_bfloat16 = GraphEngine(openvino_graph, _bfloat16)
openvino_int8 = GraphEngine(openvino_graph, _int8)


@cache
def _core():
    """The one `openvino.Core` of this process.

    Each installs a stack for signals, and frees it with itself: of two that end in the order in which they were made,
    the second leaves the process with a stack that no longer exists, and the next signal, Ctrl-C, say, ends it.
    """
    import openvino

    return openvino.Core()


def _engine(name: str, network, calibration: Sequence[Tensor], precision: str = "f32") -> Engine:
    import openvino

    core = _core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise EngineUnavailable("OpenVINO computes in bf16 only if the processor has instructions for it.")
    with tempfile.TemporaryDirectory() as folder:
        openvino.save_model(network, Path(folder, "model.xml"), compress_to_fp16=False)
        artefact = {file.suffix[1:]: file.read_bytes() for file in Path(folder).iterdir()}
    settings = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,  # by default, float32 would run in bf16 if the processor can
    }
    request = core.compile_model(network, "CPU", settings).create_infer_request()

    def run(x: Tensor) -> Tensor:
        return torch.from_numpy(request.infer({0: x.contiguous().numpy()}, share_inputs=True)[0].copy())

    return replace(new_engine(name, run, calibration, sum(map(len, artefact.values()))), artefact=artefact)
