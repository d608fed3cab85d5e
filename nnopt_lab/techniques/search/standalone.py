"""Load an exported network; only numpy and the runtime of its file are needed.

Usage: python load.py batch.npy, a float32 array [N, ...] as the network takes it, prints the classes. In your own
program, `load.load()` returns the network as a function, and `load.weights()` its weights.
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
    "torch": "model.pt2",
}
TORCH = ("eager float32", "channels-last float32", "bf16")  # engines whose file is model.pt2


def load(kind=None, threads=None):
    """Return a function from float32 [N, ...] to logits [N, classes], both numpy arrays.

    Args:
        kind: a key of FILES whose file lies here; default that of the engine that the network was exported for.
        threads: number of threads to compute with; default the runtime's choice.
    """
    here = _folder()
    engine = engine_name(here)
    found = {name: here / file for name, file in FILES.items() if (here / file).is_file()}
    if not found or kind not in (None, *found):
        raise ValueError(f"kind={kind!r} is not in this folder; it has {', '.join(found) or 'no network'}.")
    path = found[kind or default_kind(found, engine)]
    readers = {".pt2": _torch, ".onnx": _onnx, ".xml": _openvino}
    return readers[path.suffix](path, engine, threads)


def weights():
    """Return the weights, numpy arrays by name, as they were before a runtime converted them (needs safetensors)."""
    from safetensors.numpy import load_file

    return load_file(_folder() / "weights.safetensors")


def default_kind(found, engine):
    """Return the key among those found whose file is the engine's own, or else the first of FILES."""
    return "torch" if engine in TORCH and "torch" in found else next(name for name in FILES if name in found)


def engine_name(folder):
    """Return the name of the engine that the network was exported for."""
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))["config"].get("engine", "")


def _folder():
    return Path(__file__).resolve().parent


def _torch(path, engine, threads):
    import torch

    if threads:
        torch.set_num_threads(threads)
    network = torch.export.load(path).module().forward  # a call of the module would check its inputs, which takes time
    dtype = torch.bfloat16 if engine == "bf16" else torch.float32

    def run(x):
        x = torch.from_numpy(x)
        last = x.dim() == 4 and engine in ("bf16", "channels-last float32")
        with torch.inference_mode():
            layout = torch.channels_last if last else torch.contiguous_format
            return network(x.to(dtype, memory_format=layout)).float().numpy()

    return run


def _onnx(path, engine, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores to others
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": numpy.ascontiguousarray(x)})[0]


def _openvino(path, engine, threads):
    import openvino

    precision = "bf16" if engine.endswith("bf16") else "f32"
    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    settings |= {"INFERENCE_NUM_THREADS": threads} if threads else {}
    request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()
    return lambda x: request.infer({0: numpy.ascontiguousarray(x)}, share_inputs=True)[0].copy()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    batch = numpy.load(sys.argv[1])
    if batch.dtype.kind != "f" or batch.ndim < 2:
        raise SystemExit(f"{sys.argv[1]} has {batch.dtype} {list(batch.shape)}; it must have float32 [N, ...].")
    print(*load()(batch.astype(numpy.float32)).argmax(1))
