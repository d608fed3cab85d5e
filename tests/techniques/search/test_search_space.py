"""Starts lie in the space that the sampler draws from, and sensitivity decides which groups they narrow."""

import pytest
import torch

from nnopt_lab.techniques.search import candidates
from nnopt_lab.techniques.search.points import Goal
from nnopt_lab.techniques.search.search_space import Space, sensitivity

TWO = {"eager float32": 2.0, "ONNX Runtime int8": 1.0}


@pytest.mark.parametrize("goal", [Goal(), Goal("bytes"), Goal(max_bytes=1000)], ids=["latency", "bytes", "both"])
def test_every_start_is_drawn_from_the_space(task, goal):
    space = Space(task, goal, TWO)
    drawn = space.distributions()
    starts = space.starts(dict.fromkeys(space.groups, (1.0, 0.5)))
    assert len(starts) > 5
    for start in starts:
        assert start.keys() == drawn.keys()
        assert all(d._contains(d.to_internal_repr(start[name])) for name, d in drawn.items())
        candidates.shape(task.model, task.inputs(1), space.config(start))
    assert ("bits" in drawn) == goal.counts_bytes


def test_neutral_knobs_change_nothing(task):
    space = Space(task, Goal(), TWO)
    starts = [space.config(start) for start in space.starts(dict.fromkeys(space.groups, (0.0, 0.0)))]
    assert starts[0] == {"engine": "ONNX Runtime int8", "teacher": 0.9}
    assert {"engine": "eager float32", "teacher": 0.9} not in starts, "that is the original"


def test_the_least_sensitive_group_is_narrowed_most(task):
    space = Space(task, Goal(), {"eager float32": 1.0})
    starts = space.starts({"0": (5.0, 0.5), "4": (0.1, 0.5), "7": (1.0, 0.5)})
    by_sensitivity = [space.config(start)["channels"] for start in starts if start["width of 4"] < start["width of 0"]]
    assert by_sensitivity[0] == {"4": 0.375, "7": 0.75}, "0 keeps all its channels at a width of 0.75"


def test_half_of_a_group_is_removed(task):
    found = sensitivity(task, ["7"], lambda model: sum(p.numel() for p in model.parameters()))
    halved = 16 * 129 + 16 * 3
    assert found["7"][1] == pytest.approx(halved / sum(p.numel() for p in task.model.parameters()))
    half, _ = candidates.shape(task.model, task.inputs(1), {"channels": {"7": 0.5}})
    images, labels = task.pictures.validation.images, task.pictures.validation.labels
    with torch.no_grad():
        right = [(model(images).argmax(1) == labels).float().mean().item() for model in (task.model, half)]
    assert found["7"][0] == pytest.approx(max(100 * (right[0] - right[1]), 0), abs=1e-4)
