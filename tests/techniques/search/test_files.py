"""A candidate's files give the network back."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy
import pytest
import torch

from nnopt_lab.techniques.deployment.engine import EngineUnavailable
from nnopt_lab.techniques.deployment.onnx_files import export_onnx
from nnopt_lab.techniques.deployment.registry import build_engine
from nnopt_lab.techniques.deployment.torch_engines import write_program
from nnopt_lab.techniques.search import candidates, exported_files, files
from tests.techniques.search.small_search import CONFIG, VALIDATION, build

pytestmark = pytest.mark.usefixtures("forked_processes")


def test_they_give_the_network_back(task, tmp_path):
    model, sizes = candidates.make(task, CONFIG)
    written = files.save(tmp_path / "new", task, CONFIG, model, sizes, {"more": 1})
    assert [f.name for f in written] == [
        "weights.safetensors", "config.json", "weights.nndc", "model.onnx", "model.pt2", "load.py"
    ]  # fmt: skip
    loaded = files.load(tmp_path / "new", build(seed=9), task.inputs(1))
    with torch.no_grad():
        assert torch.equal(loaded(VALIDATION[0]), model(VALIDATION[0]))
    known = json.loads(written[1].read_text())
    assert known["config"] == CONFIG and known["sizes"] == sizes and known["more"] == 1
    assert files.file_bytes(model, CONFIG) == written[2].stat().st_size


def test_for_an_int8_engine_the_int8_file_is_there_too(task, tmp_path):
    sizes = {"channels": {}, "ranks": {}}
    config = {"engine": "ONNX Runtime int8"}
    engine = build_engine(task.model, task.calibration, "ONNX Runtime int8")
    written = files.save(tmp_path, task, config, task.model, sizes, {}, engine=engine)
    assert (tmp_path / "model.int8.onnx").stat().st_size == engine.bytes
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in written}
    assert [f.name for f in written[2:]] == ["model.int8.onnx", "model.onnx", "model.pt2", "load.py"]


def test_an_earlier_exports_files_are_removed_and_foreign_ones_stay(task, tmp_path):
    sizes = {"channels": {}, "ranks": {}}
    engine = build_engine(task.model, task.calibration, "ONNX Runtime int8")
    (tmp_path / "mine.int8.onnx").write_bytes(b"mine")
    files.save(tmp_path, task, {"engine": engine.name}, task.model, sizes, {}, engine=engine)
    written = files.save(tmp_path, task, {}, task.model, sizes, {})
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in written} | {"mine.int8.onnx"}


def test_openvinos_own_files_are_those_that_its_engine_runs(task, tmp_path):
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    engine = build_engine(task.model, task.calibration, "OpenVINO int8")
    files.save(tmp_path, task, {"engine": engine.name}, task.model, {"channels": {}, "ranks": {}}, {}, engine=engine)
    ir = tmp_path / "model.int8.xml"
    assert ir.stat().st_size + ir.with_suffix(".bin").stat().st_size == engine.bytes


def test_load_prints_classes_and_reads_back_with_a_tolerance(task, tmp_path):
    name = "channels-last float32"
    engine = build_engine(task.model, task.calibration, name)
    written = files.save(tmp_path, task, {"engine": name}, task.model, {"channels": {}, "ranks": {}}, {}, engine=engine)
    assert tmp_path / "model.pt2" in written and {path.name for path in tmp_path.iterdir()} == {f.name for f in written}
    given = VALIDATION[0][:7]
    numpy.save(tmp_path / "x.npy", given.double().numpy())
    shown = subprocess.run(
        [sys.executable, "load.py", "x.npy"], cwd=tmp_path, check=True, timeout=120, capture_output=True, text=True
    ).stdout
    assert shown.split() == [str(int(c)) for c in engine(given).argmax(1)]
    for wrong in (given.byte().numpy(), given[0, 0, 0].numpy()):
        numpy.save(tmp_path / "x.npy", wrong)
        command = [sys.executable, "load.py", "x.npy"]
        done = subprocess.run(command, cwd=tmp_path, timeout=120, capture_output=True, text=True)
        assert done.returncode == 1 and done.stderr.startswith("x.npy has ") and done.stderr.count("\n") == 1
    state = task.model.state_dict()
    exported_files.read_back(tmp_path, "torch", given, engine(given) * (1 + 1e-6), state)
    with pytest.raises(EngineUnavailable, match=r"model.pt2, read back .* other outputs"):
        exported_files.read_back(tmp_path, "torch", given, engine(given) * 1.01, state)
    with pytest.raises(EngineUnavailable, match=r"weights\.safetensors, read back .* other values"):
        exported_files.read_back(tmp_path, "torch", given, engine(given), state | {"0.weight": state["0.weight"] + 1})


def test_a_file_that_computes_something_else_is_left_out(task, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "export_onnx", lambda model, *rest: export_onnx(build(seed=5), *rest))
    notes = []
    monkeypatch.setattr(files, "write_program", lambda path, name, _, x: write_program(path, name, build(5), x))
    (tmp_path / "load.py").write_text("mine")
    written = files.save(tmp_path, task, {}, task.model, {"channels": {}, "ranks": {}}, {}, notes)
    assert [f.name for f in written] == ["weights.safetensors", "config.json"]
    said = [f"{name}, read back in a new process, gives other outputs" in note
            for name, note in zip(("model.onnx", "model.pt2"), notes, strict=True)]  # fmt: skip
    assert all(said)
    assert {path.name for path in tmp_path.iterdir()} == {"weights.safetensors", "config.json", "load.py"}
    with pytest.raises(EngineUnavailable, match="other outputs"):
        files.save(tmp_path / "new", task, {}, task.model, {"channels": {}, "ranks": {}}, {})
    assert not list((tmp_path / "new").iterdir())


def test_an_engine_without_a_file_is_named(task, tmp_path):
    engine = replace(build_engine(task.model, task.calibration, "eager float32"), name="compiled float32")
    notes = []
    files.save(tmp_path, task, {}, task.model, {"channels": {}, "ranks": {}}, {}, notes, engine)
    assert "compiled float32 has no file" in notes[0] and len(notes) == 1 and (tmp_path / "model.onnx").exists()


def test_weights_with_their_record(tmp_path):
    files.save_weights(tmp_path / "a" / "3.safetensors", build(), {"config": CONFIG})
    state, record = files.load_weights(tmp_path / "a" / "3.safetensors")
    assert record == {"config": CONFIG} and state.keys() == build().state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in build().state_dict().items())
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["3.safetensors"]
