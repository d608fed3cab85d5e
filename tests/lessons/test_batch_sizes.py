"""Lesson 04: its exercises compared with torch, torchvision and numpy, its playground, its recordings."""

import copy
from statistics import median

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchvision.transforms.v2.functional import crop

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.batch_sizes import experiments
from nnopt_lab.lessons.batch_sizes import playground as playground_module
from nnopt_lab.lessons.batch_sizes.playground import SIZES, batch_playground
from nnopt_lab.lessons.batch_sizes.steps import training_step
from nnopt_lab.workbench import data, measure, models
from tests.lessons.playgrounds import goals, shown, ticks


def largest_by_numpy(size1, bytes1, size2, bytes2, limit):
    each, fixed = np.polyfit([size1, size2], [bytes1, bytes2], 1)
    return int(np.floor((limit - fixed) / each + 1e-6))


def noise_scale_by_numpy(small, big, small_norm, big_norm):
    signal, noise = np.linalg.solve([[1, 1 / small], [1, 1 / big]], np.square([small_norm, big_norm]))
    return float(noise / signal)


COUNTERPARTS = {
    "batches.updates": lambda count, batch_size, epochs, drop_last: (
        epochs * len(DataLoader(range(count), batch_size, drop_last=drop_last))
    ),
    "batches.largest_batch": largest_by_numpy,
    "batches.simple_noise_scale": noise_scale_by_numpy,
    "batches.accumulate": lambda gradients, sizes: torch.from_numpy(
        np.average(torch.stack(gradients).numpy(), axis=0, weights=sizes)
    ),
    "batches.crop_batch": lambda images, top, left, size: torch.stack(
        [crop(image, int(t), int(c), size, size) for image, t, c in zip(images, top, left, strict=True)]
    ),
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_the_reference_agrees_with_another_library(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(100))
    assert verdict.passed, verdict


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    return {"fresh": models.MyNet(), "trained": models.trained("mynet")}


def test_the_playground_shows_angles_and_speeds_by_size_and_leaves_the_networks_alone(networks):
    before = copy.deepcopy({name: model.state_dict() for name, model in networks.items()})
    playground = batch_playground(networks, data.load("fashion"))
    text, _ = shown(playground)
    assert "563 updates per epoch" in text  # 18,000 pictures in batches of 32
    text, (angles, speeds) = shown(playground, batch_size=128)
    assert "141 updates per epoch" in text
    theory, *dots = angles.lines
    scale = (theory.get_ydata()[0] ** -2 - 1) * float(theory.get_xdata()[0])
    np.testing.assert_allclose(theory.get_ydata(), (1 + scale / np.asarray(theory.get_xdata())) ** -0.5, rtol=1e-4)
    assert float(text.split("noise scale about ")[1].replace(",", "")) == pytest.approx(scale, rel=0.01, abs=0.5)
    assert [(set(line.get_xdata()), len(line.get_ydata())) for line in dots] == [({32}, 24), ({128}, 32)]
    assert f"true gradient <b>{median(dots[-1].get_ydata()):.2f}</b>" in text
    assert all(ax.get_legend() is None for ax in (angles, speeds)) and angles.figure.legends
    speed, here = speeds.lines
    assert list(speed.get_xdata()) == [32, 128] and speed.get_label() == "fresh" and here.get_xdata() == [128, 128]
    assert text.startswith(f"<b>{speed.get_ydata()[1]:,.0f} pictures/s</b>")
    text, _ = shown(playground, batch_size=512)  # whose bytes are on the line through two small sizes
    inputs = data.load("fashion").to_input(data.load("fashion").train.images[:512])
    needed = measure.peak_memory(lambda x: networks["fresh"](x).sum().backward(), inputs)
    networks["fresh"].zero_grad()
    assert f" · {measure.format_bytes(needed)} for one step" in text
    _, (_, speeds) = shown(playground, network="trained")
    assert [line.get_label() for line in speeds.lines[:2]] == list(networks)
    for name, model in networks.items():
        assert all(torch.equal(before[name][key], value) for key, value in model.state_dict().items())
        assert all(p.grad is None for p in model.parameters())


@pytest.fixture
def made_up(monkeypatch):
    """Measurements by size: 64 pictures point well before training and 256 after, and 16 are nearly the fastest."""

    def measured(network, pictures):
        needed = 256 if network == "trained" else 64
        return {
            size: playground_module._Measured([0.9 if size >= needed else 0.2], 100.0 if size >= 16 else 50.0, size)
            for size in SIZES
        }, 100.0

    monkeypatch.setattr(playground_module, "_measured", measured)
    return batch_playground({"fresh": "fresh", "trained": "trained"}, data.load("fashion"))


def test_the_goal_of_angles_wants_the_smallest_size_of_each_network(made_up):
    for size in SIZES:
        shown(made_up, network="fresh", batch_size=size)
    assert ticks(made_up) == [False, True]
    shown(made_up, network="trained", batch_size=128)
    assert not ticks(made_up)[0]
    shown(made_up, batch_size=256)
    assert goals(made_up)[0][0] and "fresh 64, trained 256" in goals(made_up)[0][1]


def test_the_goal_of_speed_wants_the_smallest_size_and_the_next_smaller_one(made_up):
    for size, is_reached in ((32, False), (16, False), (64, False), (8, True)):
        shown(made_up, batch_size=size)
        assert ticks(made_up)[1] == is_reached
    assert goals(made_up)[1][1].startswith("16 pictures per batch already reach 100 %")


def test_the_goals_of_angles_and_speed_can_be_reached_whatever_was_measured():
    g = torch.Generator().manual_seed(0)
    for _ in range(200):
        found = torch.rand(2, len(SIZES), generator=g).tolist()
        measured = {s: playground_module._Measured([c], v, 1) for s, c, v in zip(SIZES, *found, strict=True)}
        assert playground_module._fast(measured, measured)
        assert playground_module._accurate({"fresh": measured}, {"fresh": measured})


def test_the_shipped_race_has_the_shape_that_it_promises():
    result = recorded("batch_size_race")["result"]
    for kind in ("reached", "steps", "examples", "noise_scale"):
        assert [len(row) for row in result[kind]] == [len(result["seeds"])] * len(result["sizes"])
    assert len(result["rates"]) == len(result["tuning"]) == len(result["sizes"])


def test_the_shipped_policies_have_the_shape_that_they_promise():
    result = recorded("batch_policies")["result"]
    for kind in ("accuracy", "updates"):
        assert {policy: len(values) for policy, values in result[kind].items()} == experiments.POLICY_SEEDS
    assert [len(row) for row in result["chosen"]] == [experiments.POLICY_EPOCHS] * len(result["chosen"])


def test_the_shipped_crops_have_the_shape_that_they_promise():
    result = recorded("batch_crops")["result"]
    assert list(result["accuracy"]) == list(experiments.CROP_WAYS)
    assert all(len(values) == len(result["seeds"]) for values in result["accuracy"].values())


def test_a_training_step_trains_within_a_measurement_and_repeats_labels_for_larger_batches():
    model = torch.nn.Linear(4, 3).eval()
    expected, x = copy.deepcopy(model), torch.rand(5, 4, generator=torch.Generator().manual_seed(0))
    torch.nn.functional.cross_entropy(expected(x), torch.tensor([0, 1, 0, 1, 0])).backward()
    torch.optim.SGD(expected.parameters(), lr=0.1).step()
    with torch.inference_mode():  # as `measure.latency` calls it
        training_step(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.tensor([0, 1]))(x)
    torch.testing.assert_close(model.state_dict(), expected.state_dict())
    assert model.training
