"""Write the files that an exported network is run from, and read them back in a new process."""

import subprocess
import sys
from pathlib import Path

import numpy
import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import Engine, EngineUnavailable, failing_as_unavailable
from nnopt_lab.techniques.deployment.torch_engines import PROGRAMS, write_program
from nnopt_lab.techniques.search import standalone

FLOAT_ERROR, LOW_ERROR = 1e-4, 0.02  # largest relative error of a file's outputs; the second for int8 and bf16
_READ_BACK = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy
import load
numpy.save(sys.argv[3], load.load(sys.argv[4])(numpy.load(sys.argv[2])))
"""


def write_own(folder: Path, engine: Engine, model: nn.Module, calibration: list[Tensor]) -> str:
    """Write the files that `engine` runs to a folder.

    Returns:
        Their key in `standalone.FILES`.

    Raises:
        EngineUnavailable: it has none, or they can't be written.
    """
    if engine.artefact:
        stem = "model.int8" if engine.name.endswith("int8") else "model"
        names = {f"{stem}.{ending}": content for ending, content in engine.artefact.items()}
        for name, content in names.items():
            Path(folder, name).write_bytes(content)
    elif engine.name in PROGRAMS:
        names = ["model.pt2"]
        write_program(folder / "model.pt2", engine.name, model, calibration)
    else:
        raise EngineUnavailable(
            f"The engine {engine.name} has no file that runs without this package: it is built in each process. The "
            "figures are those of the engine; the other files contain the same weights, but run at another speed."
        )
    return next(kind for kind, file in standalone.FILES.items() if file in names)


def read_back(folder: Path, kind: str, x: Tensor, wanted: Tensor) -> None:
    """Run load.py on a file in a new process, and compare its outputs.

    Args:
        folder: contains load.py, the file, and config.json.
        kind: key in `standalone.FILES`.
        x: float32 [N, ...].
        wanted: the outputs that the file must give, float32 [N, classes].

    Raises:
        EngineUnavailable: it can't be read, or gives other outputs.
    """
    name = standalone.FILES[kind]
    given, got = folder / ".x.npy", folder / ".y.npy"
    with failing_as_unavailable(f"{name} cannot be read back"):
        numpy.save(given, x.cpu().numpy())
        command = [sys.executable, "-c", _READ_BACK, str(folder), str(given), str(got), kind]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                raise RuntimeError((done.stderr.strip().splitlines() or ["it ended without a message"])[-1])
            outputs = torch.from_numpy(numpy.load(got))
        finally:
            given.unlink(missing_ok=True)
            got.unlink(missing_ok=True)
    low = kind.endswith("int8") or "bf16" in standalone.engine_name(folder)
    limit = LOW_ERROR if low else FLOAT_ERROR
    if outputs.shape != wanted.shape or not (outputs - wanted).norm() <= limit * wanted.norm():
        raise EngineUnavailable(f"{name}, read back in a new process, gives other outputs than the network exported.")
