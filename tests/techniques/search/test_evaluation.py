"""A candidate's figures are its engine's, its file's, and its share of the original's time."""

import time

import pytest
import torch

from nnopt_lab.techniques.deployment import ENGINES
from nnopt_lab.techniques.search import evaluation
from nnopt_lab.workbench import device, measure, training
from tests.techniques.search.small_search import known_machine


def test_a_point_s_figures(task):
    baseline = ENGINES["eager float32"](task.model, task.calibration)
    with known_machine():
        point = evaluation.measured_point(task, 7, {}, task.model, baseline, 3.0, task.inputs(2))
    seen = training.evaluate(task.model, task.pictures.validation, task.pictures)
    assert (point.number, point.accuracy, point.bytes) == (7, seen.accuracy, baseline.bytes)
    assert point.latency == pytest.approx(1.5), "half of the original's time, as the second of two"


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
