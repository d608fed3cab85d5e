"""Playgrounds: each control redraws the picture and the text, and a bad value is said, not raised."""

import copy

import ipywidgets as widgets
import matplotlib.pyplot as plt
import pytest
import torch

from nnopt_lab.course.playground import Playground
from nnopt_lab.lessons.batch_sizes.playground import batch_playground
from nnopt_lab.lessons.convolutions.playground import PLACES, convolution_playground
from nnopt_lab.lessons.learning_rates.playground import learning_rate_playground, noisy_descent
from nnopt_lab.lessons.pruning.playground import METHODS, pruning_playground
from nnopt_lab.lessons.start_here.playground import layer_playground
from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.convolutions.cost_model import CostModel
from nnopt_lab.techniques.training import schedules
from nnopt_lab.workbench import data, models, plots

PNG = b"\x89PNG"


def drawn(playground):
    """The text and the picture that a playground shows."""
    _, text, picture = playground.children
    return text.value, bytes(picture.value)


def controls(playground):
    return {control.description: control for control in playground.children[0].children}


@pytest.fixture
def counting():
    calls = []

    def draw(size: int):
        calls.append(size)
        if size > 5:
            raise ValueError(f"size={size} must be < 6.")
        if size < 0:
            raise TypeError("a fault of ours")
        fig, ax = plots.figure()
        ax.plot(range(size))
        return plots.finish(fig), f"<b>{size}</b> points"

    return Playground(draw, size=widgets.IntSlider(value=3, min=-1, max=9, description="size")), calls


def test_a_playground_draws_at_once_and_whenever_a_control_is_moved(counting):
    playground, calls = counting
    assert calls == [3]
    text, picture = drawn(playground)
    assert text == "<b>3</b> points" and picture.startswith(PNG)
    controls(playground)["size"].value = 4
    assert calls == [3, 4]
    assert drawn(playground)[0] == "<b>4</b> points" and drawn(playground)[1] != picture


def test_a_value_that_does_not_go_is_said_in_words_and_the_picture_stays(counting):
    playground, _ = counting
    _, before = drawn(playground)
    controls(playground)["size"].value = 7
    assert drawn(playground) == ("size=7 must be &lt; 6.", before)
    controls(playground)["size"].value = 2
    assert drawn(playground)[0] == "<b>2</b> points"


def test_a_fault_of_ours_is_not_swallowed(counting):
    playground, _ = counting
    with pytest.raises(TypeError, match="a fault of ours"):
        controls(playground)["size"].value = -1


def test_a_playground_without_a_screen_says_how_to_use_it(counting):
    assert repr(counting[0]) == "A playground: run this cell in JupyterLab and move the controls."


def test_no_figure_is_left_open(counting):
    before = plt.get_fignums()
    controls(counting[0])["size"].value = 1
    assert plt.get_fignums() == before


def test_the_layer_playground_prices_one_convolution():
    playground = layer_playground()
    text, picture = drawn(playground)
    assert picture.startswith(PNG)
    assert text.startswith("4,640 parameters, 1.18 M MACs a picture, ")  # 16·32·3² + 32, and 16·32·3²·16²
    controls(playground)["kernel"].value = 1
    text, _ = drawn(playground)
    assert text.startswith("544 parameters, 131,072 MACs a picture, ") and "GFLOP/s" in text


@pytest.fixture(scope="module")
def playground():
    return pruning_playground(models.trained("mynet"), data.load("fashion"))


@pytest.mark.parametrize("method", METHODS)
def test_the_pruning_playground_works_with_every_method(playground, method):
    controls(playground)["method"].value = method
    text, picture = drawn(playground)
    assert "accuracy without fine-tuning (dense " in text and "batch of 256: " in text
    assert picture.startswith(PNG)


@pytest.mark.parametrize("sparsity", [0.0, 0.99])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_to_both_ends_of_the_slider_and_leaves_the_model_alone(method, sparsity):
    torch.manual_seed(0)
    model = models.MyNet()
    before = copy.deepcopy(model.state_dict())
    x = torch.randn(2, 3, 32, 32)
    pruned = METHODS[method](copy.deepcopy(model), sparsity, x[:1])
    assert pruned(x).shape == (2, 10)
    left, total = (
        int(sum(layer.weight.ne(0).sum() for layer in pruning.prunable(m).values())) for m in (pruned, model)
    )
    assert left == total if sparsity == 0 else 0 < left < 0.1 * total
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_nothing_pruned_is_the_dense_network(playground):
    controls(playground)["pruned"].value = 0.0
    controls(playground)["method"].value = "smallest weights, whole network"
    text, _ = drawn(playground)
    accuracy = text.split("<b>")[1].split(" %")[0]
    assert f"(dense {accuracy} %)" in text and "268,650 parameters are not zero" in text


def test_the_convolution_playground_prices_every_block():
    playground = convolution_playground(CostModel(100.0, 10.0, 1e-5))
    controls(playground)["channels"].value = 8
    controls(playground)["picture"].value = 4
    for place in PLACES:
        controls(playground)["in its place"].value = place
        text, picture = drawn(playground)
        assert f"<b>{place}</b>" in text and "a batch of 32" in text and picture.startswith(PNG)


def test_the_batch_playground_goes_through_sizes_and_networks_and_leaves_both_networks_alone():
    torch.manual_seed(0)
    networks = {"fresh": models.MyNet(), "trained": models.trained("mynet")}
    before = copy.deepcopy({name: model.state_dict() for name, model in networks.items()})
    playground = batch_playground(networks, data.load("fashion"))
    text, first = drawn(playground)
    assert first.startswith(PNG) and "563 updates an epoch" in text  # 18,000 pictures in batches of 32
    controls(playground)["batch size"].value = 128
    text, second = drawn(playground)
    assert "141 updates an epoch" in text and second != first
    controls(playground)["network"].value = "trained"
    assert drawn(playground)[1] != second
    for name, model in networks.items():
        assert all(torch.equal(before[name][key], value) for key, value in model.state_dict().items())
        assert all(p.grad is None for p in model.parameters())


@pytest.fixture(scope="module")
def valley():
    return learning_rate_playground()


@pytest.mark.parametrize("schedule", schedules.SCHEDULES)
def test_the_learning_rate_playground_works_with_every_schedule(valley, schedule):
    controls(valley)["schedule"].value = schedule
    text, picture = drawn(valley)
    assert picture.startswith(PNG) and text.startswith("loss at the end: <b>") and "constant rate at the same" in text


def test_the_learning_rate_playground_says_what_diverges(valley):
    controls(valley)["schedule"].value = "constant"
    controls(valley)["peak rate"].value = 0.12
    assert drawn(valley)[0].startswith("loss at the end: <b>diverged</b>")
    controls(valley)["momentum"].value = 0.9  # which moves the border from 2 / 20 to 2 (1 + 0.9) / 20
    assert "diverged" not in drawn(valley)[0]


def test_a_descent_without_noise_is_the_formula():
    rates, losses = noisy_descent("constant", 0.04, 30, noise=0.0)
    assert rates == [0.04] * 30
    for step, loss in enumerate(losses.tolist()):
        exact = (25 * (1 - 0.04) ** (2 * step) + 20 * 25 * (1 - 0.04 * 20) ** (2 * step)) / 2
        assert loss == pytest.approx(exact, rel=1e-4)
