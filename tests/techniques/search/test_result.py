"""A search's result: its best, its figures, and the network that it hands out without training it again."""

import json
import shutil
from dataclasses import replace

import onnxruntime
import pytest
import torch
from torch import nn

from nnopt_lab.techniques.search import files
from nnopt_lab.techniques.search.kept import KeptNetworks
from nnopt_lab.techniques.search.points import Goal, Point
from nnopt_lab.techniques.search.result import Search
from nnopt_lab.workbench import device, training
from tests.techniques.search.small_search import VALIDATION, build, same_weights, search

pytestmark = pytest.mark.usefixtures("forked_processes")

FIT = training.fit


def accuracy(model):
    with torch.no_grad():
        return 100 * (model(VALIDATION[0]).argmax(1) == VALIDATION[1]).float().mean().item()


@pytest.fixture
def trainings(monkeypatch):
    """How often something was trained since the test began."""
    calls = []
    monkeypatch.setattr(training, "fit", lambda *args, **options: calls.append(1) or FIT(*args, **options))
    return calls


def test_its_best_keeps_the_limits_and_nothing_that_does_is_better(found):
    assert len(found.points) + found.stopped == 6 and not found.failed and not found.interrupted
    allowed = [p for p in found.points if p.accuracy >= found.original.accuracy - 2.0]
    assert found.best.bytes == min(p.bytes for p in allowed) < found.original.bytes / 4
    assert 0 < found.hypervolume() <= 1 and found.best in found.front


def test_it_shows_itself(found):
    text = repr(found)
    assert "original" in text and "(best)" in text and "bits per weight" in text
    assert "<table" in found._repr_html_() and found._repr_html_().count("<tr") == len(found.front) + 2
    dots = {line.get_label(): len(line.get_xdata()) for line in found.plot().axes[0].lines}
    assert dots["trial"] == len(found.points) and dots["front"] == len(found.front)


def test_networks_on_the_front_are_those_that_were_measured(found, trainings):
    for point in found.front:
        model = found.network(point)
        assert accuracy(model) == pytest.approx(point.accuracy)
        assert files.file_bytes(model, point.config) == point.bytes
    assert not trainings and not found.notes


def test_another_point_is_trained_again_and_a_sentence_says_so(found, trainings):
    beaten = next(p for p in found.points if p not in found.front and p != found.best)
    assert accuracy(found.network(beaten)) == pytest.approx(beaten.accuracy)
    assert trainings
    assert found.notes == [
        f"The network of trial {beaten.number} was trained again, because its weights were not kept."
    ]
    found.notes.clear()


def test_the_export_is_the_network_that_was_measured(found, tmp_path, trainings):
    written = found.export(tmp_path / "out")
    assert not trainings
    assert [f.name for f in written] == [
        "weights.safetensors", "config.json", "weights.nndc", "model.onnx", "model.pt2", "load.py",
        "report.html", "report.md",
    ]  # fmt: skip
    loaded = files.load(tmp_path / "out", build(seed=9), found.task.inputs(1))
    assert accuracy(loaded) == pytest.approx(found.best.accuracy)
    assert written[2].stat().st_size == found.best.bytes
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    logits = torch.from_numpy(session.run(None, {"x": VALIDATION[0].numpy()})[0])
    assert torch.allclose(logits, loaded(VALIDATION[0]), atol=1e-4)
    report = written[-1].read_text(encoding="utf-8")
    assert "bits per weight" in report and "95 % interval" in report and "6 trials" in report
    assert "both networks give the same class" in report and "# Accuracy by class" in report and "threads" in report
    exported = json.loads(written[1].read_text())["exported"]
    assert exported["accuracy"] == pytest.approx(found.best.accuracy) and exported["bytes"] == found.best.bytes


def test_a_search_that_goes_on_hands_out_what_an_earlier_call_trained(trained, tmp_path, trainings):
    storage = tmp_path / "search.db"
    goal = Goal("bytes", max_drop=100.0)
    wanted = search(trained, goal, storage=storage, trials=2).network()
    trainings.clear()
    again = search(trained, goal, storage=storage, trials=2)
    assert same_weights(again.network(), wanted)
    assert not trainings and not again.notes
    shutil.rmtree(tmp_path / "search.db.networks")
    assert same_weights(again.network(), wanted)
    assert trainings and "was trained again" in again.notes[0]


def test_the_hypervolume_in_numbers(task):
    points = [Point(0, {}, 90.0, 50, 1.0), Point(1, {}, 88.0, 25, 1.0), Point(2, {}, 92.0, 90, 1.0)]
    original, goal = Point(-1, {}, 90.0, 100, 1.0), Goal("bytes", max_drop=4.0)
    found = Search(task, goal, original, KeptNetworks(task, ""), points)
    # Nothing lost at half the cost: half of the rectangle; from 2 of 4 points lost another quarter of its height.
    assert found.hypervolume() == pytest.approx(0.5 + 0.5 * 0.25)
    assert found.front == [points[2], points[0], points[1]] and found.best == points[1]


def test_what_onnx_cannot_hold_is_exported_without_it(tmp_path):
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = build()

        def forward(self, x):
            return self.inner(x if x.sum() > 0 else -x)

    found = search(Branching(), Goal("bytes", max_drop=100.0), trials=1)
    written = found.export(tmp_path / "out")
    assert not {"model.onnx", "model.pt2", "load.py"} & {file.name for file in written} and all(
        file.is_file() for file in written
    )
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    for way in ("to ONNX", "by torch.export"):
        start = f"Not all files of the network were written: It cannot be exported {way} ("
        (sentence,) = [note for note in found.notes if note.startswith(start)]
        assert sentence in report
    before = list(found.notes)
    found.export(tmp_path / "out")
    assert found.notes == before


def test_the_report_shows_the_exported_engine_and_no_teacher_where_nothing_was_trained(task, tmp_path, trainings):
    claimed = Point(0, {"engine": "ONNX Runtime int8", "teacher": 0.9}, 12.0, 5, 1e-9)
    kept = KeptNetworks(task, "")
    kept.add(claimed, task.model, {"channels": {}, "ranks": {}})
    found = Search(task, Goal(), Point(-1, {}, 90.0, 100, 1.0), kept, [claimed])
    found.failed, found.notes = ["ValueError: too small.", "no", "no"], ["A note."]
    found.export(tmp_path, claimed)
    session = onnxruntime.InferenceSession(tmp_path / "model.int8.onnx")
    right = (session.run(None, {"x": VALIDATION[0].numpy()})[0].argmax(1) == VALIDATION[1].numpy()).mean()
    exported = json.loads((tmp_path / "config.json").read_text())["exported"]
    assert exported["accuracy"] == pytest.approx(100 * right)
    assert exported["bytes"] == (tmp_path / "model.int8.onnx").stat().st_size
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    techniques, results = report.split("# Results")[0], report.split("# Time")[0]
    assert "taught" not in results and "computed by ONNX Runtime int8" in techniques
    assert "During the search: 12.00 %" in results and "- A note." in report
    assert "Trials that failed (1): ValueError: too small." in report and "Trials that failed (2): no" in report
    assert not trainings


def test_a_network_for_an_accelerator_is_measured_there_and_its_files_run_anywhere(trained, tmp_path):
    with device.stand_in():
        found = search(trained, Goal(max_drop=100.0), engine_names=["eager float32"], device="accelerator", trials=1)
        point = replace(found.original, number=0, config={"engine": "eager float32"})
        found.kept.add(point, found.task.model, {"channels": {}, "ranks": {}})
        written = found.export(tmp_path, point)
    assert {"model.pt2", "model.onnx", "load.py"} <= {file.name for file in written}
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "in the process of the search, because load.py can't run its engine" in report
    assert "memory that a call allocates on the device" in report and "Energy is unknown" in report
