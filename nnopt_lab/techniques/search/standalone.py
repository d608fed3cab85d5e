"""Load an exported network; only numpy and the runtime of its file are needed.

Usage: python load.py batch.npy, a float32 array [N, ...] as the network takes it, prints the classes.
"""

import json
import sys
from pathlib import Path

import numpy

FILES = {
    "torch": "model.pt2",
    "openvino-int8": "model.int8.xml",
    "openvino": "model.xml",
    "onnx-int8": "model.int8.onnx",
    "onnx": "model.onnx",
}


def load(kind=None):
    """Return a function from float32 [N, ...] to logits [N, classes], both numpy arrays.

    Args:
        kind: a key of FILES whose file lies here; default the first of them.
    """
    here = Path(__file__).resolve().parent
    found = {name: here / file for name, file in FILES.items() if (here / file).is_file()}
    if not found or kind not in (None, *found):
        raise ValueError(f"kind={kind!r} is not in this folder; it has {', '.join(found) or 'no network'}.")
    path = found[kind or next(iter(found))]
    if path.suffix == ".pt2":
        return _program(path, engine_name(here))
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda x: session.run(None, {"x": x})[0]
    import openvino

    precision = "bf16" if engine_name(here).endswith("bf16") else "f32"
    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    network = openvino.Core().compile_model(path, "CPU", settings)
    return lambda x: network(x)[0]


def engine_name(folder):
    """Return the name of the engine that the network was exported for."""
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))["config"].get("engine", "")


def _program(path, engine):
    import torch

    network = torch.export.load(path).module()
    dtype = torch.bfloat16 if engine.endswith("bf16") else torch.float32

    def run(x):
        x = torch.from_numpy(x)
        layout = torch.contiguous_format if x.dim() != 4 or engine.startswith("eager") else torch.channels_last
        with torch.inference_mode():
            return network(x.to(dtype, memory_format=layout)).float().numpy()

    return run


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(*load()(numpy.load(sys.argv[1])).argmax(1))
