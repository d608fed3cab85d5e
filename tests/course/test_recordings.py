"""Recorded results: read as they ship, made again on request, and named when they are missing."""

import json
import math

import pytest

from nnopt_lab.course import recordings
from nnopt_lab.course.recordings import record, recorded
from nnopt_lab.lessons.batch_sizes import experiments as batch_sizes
from nnopt_lab.lessons.convolutions import experiments as convolutions
from nnopt_lab.lessons.learning_rates import experiments as learning_rates
from nnopt_lab.lessons.pruning.experiments import SEEDS, SPARSITIES
from nnopt_lab.workbench.paths import data_dir


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """An experiment that takes no time, and a data folder of its own."""
    runs = []
    monkeypatch.setattr(recordings, "data_dir", lambda: tmp_path)
    monkeypatch.setitem(recordings.experiments(), "tiny", lambda: runs.append(1) or {"accuracy": [91.5, len(runs)]})
    return tmp_path / "recorded" / "tiny.json", runs


def test_every_run_gets_every_seed_and_its_results_stand_in_their_order():
    calls = []
    runs = {"half": lambda seed: calls.append(("half", seed)) or seed / 2, ("pair", 1): lambda seed: (seed, "x")}
    assert recordings.over_seeds(runs, (4, 2), "runs") == {"half": [2, 1], ("pair", 1): [(4, "x"), (2, "x")]}
    assert calls == [("half", 4), ("half", 2)]


def test_a_recording_is_written_once_and_read_without_running_anything(tiny):
    file, runs = tiny
    made = record("tiny")
    assert file.is_file() and made["result"] == {"accuracy": [91.5, 1]}
    assert recorded("tiny") == made == json.loads(file.read_text(encoding="utf-8"))
    assert len(runs) == 1


def test_a_recording_says_where_it_comes_from(tiny):
    made = record("tiny")
    assert made["command"] == "nnopt record tiny"
    assert made["versions"].keys() == {"torch", "python"} and made["processor"] and made["threads"] >= 1


def test_live_runs_again_and_leaves_the_recording_as_it_is(tiny):
    file, _ = tiny
    record("tiny")
    before = file.read_bytes()
    assert recorded("tiny", live=True)["result"]["accuracy"] == [91.5, 2]
    assert file.read_bytes() == before


def test_live_needs_no_recording(tiny):
    assert recorded("tiny", live=True)["result"]["accuracy"] == [91.5, 1]
    assert not tiny[0].exists()


def test_a_missing_recording_is_named_with_the_command_that_makes_it(tiny):
    with pytest.raises(FileNotFoundError, match=r"tiny\.json is missing: make it again with `nnopt record tiny`"):
        recorded("tiny")


@pytest.mark.parametrize("call", [record, recorded, lambda name: recorded(name, live=True)])
def test_an_experiment_that_there_is_not_is_answered_with_those_that_there_are(call):
    with pytest.raises(ValueError, match=r"name='nope' is not a recorded experiment; choose one of .*pruning_sweep"):
        call("nope")


def test_an_experiment_that_fails_leaves_the_recording_as_it_is(tiny, monkeypatch):
    file, _ = tiny
    record("tiny")
    before = file.read_bytes()
    monkeypatch.setitem(recordings.experiments(), "tiny", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        record("tiny")
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", recordings.experiments())
def test_what_ships_is_complete_and_finite(name):
    if not (data_dir() / "recorded" / f"{name}.json").is_file():
        pytest.skip(f"{name} has not been recorded yet")

    def leaves(value):
        if isinstance(value, dict):
            value = list(value.values())
        return [leaf for v in value for leaf in leaves(v)] if isinstance(value, list) else [value]

    shipped = recorded(name)
    assert shipped["command"] == f"nnopt record {name}"
    assert all(math.isfinite(leaf) for leaf in leaves(shipped["result"]) if not isinstance(leaf, str))


def test_the_shipped_sweep_has_the_shape_that_it_promises():
    if not (data_dir() / "recorded" / "pruning_sweep.json").is_file():
        pytest.skip("the sweep has not been recorded yet")
    result = recorded("pruning_sweep")["result"]
    assert result["sparsities"] == list(SPARSITIES) and result["seeds"] == list(SEEDS)
    assert len(result["dense"]) == len(SEEDS)
    for method in ("one shot, no fine-tuning", "one shot", "in levels", "random"):
        assert [len(row) for row in result[method]] == [len(SPARSITIES)] * len(SEEDS)
        assert all(0 <= accuracy <= 100 for row in result[method] for accuracy in row)


def test_the_shipped_convolution_experiments_have_the_shape_that_they_promise():
    knobs, blocks = (recorded(f"convolution_{name}")["result"] for name in ("knobs", "blocks"))
    assert {knob: list(found) for knob, found in knobs["accuracy"].items()} == {
        knob: list(settings) for knob, settings in convolutions.KNOBS.items()
    }
    assert list(blocks["accuracy"]) == list(convolutions.BLOCKS)
    for accuracies in (
        *(a for found in knobs["accuracy"].values() for a in found.values()),
        *blocks["accuracy"].values(),
    ):
        assert len(accuracies) == len(convolutions.SEEDS) and all(10 < accuracy < 100 for accuracy in accuracies)


@pytest.mark.parametrize("name", ["batch_size_race", "batch_policies", "batch_crops"])
def test_the_shipped_batch_size_experiments_have_the_shape_that_they_promise(name):
    if not (data_dir() / "recorded" / f"{name}.json").is_file():
        pytest.skip(f"{name} has not been recorded yet")
    result = recorded(name)["result"]
    if name == "batch_size_race":
        for kind in ("reached", "steps", "examples", "noise_scale"):
            assert [len(row) for row in result[kind]] == [len(result["seeds"])] * len(result["sizes"])
        assert len(result["rates"]) == len(result["tuning"]) == len(result["sizes"])
    elif name == "batch_policies":
        for kind in ("accuracy", "updates"):
            assert {policy: len(values) for policy, values in result[kind].items()} == batch_sizes.POLICY_SEEDS
        assert [len(row) for row in result["chosen"]] == [batch_sizes.POLICY_EPOCHS] * len(result["chosen"])
    else:
        assert list(result["accuracy"]) == list(batch_sizes.CROP_WAYS)
        assert all(len(values) == len(result["seeds"]) for values in result["accuracy"].values())


@pytest.mark.parametrize("name", ["first_rates", "learning_rate_peaks", "learning_rate_race"])
def test_the_shipped_learning_rate_experiments_have_the_shape_that_they_promise(name):
    if not (data_dir() / "recorded" / f"{name}.json").is_file():
        pytest.skip(f"{name} has not been recorded yet")
    result = recorded(name)["result"]
    if name == "first_rates":
        assert result["rates"] == list(learning_rates.FIRST_RATES)
        assert all(len(setting["loss"]) == len(result["rates"]) for setting in result["settings"])
        assert all(0 < loss <= learning_rates.GUESSING for s in result["settings"] for loss in s["loss"])
    elif name == "learning_rate_peaks":
        best = {schedule: float(min(tried, key=tried.get)) for schedule, tried in result.items()}
        assert best == learning_rates.PEAKS
    else:
        assert list(result["schedules"]) == list(learning_rates.PEAKS)
        for run in (*result["schedules"].values(), result["best"]):
            assert [len(looks) for looks in run["validation"]] == [len(result["epochs"])] * len(result["seeds"])
            assert len(run["test"]) == len(result["baseline"]) == len(result["seeds"])


def test_parts_of_an_epoch_hold_every_picture_once_and_each_epoch_is_in_another_order():
    batches = learning_rates.Parts(100, 8, parts=3, seed=0)
    epochs = []
    for _ in range(2):
        parts = [list(batches) for _ in range(3)]
        assert [len(part) for part in parts[:2]] == [len(batches)] * 2
        epochs.append([i for part in parts for batch in part for i in batch])
    assert all(sorted(order) == list(range(100)) for order in epochs) and epochs[0] != epochs[1]
