"""Recorded results: read as they ship, made again on request, and named when they are missing."""

import json
import math

import pytest

from nnopt_lab.course import recordings
from nnopt_lab.course.recordings import record, recorded
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
    with pytest.raises(
        FileNotFoundError, match=r"tiny\.json is missing: restore it .* or recreate it with `nnopt record tiny`"
    ):
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
