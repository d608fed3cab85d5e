"""A preflight says what a search would do, with the same checks, and stores nothing."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import nnopt_lab
from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.convolutions import low_rank
from nnopt_lab.techniques.deployment import ENGINES
from nnopt_lab.techniques.pruning import dependency_graph
from nnopt_lab.techniques.search.points import EAGER, Goal
from nnopt_lab.techniques.search.preflight import preflight
from tests.techniques import habits
from tests.techniques.search.odd_inputs import NETWORKS
from tests.techniques.search.small_search import TRAIN, VALIDATION, build, same_weights

FEW = {"engine_names": ()}


def text(found):
    return "\n".join(f"{label}: {said}" for label, said in found.rows)


@pytest.fixture(scope="module")
def found(trained_once):
    return preflight(trained_once, TRAIN, VALIDATION, goal="bytes", class_names=["red", "green", "blue"])


@pytest.fixture(scope="module")
def trained_once():
    return build()


def test_it_names_what_would_be_searched(found, trained_once):
    groups = dependency_graph.channel_groups(trained_once, VALIDATION[0][:1])
    assert found.groups == {group.name: group.size for group in groups if group.removable}
    assert set(found.factorisable) == set(low_rank.factorisable(trained_once))
    assert set(found.shared) == set(pruning.prunable(trained_once))
    said = text(found)
    assert "256 pictures to train on and 200 to validate on, as float32 [3, 8, 8]; 3 classes: red, green, blue" in said
    assert "3 groups: 0 (8), 4 (8), 7 (32)" in said and "Sequential, 5,051 parameters" in said
    assert repr(found).count("\n") == len(found.rows) - 1 and nnopt_lab.preflight is preflight


def test_the_original_is_evaluated_and_left_as_it_is(found, trained_once):
    with torch.no_grad():
        right = (trained_once(VALIDATION[0]).argmax(1) == VALIDATION[1]).double().mean()
    assert found.accuracy == pytest.approx(100 * right.item(), abs=1e-3)
    assert same_weights(trained_once, build()) and not trained_once.training


def test_what_cannot_lose_channels_is_said_with_its_reason():
    found = preflight(habits.build("tied_linears"), (habits.X, [0, 1, 2]), (habits.X, [0, 1, 2]), **FEW)
    assert found.frozen and all(found.frozen.values())
    assert any(label == "keep channels" and "is tied with" in said for label, said in found.rows)


def test_what_cannot_be_traced_is_a_note():
    found = preflight(NETWORKS["a branch on the data"][0](), TRAIN, VALIDATION, **FEW)
    assert not found.groups and any(note.startswith("Channels were not removed: ") for note in found.notes)
    assert "lose channels: none" in text(found)


def test_engines_that_do_not_run_are_said_with_the_reason(monkeypatch):
    def failing(model, calibration):
        raise TypeError("no")

    monkeypatch.setitem(ENGINES, "bf16", failing)
    found = preflight(build(), TRAIN, VALIDATION, engine_names=["bf16", "channels-last float32"])
    assert set(found.engines) == {EAGER, "channels-last float32"} and list(found.missing) == ["bf16"]
    assert "not bf16: It does not run this model (TypeError: no)." in text(found)
    assert "engines: eager float32, channels-last float32" in text(found)


def test_the_estimate_grows_with_the_work(monkeypatch):
    monkeypatch.setattr("nnopt_lab.techniques.search.preflight._step_seconds", lambda task: 3.0)
    few = preflight(build(), TRAIN, VALIDATION, trials=10, epochs=1, **FEW)
    assert few.minutes == pytest.approx(10 * 2 * 3.0 / 60, rel=0.8), "ten trials of two steps"
    more = preflight(build(), TRAIN, VALIDATION, trials=10, epochs=4, **FEW)
    assert 2 < more.minutes / few.minutes < 4
    longer = preflight(build(), TRAIN, VALIDATION, trials=100, epochs=1, **FEW)
    assert 9 < longer.minutes / few.minutes < 11
    smaller = preflight(build(), TRAIN, VALIDATION, trials=10, epochs=1, goal="bytes", **FEW)
    assert smaller.minutes > 1.5 * few.minutes, "a compressed network is trained twice"


def test_times_are_written_for_people(found):
    assert "about a minute for 1 trial of 2 epochs" in replace(found, trials=1, minutes=0.2).rows[-2][1]
    assert "about 34 minutes for 40 trials" in replace(found, minutes=34.2).rows[-2][1]
    assert "about 5.0 hours" in replace(found, minutes=300.0).rows[-2][1]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"trials": 0}, "trials=0"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"goal": "size"}, "target='size'"),
        ({"engine_names": ["abacus"]}, "'abacus'"),
        ({"device": "gpu"}, "device='gpu'"),
        ({"to_input": lambda x: x.double()}, "to_input returns float64"),
    ],
)
def test_arguments_out_of_their_range(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        preflight(build(), TRAIN, VALIDATION, **options)


def test_a_network_that_cannot_be_searched_is_refused():
    with pytest.raises(ValueError, match="model returns 1 logit per picture"):
        preflight(nn.Sequential(nn.Flatten(), nn.Linear(192, 1)), TRAIN, VALIDATION)


def test_a_goal_is_kept():
    goal = Goal(max_drop=3.0, batch=5)
    found = preflight(build().double(), TRAIN, VALIDATION, goal=goal, **FEW)
    assert found.goal == goal and not found.shared and any("float64" in note for note in found.notes)
    assert "shared weights" not in text(found)
