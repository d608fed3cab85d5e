"""Starts lie in the space that the sampler draws from, and sensitivity decides which groups they narrow."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques.search import candidates
from nnopt_lab.techniques.search.autotune import optimize
from nnopt_lab.techniques.search.points import Goal
from nnopt_lab.techniques.search.search_space import Space, sensitivity
from tests.techniques import habits
from tests.techniques.habits import X
from tests.techniques.search.small_search import known_machine


@pytest.mark.parametrize("goal", [Goal(), Goal("bytes"), Goal(max_bytes=1000)], ids=["latency", "bytes", "both"])
def test_every_start_is_drawn_from_the_space(task, goal):
    space = Space(task, goal)
    drawn = space.distributions()
    starts = space.starts(dict.fromkeys(space.groups, (1.0, 0.5)))
    assert len(starts) > 5
    for start in starts:
        assert start.keys() == drawn.keys()
        assert all(d._contains(d.to_internal_repr(start[name])) for name, d in drawn.items())
        candidates.shape(task.model, task.inputs(1), space.config(start))
    assert ("bits" in drawn) == goal.counts_bytes


def test_neutral_knobs_change_nothing(task):
    space = Space(task, Goal())
    sensitive = dict.fromkeys(space.groups, (0.0, 0.0))
    starts, others = ([space.config(start) for start in space.starts(sensitive, plain)] for plain in (True, False))
    assert starts == [{}, *others] and {} not in others


def test_the_plain_network_and_half_of_it_are_among_the_starts_of_six_trials(task):
    space = Space(task, Goal())
    starts = [space.config(start) for start in space.starts(dict.fromkeys(space.groups, (1.0, 0.5)))[:3]]
    assert {} in starts and {"channels": dict.fromkeys(space.groups, 0.5)} in starts


@given(st.floats(0.25, 1.0), st.sampled_from([0.5, 0.75, 1.0, 1.25, 1.5]))
def test_equal_networks_have_equal_configurations(width, factor):
    space = Space.__new__(Space)
    space.groups, space.shared = {"0": 8, "4": 8, "7": 32}, []
    params = {"teacher": 0.5, "width": width} | {f"width of {g}": factor for g in space.groups}
    config = space.config(params)
    channels = config.get("channels", {})
    for group, size in space.groups.items():
        wanted = min(max(width * factor, 0.125), 1.0) * size
        count = round(channels.get(group, 1.0) * size)
        assert abs(count - wanted) <= (2 if size == 32 else 1) and count >= 1 and (group in channels) == (count < size)
        assert size < 32 or count % 4 == 0, "kernels compute four channels or more at a time"
    assert config.get("teacher") == (0.5 if channels else None)


def test_the_least_sensitive_group_is_narrowed_most(task):
    space = Space(task, Goal())
    starts = space.starts({"0": (5.0, 0.5), "4": (0.1, 0.5), "7": (1.0, 0.5)})
    by_sensitivity = [space.config(start)["channels"] for start in starts if start["width of 4"] < start["width of 0"]]
    assert {"4": 0.375, "7": 0.75} in by_sensitivity, "0 keeps all its channels at a width of 0.75"


@pytest.mark.parametrize("least", [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0])
def test_halving_finds_the_narrowest_width_within_the_limits(task, least):
    space, tried = Space(task, Goal()), {}
    while (width := space.next_width(0.5, tried.get)) is not None:
        assert width in space.widths() and width not in tried
        tried[width] = width >= least
    assert min((w for w, good in tried.items() if good), default=1.0) == max(least, 0.25) and len(tried) <= 3


def test_half_of_a_group_is_removed(task):
    found = sensitivity(task, ["7"], lambda model: sum(p.numel() for p in model.parameters()))
    halved = 16 * 129 + 16 * 3
    assert found["7"][1] == pytest.approx(halved / sum(p.numel() for p in task.model.parameters()))
    half, _ = candidates.shape(task.model, task.inputs(1), {"channels": {"7": 0.5}})
    images, labels = task.pictures.validation.images, task.pictures.validation.labels
    with torch.no_grad():
        right = [(model(images).argmax(1) == labels).float().mean().item() for model in (task.model, half)]
    assert found["7"][0] == pytest.approx(max(100 * (right[0] - right[1]), 0), abs=1e-4)


pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm")
HOOKED, TIED = "Channels were not removed: model changes its output", "Weights were not pruned and shared: model's"


@pytest.mark.parametrize(
    ("habit", "goal", "note"),
    [
        ("plain", "bytes", ""),
        ("counts_channels_in_a_hook", "latency", HOOKED),
        ("counts_channels_in_a_hook", "bytes", HOOKED),
        ("layer_with_a_forward_of_the_instance", "bytes", "Channels were not removed: model does not run with fewer"),
        ("tied_linears", "bytes", ""),
        ("head_tied_to_an_embedding", "bytes", ""),
        ("shared_blocks", "bytes", ""),
        ("tied_and_masked", "bytes", f"{TIED} layers 'b' and 'c' share a weight"),
        ("masked_by_the_library", "bytes", ""),
        ("masked_norms", "bytes", f"{TIED} layer 'norm_a' has a pruning mask"),
        ("old_weight_norm", "bytes", f"{TIED} layer 'b' has weight_norm"),
        ("prepared_for_quantisation", "bytes", f"{TIED} layer '0' has the parametrisation"),
        ("weight_that_a_hook_makes", "bytes", f"{TIED} layer 'b' has custom code"),
        ("attention", "latency", ""),
    ],
)
def test_what_a_network_does_not_allow_is_a_note_and_the_rest_is_searched(habit, goal, note):
    data = X.repeat(8, 1, 1, 1), torch.arange(24) % 5
    with known_machine():
        found = optimize(
            habits.build(habit), data, data, goal=Goal(goal, max_drop=100.0), trials=4, epochs=1, engine_names=()
        )
    exhausted = any("found no new configuration" in said for said in found.notes)
    assert not found.failed and len(found.points) == (1 if exhausted else 4)
    assert exhausted == (habit == "prepared_for_quantisation"), "of which nothing can be changed"
    assert any(said.startswith(note) for said in ["", *found.notes])


@pytest.mark.parametrize(
    ("habit", "sentence"),
    [
        ("other_in_training", "model cannot be trained: Net returns a tuple; it must return one tensor, the logits."),
        ("forward_of_the_instance", "model cannot be trained: its outputs do not depend on its trainable parameters"),
        ("a_lock", "model cannot be copied"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(habit, sentence):
    data = X, torch.arange(3)
    with pytest.raises(ValueError, match=sentence):
        optimize(habits.build(habit), data, data, trials=1)


def test_a_network_of_functions_has_no_layers_to_estimate():
    class Functions(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(192, 5))

        def forward(self, x):
            return x.flatten(1) @ self.weight

    data = X.repeat(8, 1, 1, 1), torch.arange(24) % 5
    for goal in ("latency", "bytes"):
        with known_machine():
            found = optimize(
                Functions(), data, data, goal=Goal(goal, max_drop=100.0), trials=2, epochs=1, engine_names=("bf16",)
            )
        assert not found.failed and len(found.points) == 1
        assert "The search ended after 1 trials, because it found no new configuration." in found.notes
