"""An exported folder in a new process without this package: every kind of file, of input and of goal."""

import json
import subprocess
import sys

import numpy
import pytest
import torch
from safetensors.torch import load_file
from torch import nn, optim

from nnopt_lab.techniques.deployment.registry import build_engine
from nnopt_lab.techniques.quantization import deep_compression
from nnopt_lab.techniques.search import candidates, files, standalone
from nnopt_lab.techniques.search.autotune import optimize
from nnopt_lab.techniques.search.datasets import as_split
from nnopt_lab.techniques.search.points import Goal
from nnopt_lab.techniques.search.tasks import GivenPictures, Task
from tests.techniques.search.forked import IMPORTS
from tests.techniques.search.small_search import known_machine

pytestmark = pytest.mark.usefixtures("forked_processes")

RUN = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy
import load
numpy.save(sys.argv[3], load.load()(numpy.load(sys.argv[2])))
assert not [name for name in sys.modules if name.startswith("nnopt")]
"""
# Forks a process for each line of arguments, because torch takes seconds to import.
FORKING = f"""
{IMPORTS}
import os, sys, traceback
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        try:
            sys.argv[1:] = line.rstrip("\\n").split("\\t")
            exec(RUN, {{}})
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    print(os.waitpid(pid, 0)[1], flush=True)
"""
KINDS = {
    "eager float32": "torch",
    "channels-last float32": "torch",
    "bf16": "torch",
    "ONNX Runtime float32": "onnx",
    "ONNX Runtime int8": "onnx-int8",
    "OpenVINO float32": "openvino",
    "OpenVINO bf16": "openvino",
    "OpenVINO int8": "openvino-int8",
}
SIZES = {"channels": {}, "ranks": {}}
CLASSES = 3


class Tied(nn.Module):
    """A network that uses one weight twice."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(24, 24), nn.Linear(24, 24), nn.Linear(24, CLASSES)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.last(self.second(self.first(x).relu()).relu())


def network(shape, seed=0):
    """A network for pictures [3, 8, 8], signals [1, 24] or rows [24]."""
    torch.manual_seed(seed)
    if len(shape) == 1:
        return Tied().eval()
    layer, pool = (nn.Conv2d, nn.AdaptiveAvgPool2d(1)) if len(shape) == 3 else (nn.Conv1d, nn.AdaptiveAvgPool1d(1))
    return nn.Sequential(
        layer(shape[0], 16, 3, padding=1), nn.ReLU(), layer(16, 16, 3, padding=1), nn.ReLU(), pool, nn.Flatten(),
        nn.Linear(16, CLASSES),
    ).eval()  # fmt: skip


def examples(shape, count, seed):
    """Inputs whose classes differ in their mean."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (count,), generator=generator)
    return torch.randn(count, *shape, generator=generator) + labels.view(-1, *[1] * len(shape)) - 1.0, labels


def task_of(shape):
    train, validation = examples(shape, 256, 1), examples(shape, 120, 2)
    return Task(network(shape), GivenPictures(as_split(train), as_split(validation), lambda x: x), 1, 1e-3, 64)


def in_a_new_process(folder, x, place, forking):
    """The logits that load.py returns there for x."""
    numpy.save(place / "x.npy", x.numpy())
    print(folder, place / "x.npy", place / "y.npy", sep="\t", file=forking.stdin, flush=True)
    assert forking.stdout.readline() == "0\n", "see its traceback"
    return torch.from_numpy(numpy.load(place / "y.npy"))


@pytest.fixture(scope="module")
def forking(tmp_path_factory):
    command = [sys.executable, "-I", "-c", f"RUN = {RUN!r}\n{FORKING}"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path_factory.mktemp("elsewhere"), **pipes) as process:
        yield process
        process.stdin.close()


@pytest.mark.parametrize(
    ("name", "shape"),
    [(name, (3, 8, 8)) for name in KINDS]
    + [(name, (1, 24)) for name in ("bf16", "ONNX Runtime float32", "OpenVINO int8")]
    + [(name, (24,)) for name in ("eager float32", "ONNX Runtime int8")],
)
def test_load_runs_the_engine_s_own_file_by_default(name, shape, tmp_path, forking):
    if name.startswith("OpenVINO"):
        pytest.importorskip("openvino")
        pytest.importorskip("nncf")
    task = task_of(shape)
    try:
        engine = build_engine(task.model, task.calibration, name)
    except RuntimeError as unavailable:
        pytest.skip(str(unavailable))
    folder = tmp_path / "out"
    written = files.save(folder, task, {"engine": name}, task.model, SIZES, {}, engine=engine)
    kind, x = KINDS[name], task.inputs(7)
    found = [key for key, file in standalone.FILES.items() if folder / file in written]
    assert {kind, "onnx", "torch"} == set(found) and standalone.default_kind(found, name) == kind
    logits = in_a_new_process(folder, x, tmp_path, forking)
    limit = 0.02 if "bf16" in name else 1e-4
    assert (logits - engine(x)).norm() <= limit * engine(x).norm()
    assert json.loads((folder / "config.json").read_text())["config"]["engine"] == name


def test_an_exported_program_contains_no_pictures(tmp_path):
    task = task_of((3, 8, 8))
    files.save(tmp_path, task, {}, task.model, SIZES, {})
    (given, named) = torch.export.load(tmp_path / "model.pt2").example_inputs
    assert not given[0].any() and not named


@pytest.mark.parametrize(
    ("shape", "target", "name"),
    [((24,), "bytes", "eager float32"), 
     ((1, 24), "latency", "ONNX Runtime int8"), ((3, 8, 8), "latency", "ONNX Runtime float32")],
)  # fmt: skip
def test_a_search_s_export_has_the_figures_of_its_files(shape, target, name, tmp_path, forking):
    model = network(shape).train()
    optimizer, (x, y) = optim.Adam(model.parameters(), 1e-2), examples(shape, 256, 1)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    validation, folder = examples(shape, 120, 2), tmp_path / "out"
    with known_machine():
        options = {"trials": 3, "epochs": 1, "engine_names": [name]}
        found = optimize(model.eval(), (x, y), validation, goal=Goal(target, max_drop=100.0), **options)
    best = found.best
    assert not found.failed
    found.export(folder)
    record = json.loads((folder / "config.json").read_text())
    logits = in_a_new_process(folder, validation[0], tmp_path, forking)
    right = 100 * (logits.argmax(1) == validation[1]).double().mean().item()
    assert record["exported"]["accuracy"] == pytest.approx(right)
    loaded = files.load(folder, network(shape, seed=9), found.task.inputs(1))
    if target == "bytes":
        assert record["exported"]["bytes"] == (folder / "weights.nndc").stat().st_size == best.bytes
        again = candidates.reshape(network(shape, seed=8), found.task.inputs(1), record["sizes"])
        state = deep_compression.load(folder / "weights.nndc", again).state_dict()
        assert all(torch.equal(value, state[key]) for key, value in load_file(folder / "weights.safetensors").items())
    else:
        own = {"onnx": "model.onnx", "onnx-int8": "model.int8.onnx"}.get(
            KINDS[best.config.get("engine", "eager float32")]
        )
        assert own is None or record["exported"]["bytes"] == (folder / own).stat().st_size
    if "int8" not in best.config.get("engine", ""):
        with torch.no_grad():
            assert torch.allclose(loaded(validation[0]), logits, atol=1e-4)


def test_an_unknown_kind_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text('{"config": {}}')
    (tmp_path / "model.onnx").write_text("")
    monkeypatch.setattr(standalone, "_folder", lambda: tmp_path)
    with pytest.raises(ValueError, match="kind='torch' is not in this folder; it has onnx"):
        standalone.load("torch")
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(ValueError, match="it has no network"):
        standalone.load()
