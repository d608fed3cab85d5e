"""What do the idle threads of ONNX Runtime cost torch, if they spin while they wait for work?

    python tests/benchmarks/bench_engines.py [ROUNDS]

Eager torch alone, then in turns with a session of ONNX Runtime on as many threads, sleeping (as the course has it) and
spinning; prints the time of eager as a ratio to eager alone, for 1 and for 256 pictures.
"""

import sys
import tempfile
from pathlib import Path

import nnopt_lab  # noqa: F401 - sets how torch's threads wait, before torch is imported

# isort: split
import onnxruntime
import torch

from nnopt_lab.techniques.deployment.onnx_files import export_onnx
from nnopt_lab.workbench import data, measure, models


def session(path: Path, spinning: str):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    ready = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return lambda x: ready.run(None, {"x": x.numpy()})


def main(rounds: int) -> None:
    pictures, net = data.load(), models.trained()
    with tempfile.TemporaryDirectory() as folder:
        x = pictures.to_input(pictures.test.images[:256])
        path = export_onnx(net, [x], Path(folder, "mynet.onnx"))
        for size in (1, 256):
            alone = measure.latency({"eager": net}, x[:size], rounds)["eager"].median
            for name, spinning in (("sleeping", "0"), ("spinning", "1")):
                both = measure.latency({"eager": net, "ort": session(path, spinning)}, x[:size], rounds)
                eager, ort = (1e3 * both[key].median for key in ("eager", "ort"))
                ratio = eager / alone / 1e3
                print(
                    f"{size:3} pictures, {name}: eager takes {ratio:.2f} of its time alone; ONNX Runtime {ort:.3f} ms"
                )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
