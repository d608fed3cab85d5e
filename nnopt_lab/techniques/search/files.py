"""Write a candidate's files for deployment, and read them back."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import Engine, EngineUnavailable, model_outputs
from nnopt_lab.techniques.deployment.onnx_files import export_onnx
from nnopt_lab.techniques.deployment.torch_engines import PROGRAMS, write_program
from nnopt_lab.techniques.network_checks import copied
from nnopt_lab.techniques.quantization import deep_compression
from nnopt_lab.techniques.search import candidates, exported_files, standalone
from nnopt_lab.techniques.search.points import EAGER
from nnopt_lab.techniques.search.tasks import Task
from nnopt_lab.workbench.files import check_folder, make_folder, naming, replacing


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
    documents: Callable[[Path, str | None], tuple[dict, dict[str, str]]] | None = None,
) -> list[Path]:
    """Write a candidate's files: weights.safetensors, config.json, ONNX, a program of torch.export, and its engine's.

    If weights share values, there is a compressed file, too.

    All are written to a temporary folder first. Those that load.py can run are read back there in a new process, and
    left out if their outputs differ. Then all are moved. config.json names them: those that an earlier call named and
    this one does not write are removed; others stay.

    Args:
        folder: created if missing.
        task: the task of the search.
        config: the candidate's configuration.
        model, sizes: the result of `candidates.make` for `config`.
        record: further entries of config.json, beside the configuration and the sizes.
        notes: a list that gets a sentence for each file that is left out; None to raise the error instead.
        engine: the candidate's engine, whose own files are written too; if it computes in int8, their names say so.
        documents: a function from the temporary folder, and the key of the engine's own file in `standalone.FILES`
            (None if it has none), to further entries of config.json, and further text files, contents by name.

    Returns:
        The files' paths.

    Raises:
        EngineUnavailable: a file of the network cannot be written or read back, and `notes` is None.
        OSError: a file can't be written.
    """
    check_folder(folder)
    with tempfile.TemporaryDirectory(prefix=".unfinished.", dir=folder) as temporary:
        staged = Path(temporary)
        with naming(folder):
            names = _stage(staged, task, config, model, sizes, record, notes, engine, documents)
        earlier = _named_files(folder)
        for name in names:
            with naming(folder / name):
                os.replace(staged / name, folder / name)
    for name in earlier.difference(names):
        (folder / name).unlink(missing_ok=True)
    return [folder / name for name in names]


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


def _stage(staged: Path, task: Task, config, model, sizes, record, notes, engine, documents) -> list[str]:
    """Write all files to a temporary folder, with arguments as in `save`; returns their names."""
    save_file(_weights(model), staged / "weights.safetensors")
    if config.get("bits"):
        _write_compressed(staged / "weights.nndc", model)
    exported_files.write_loader(staged, config)
    own = _write_runnable(staged, task, model, engine, notes)
    if not any((staged / name).is_file() for name in standalone.FILES.values()):
        (staged / "load.py").unlink()
    more, texts = documents(staged, own) if documents else ({}, {})
    for name, text in texts.items():
        _write_text(staged / name, text)
    names = sorted((path.name for path in staged.iterdir() if path.is_file()), key=_rank)
    known = {"config": config, "sizes": sizes, "files": names} | record | more
    _write_text(staged / "config.json", json.dumps(known, indent=1) + "\n")
    return names


def _write_compressed(path: Path, model: nn.Module) -> None:
    """Write the compressed file, and read it back."""
    deep_compression.save(model, path)
    state = deep_compression.load(path, copied(model)).state_dict()
    if not all(torch.equal(value, state[name]) for name, value in model.state_dict().items()):
        raise EngineUnavailable(f"{path.name}, read back, has other weights than the network exported.")


def _write_runnable(
    folder: Path, task: Task, model: nn.Module, engine: Engine | None, notes: list[str] | None
) -> str | None:
    """Write the files that load.py can run, and read them back; returns the key of the engine's own, if it has one."""
    x, own = task.inputs(16), None
    if engine is not None:
        with _noted(notes):
            kind = exported_files.write_own(folder, engine, model, task.calibration)
            with _removed_on_failure(folder, kind):
                exported_files.read_back(folder, kind, x, engine(x), model.state_dict())
            own = kind
    writers = {
        "onnx": lambda path: export_onnx(model, task.calibration, path),
        "torch": lambda path: write_program(path, EAGER, model, task.calibration),
    }
    tried = "torch" if engine is not None and engine.name in PROGRAMS else own
    for kind, write in writers.items():
        if kind != tried:
            with _noted(notes), _removed_on_failure(folder, kind):
                write(folder / standalone.FILES[kind])
                exported_files.read_back(folder, kind, x, model_outputs(model, x), model.state_dict())
    return own


@contextlib.contextmanager
def _noted(notes: list[str] | None):
    try:
        yield
    except EngineUnavailable as unavailable:
        if notes is None:
            raise
        notes.append(f"Not all files of the network were written: {unavailable}")


@contextlib.contextmanager
def _removed_on_failure(folder: Path, kind: str):
    try:
        yield
    except EngineUnavailable:
        for ending in (Path(standalone.FILES[kind]).suffix, ".bin"):
            (folder / standalone.FILES[kind]).with_suffix(ending).unlink(missing_ok=True)
        raise


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _rank(name: str) -> tuple:
    order = ["weights.safetensors", "config.json", "weights.nndc", *standalone.FILES.values()]
    return (order.index(name) if name in order else len(order), name)


def _named_files(folder: Path) -> set[str]:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        names = json.loads((folder / "config.json").read_text(encoding="utf-8"))["files"]
        return {name for name in names if Path(name).name == name}
    return set()


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().contiguous().clone() for name, value in model.state_dict().items()}
