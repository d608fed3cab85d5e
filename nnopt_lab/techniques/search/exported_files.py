"""Write the files that an exported network is run from, and read them back in a new process."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import Engine, EngineUnavailable
from nnopt_lab.techniques.deployment.torch_engines import PROGRAMS, write_program
from nnopt_lab.techniques.search import standalone
from nnopt_lab.techniques.search.fresh_process import FreshProcess

FLOAT_ERROR, LOW_ERROR = 1e-4, 0.02  # largest relative error of a file's outputs; the second for int8 and bf16


def write_loader(folder: Path, config: dict) -> None:
    """Write load.py to a folder, and the part of config.json that it reads."""
    text = Path(standalone.__file__).read_text(encoding="utf-8")
    Path(folder, "load.py").write_text(text, encoding="utf-8")
    Path(folder, "config.json").write_text(json.dumps({"config": config}), encoding="utf-8")


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


def read_back(folder: Path, kind: str, x: Tensor, wanted: Tensor, state: dict[str, Tensor]) -> None:
    """Run load.py on a file in a new process, and compare its outputs; compare weights.safetensors there, too.

    Args:
        folder: contains load.py, the file, and config.json.
        kind: key in `standalone.FILES`.
        x: float32 [N, ...].
        wanted: the outputs that the file must give, float32 [N, classes].
        state: the weights that weights.safetensors must contain.

    Raises:
        EngineUnavailable: it can't be read, or gives other outputs.
    """
    name = standalone.FILES[kind]
    try:
        with FreshProcess(folder, kind, torch.get_num_threads()) as network:
            outputs = network(x)
            weights = network.weights()
    except EngineUnavailable as unavailable:
        raise EngineUnavailable(f"{name} cannot be read back: {unavailable}") from unavailable
    low = kind.endswith("int8") or (kind in ("torch", "openvino") and standalone.engine_name(folder).endswith("bf16"))
    limit = LOW_ERROR if low else FLOAT_ERROR
    if outputs.shape != wanted.shape or not (outputs - wanted).norm() <= limit * wanted.norm():
        raise EngineUnavailable(f"{name}, read back in a new process, gives other outputs than the network exported.")
    if state.keys() != weights.keys() or not all(torch.equal(value.cpu(), weights[n]) for n, value in state.items()):
        raise EngineUnavailable("weights.safetensors, read back in a new process, has other values.")
