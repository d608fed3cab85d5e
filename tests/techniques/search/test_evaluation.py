"""A candidate's figures are its engine's, its file's, and its share of the original's time."""

import time
from dataclasses import replace

import pytest
import torch

from nnopt_lab.techniques.deployment import ENGINES, EngineUnavailable
from nnopt_lab.techniques.search import evaluation
from nnopt_lab.techniques.search.points import Goal
from nnopt_lab.workbench import device, measure, training
from tests.techniques.search.small_search import known_machine


def test_a_point_s_figures(task):
    baseline = ENGINES["eager float32"](task.model, task.calibration)
    with known_machine():
        point = evaluation.measured_point(task, 7, {}, task.model, baseline, 3.0, task.inputs(2))
    seen = training.evaluate(task.model, task.pictures.validation, task.pictures)
    assert (point.number, point.accuracy, point.bytes) == (7, seen.accuracy, baseline.bytes)
    assert point.latency == pytest.approx(1.5), "half of the original's time, as the second of two"


def candidate_s_points(task, monkeypatch, speed, accuracy, goal, sizes=None):
    """The points of a candidate on engines of known speed, accuracy and size; and those whose accuracy was measured."""
    measured = []

    class Seen:
        def __init__(self, name):
            self.accuracy = accuracy[name]

    def evaluated(engine, *_, **__):
        measured.append(engine.name)
        return Seen(engine.name)

    def built(_, __, names, *___):
        eager = ENGINES["eager float32"](task.model, task.calibration)
        return {n: replace(eager, name=n, bytes=(sizes or {}).get(n, 100)) for n in names}, {}

    monkeypatch.setattr(evaluation, "build_engines", built)
    monkeypatch.setattr(evaluation, "fastest_seconds", lambda models, *_: {"original": 10.0} | speed)
    monkeypatch.setattr(evaluation.training, "evaluate", evaluated)
    points, _ = evaluation.measured_points(task, 3, {}, task.model, None, 10.0, task.inputs(1), list(speed), goal)
    return points, measured


A, B, C, D = "A float32", "B float32", "C int8", "D int8"


@pytest.mark.parametrize(
    ("speed", "accuracy", "winners", "measured"),
    [
        ({A: 3.0, B: 2.0}, {A: 90.0, B: 90.0}, [B], [B]),
        ({A: 3.0, B: 2.0, C: 1.0}, {A: 90.0, B: 90.0, C: 89.0}, [C, B], [C, B]),
        ({A: 3.0, B: 2.0, C: 1.0}, {A: 90.0, B: 90.0, C: 90.0}, [C], [C, B]),
        ({A: 1.0, C: 2.0, D: 0.5}, {A: 90.0, C: 95.0, D: 80.0}, [D, A], [D, A]),
        ({C: 1.0, D: 2.0}, {C: 90.0, D: 91.0}, [C, D], [C, D]),
        ({C: 1.0, D: 2.0}, {C: 90.0, D: 90.0}, [C], [C, D]),
    ],
)
def test_engines_that_no_other_beats(task, monkeypatch, speed, accuracy, winners, measured):
    points, seen = candidate_s_points(task, monkeypatch, speed, accuracy, Goal())
    assert [p.config["engine"] for p in points] == winners and seen == measured
    assert all(p.latency == speed[p.config["engine"]] for p in points)
    assert all(p.accuracy == accuracy[p.config["engine"]] and p.number == 3 for p in points)


def test_a_slower_engine_with_a_smaller_file_is_kept_if_bytes_count(task, monkeypatch):
    speed, accuracy, sizes = {A: 1.0, C: 2.0}, {A: 90.0, C: 90.0}, {A: 100, C: 25}
    for goal, winners in ((Goal(), [A]), (Goal("bytes"), [C]), (Goal(max_bytes=50), [A, C])):
        points, _ = candidate_s_points(task, monkeypatch, speed, accuracy, goal, sizes)
        assert [p.config["engine"] for p in points] == winners


def test_engines_that_cannot_win_are_left_out():
    original = {"eager float32": 4.0, "bf16": 3.1, "ONNX Runtime float32": 1.0, "OpenVINO int8": 3.5}
    assert evaluation.contenders(original, with_bytes=False) == ["ONNX Runtime float32"]
    assert evaluation.contenders(original, with_bytes=True) == ["ONNX Runtime float32", "OpenVINO int8"]
    assert evaluation.contenders({"eager float32": 4.0}, with_bytes=False) == ["eager float32"]
    fast = {"eager float32": 4.0, "OpenVINO int8": 0.5}
    assert evaluation.contenders(fast, with_bytes=False) == ["OpenVINO int8", "eager float32"], "int8 may lose too much"


def test_eager_torch_is_the_last_resort(task, monkeypatch):
    def failing(*_):
        raise TypeError("a fault")

    monkeypatch.setitem(ENGINES, "bf16", failing)
    baseline = ENGINES["eager float32"](task.model, task.calibration)
    with known_machine():
        points, missing = evaluation.measured_points(
            task, 7, {}, task.model, baseline, 3.0, task.inputs(2), ["bf16"], Goal()
        )
    assert [p.config["engine"] for p in points] == ["eager float32"]
    assert missing == {"bf16": "It does not run this model (TypeError: a fault)."}
    monkeypatch.setitem(ENGINES, "eager float32", failing)
    with pytest.raises(EngineUnavailable, match="bf16 does not run this model: It does not run this model"):
        evaluation.measured_points(task, 7, {}, task.model, baseline, 3.0, task.inputs(2), ["bf16"], Goal())


@pytest.mark.parametrize(("threads", "clock"), [(1, time.process_time), (2, None)])
def test_the_fastest_round_counts_on_one_thread_in_the_processor_s_time(threads, clock, monkeypatch):
    def latency(models, batch, rounds, budget_seconds, clock):
        clocks.append(clock)
        return {name: measure.Timing((3.0 * scale, scale, 2.0 * scale), 1) for name, scale in models.items()}

    clocks = []
    monkeypatch.setattr(measure, "latency", latency)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert evaluation.fastest_seconds({"one": 1.0, "two": 2.0}, torch.zeros(1, 3)) == {"one": 1.0, "two": 2.0}
    assert clocks == [clock]
    with device.stand_in():  # whose work the processor's time does not show
        evaluation.fastest_seconds({"one": 1.0}, torch.zeros(1, 3))
    assert clocks == [clock, None]
