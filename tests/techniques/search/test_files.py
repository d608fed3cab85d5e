"""A candidate's files give the network back."""

import json

import torch

from nnopt_lab.techniques.search import candidates, files
from tests.techniques.search.small_search import CONFIG, VALIDATION, build


def test_they_give_the_network_back(task, tmp_path):
    model, sizes = candidates.make(task, CONFIG)
    written = files.save(tmp_path / "new", task, CONFIG, model, sizes, {"more": 1})
    assert [f.name for f in written] == ["weights.safetensors", "config.json", "weights.nndc", "model.onnx"]
    loaded = files.load(tmp_path / "new", build(seed=9), task.inputs(1))
    with torch.no_grad():
        assert torch.equal(loaded(VALIDATION[0]), model(VALIDATION[0]))
    known = json.loads(written[1].read_text())
    assert known["config"] == CONFIG and known["sizes"] == sizes and known["more"] == 1
    assert files.file_bytes(model, CONFIG) == written[2].stat().st_size


def test_for_an_int8_engine_the_int8_file_is_there_too(task, tmp_path):
    sizes = {"channels": {}, "ranks": {}}
    config = {"engine": "ONNX Runtime int8"}
    written = files.save(tmp_path, task, config, task.model, sizes, {})
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in written}
    assert [f.name for f in written[2:]] == ["model.onnx", "model.int8.onnx"]


def test_weights_with_their_record(tmp_path):
    files.save_weights(tmp_path / "a" / "3.safetensors", build(), {"config": CONFIG})
    state, record = files.load_weights(tmp_path / "a" / "3.safetensors")
    assert record == {"config": CONFIG} and state.keys() == build().state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in build().state_dict().items())
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["3.safetensors"]
