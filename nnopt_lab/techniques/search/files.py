"""Write a candidate's files for deployment, and read them back."""

import contextlib
import json
import tempfile
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import Engine, EngineUnavailable
from nnopt_lab.techniques.deployment.onnx_files import export_onnx
from nnopt_lab.techniques.quantization import deep_compression
from nnopt_lab.techniques.search import candidates
from nnopt_lab.techniques.search.tasks import Task
from nnopt_lab.workbench.files import make_folder, replacing


def file_bytes(model: nn.Module, config: dict) -> int | None:
    """Size of the compressed file of a network whose weights share values; None if they do not."""
    if not config.get("bits"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        return sum(deep_compression.save(model, Path(folder, "size.nndc")).values())


def save(
    folder: Path,
    task: Task,
    config: dict,
    model: nn.Module,
    sizes: dict,
    record: dict,
    notes: list[str] | None = None,
    engine: Engine | None = None,
) -> list[Path]:
    """Write a candidate's files: weights.safetensors, config.json, ONNX, and a compressed file if weights share values.

    config.json names all files. Those that an earlier call named and this one does not write are removed; others stay.

    Args:
        folder: created if missing.
        task: the task of the search.
        config: the candidate's configuration.
        model, sizes: the result of `candidates.make` for `config`.
        record: further entries of config.json, beside the configuration and the sizes.
        notes: a list that gets a sentence if the network cannot be written as ONNX; None to raise the error instead.
        engine: the candidate's engine, whose own files are written too; if it computes in int8, their names say so.

    Returns:
        The files' paths.

    Raises:
        EngineUnavailable: the network cannot be written as ONNX, and `notes` is None.
        OSError: a file can't be written.
    """
    make_folder(folder)
    files, earlier = [folder / "weights.safetensors", folder / "config.json"], _named_files(folder)
    with replacing(files[0]) as unfinished:
        save_file(_weights(model), unfinished)
    if config.get("bits"):
        files.append(folder / "weights.nndc")
        deep_compression.save(model, files[-1])
    own = _artefact(engine)
    for name, content in own.items():
        files.append(folder / name)
        with replacing(files[-1]) as unfinished:
            unfinished.write_bytes(content)
    try:
        if "model.onnx" not in own:
            with replacing(folder / "model.onnx") as unfinished:
                export_onnx(model, task.calibration, unfinished)
            files.append(folder / "model.onnx")
    except EngineUnavailable as unavailable:
        if notes is None:
            raise
        notes.append(f"Not all ONNX files were written: {unavailable}")
    if any(file.suffix in (".onnx", ".xml") for file in files):
        files.append(folder / "load.py")
        with replacing(files[-1]) as unfinished:
            unfinished.write_bytes(Path(__file__).with_name("standalone.py").read_bytes())
    known = {"config": config, "sizes": sizes, "files": [file.name for file in files]} | record
    with replacing(files[1]) as unfinished:
        unfinished.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    for name in earlier - {file.name for file in files}:
        (folder / name).unlink(missing_ok=True)
    return files


def load(folder: Path, model: nn.Module, example: Tensor) -> nn.Module:
    """Load a network that `save` wrote; returns it in evaluation mode.

    Args:
        folder: contains weights.safetensors and config.json.
        model: a network with the original's architecture and any weights; left unchanged.
        example: an input [N, ...].
    """
    sizes = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))["sizes"]
    model = candidates.reshape(model, example, sizes)
    model.load_state_dict(load_file(Path(folder, "weights.safetensors")))
    return model.eval()


def save_weights(path: Path, model: nn.Module, record: dict) -> None:
    """Write a network's weights and a record for JSON to one file, which is never partial."""
    make_folder(path.parent)
    with replacing(path) as unfinished:
        save_file(_weights(model), unfinished, metadata={"record": json.dumps(record)})


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Read a file of `save_weights`: (state, record)."""
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["record"])  # noqa: SIM118


def _artefact(engine: Engine | None) -> dict[str, bytes]:
    if engine is None:
        return {}
    stem = "model.int8" if engine.name.endswith("int8") else "model"
    return {f"{stem}.{ending}": content for ending, content in engine.artefact.items()}


def _named_files(folder: Path) -> set[str]:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        names = json.loads((folder / "config.json").read_text(encoding="utf-8"))["files"]
        return {name for name in names if Path(name).name == name}
    return set()


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().contiguous().clone() for name, value in model.state_dict().items()}
