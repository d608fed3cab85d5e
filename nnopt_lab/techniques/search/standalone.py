"""Load an exported network; only numpy and the runtime of its file are needed.

Usage: python load.py batch.npy, a float32 array [N, ...] as the network takes it, prints the classes.
"""

import json
import sys
from pathlib import Path

import numpy

FILES = {
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
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda x: session.run(None, {"x": x})[0]
    import openvino

    engine = json.loads((here / "config.json").read_text(encoding="utf-8"))["config"].get("engine", "")
    precision = "bf16" if engine.endswith("bf16") else "f32"
    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    network = openvino.Core().compile_model(path, "CPU", settings)
    return lambda x: network(x)[0]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(*load()(numpy.load(sys.argv[1])).argmax(1))
