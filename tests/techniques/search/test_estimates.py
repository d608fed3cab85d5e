"""Estimates: what a file will take, how they are corrected, and when a trial cannot win any more."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques.search import candidates, evaluation
from nnopt_lab.techniques.search.estimates import CostEstimates, corrected, predicted_bytes, should_stop
from nnopt_lab.techniques.search.points import Goal
from nnopt_lab.workbench import device
from tests.techniques.search.small_search import build, known_machine

accuracies = st.floats(0, 100)


@given(accuracies, st.floats(0, 9), st.lists(st.floats(-5, 30)), st.floats(0, 9), accuracies)
def test_only_what_cannot_win_is_stopped(accuracy, cost, gains, other, floor):
    # It can win if it may end above the floor, and there either cheaper or better than the one that is finished.
    highest = max((accuracy + gain for gain in gains), default=None)
    can_win = highest is None or (highest >= floor and (cost < other or highest > 90.0))
    assert should_stop(accuracy, cost, gains, [(90.0, other)], floor) is not can_win


@pytest.mark.parametrize(
    ("config", "int8", "wanted"),
    [
        ({}, False, 4 * 24 + 4 * 3),
        ({}, True, 24 + 4 * 3),
        ({"sparsity": 0.5}, False, 4 * 24 + 4 * 3),
        ({"sparsity": 0.5, "bits": {"0": 4}}, False, 12 / 2 + 4 * 3),
        ({"sparsity": 0.5, "bits": {"0": 4}}, True, 12 / 2 + 4 * 3),
    ],
)
def test_bytes_of_a_layer_of_24_weights_and_3_biases(config, int8, wanted):
    assert predicted_bytes(nn.Sequential(nn.Linear(8, 3)), config, int8) == wanted


def test_finished_trials_correct_what_is_predicted():
    finished = [
        {"figures": {"bytes": 30}, "predicted": {"bytes": 10}},
        {"figures": {"bytes": 8}, "predicted": {"bytes": 4}},
    ]
    assert corrected({"bytes": 5}, finished, min) == {"bytes": 10}
    assert corrected({"bytes": 5}, finished, statistics.median) == {"bytes": 12.5}


def test_latency_is_a_share_of_the_fastest_engine_s(task):
    baseline = {"eager float32": 2.0, "ONNX Runtime int8": 0.5}
    with known_machine():
        estimates = CostEstimates(task.model, Goal(), task.inputs(1), baseline)
        assert estimates.predict(build(), {})["latency"] == pytest.approx(0.5)
    assert "latency" not in CostEstimates(task.model, Goal("bytes"), task.inputs(1), baseline).predict(build(), {})


def test_on_an_accelerator_networks_are_timed_before_their_training(task, monkeypatch):
    with device.stand_in():
        here, seen = device.accelerator(), []

        def timed(models, batch, budget):
            (model,) = models.values()
            seen.append(model)
            return {name: model[0].out_channels / 8 for name in models}

        monkeypatch.setattr(evaluation, "fastest_seconds", timed)
        baseline = {"eager float32": 2.0, "CUDA graph bf16": 0.5}
        estimates = CostEstimates(task.model, Goal(), task.inputs(1), baseline, here)
        narrow, _ = candidates.shape(task.model, task.inputs(1), {"channels": {"0": 0.5}})
        assert estimates.predict(narrow, {})["latency"] == pytest.approx(0.25)
        assert estimates.predict(narrow, {})["latency"] == pytest.approx(0.25)
        assert len(seen) == 3  # the original once
        assert all(model is not task.model and model is not narrow for model in seen)
