"""Lesson 06: its exercises against torch, autograd and the course's library, and its recordings."""

import copy

import pytest
import torch
from torch.nn import functional as F

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.few_bits import experiments
from nnopt_lab.lessons.few_bits.playground import badly_scaled, equalization_playground
from nnopt_lab.techniques.quantization.post_training.equalization import equalizing_factors
from nnopt_lab.workbench import data, models
from tests.lessons.playgrounds import goals, shown, ticks


def straight_through(x, step, low, high):
    def fake_quantized(step):
        steps = (x / step).clamp(low, high)
        return step * (steps + (steps.round() - steps).detach())

    return torch.autograd.functional.jacobian(fake_quantized, torch.tensor(step))


def equalized(first, second):
    factors = torch.diag(equalizing_factors(first, second))
    return torch.linalg.solve(factors, first), second @ factors


COUNTERPARTS = {
    "by_hand.bias_correction": lambda o, q, bias: bias - F.adaptive_avg_pool2d(q - o, 1).flatten(1).mean(0),
    "by_hand.step_gradient": straight_through,
    "few_bits.equalize": equalized,
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_an_answer_by_other_libraries_passes(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(300))
    assert verdict.passed, verdict


def step_gradient_with(x, step, low, high, *, below=True, above=True, compared=None):
    ratio = x / step
    place = ratio if compared is None else x
    result = ratio.round() - ratio
    if below:
        result[place < low] = low
    if above:
        result[place > high] = high
    return result


def with_own_noise(x, noise):
    return (x + torch.rand_like(x)).floor()


MISTAKES = [
    ("by_hand.step_gradient", lambda *a: step_gradient_with(*a, below=False), "left out the low end"),
    ("by_hand.step_gradient", lambda *a: step_gradient_with(*a, above=False), "left out the high end"),
    ("by_hand.step_gradient", lambda *a: step_gradient_with(*a, compared="x"), "compared x"),
    ("by_hand.step_gradient", lambda *a: step_gradient_with(*a, below=False, above=False), "left out the range"),
    ("by_hand.stochastic_round", with_own_noise, "no random numbers of your own"),
    ("by_hand.bias_correction", lambda o, q, b: (q - o).mean((0, 2, 3)), "the shift itself"),
    ("few_bits.equalize", lambda a, b: (equalized(a, b)[0], b), "second is unchanged"),
]


@pytest.mark.parametrize(("id", "answer", "said"), MISTAKES)
def test_a_likely_mistake_is_named(id, answer, said):
    for start in range(0, 160, 16):
        verdict = examine(exercises()[id], answer, seeds=range(start, start + 16))
        assert not verdict.passed and said in verdict.mistake, verdict.mistake


def test_a_network_that_is_badly_scaled_computes_the_same_function():
    model, pictures = models.trained("mynet"), data.load("fashion")
    x = pictures.to_input(pictures.test.images[:50])
    before = copy.deepcopy(model.state_dict())
    with torch.inference_mode():
        assert torch.equal(badly_scaled(model, 4)(x), model(x))
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(torch.equal(before[key], value) for key, value in badly_scaled(model, 0).state_dict().items())


def test_the_playground_shows_three_networks_and_what_rounding_leaves_of_them():
    playground = equalization_playground(models.trained("mynet"), data.load("fashion"))
    text, (ranges, accuracies) = shown(playground, spread=3, bits=6)
    trained, apart, equalised = (bar.get_width() for bar in accuracies.patches[:3])
    assert apart < 60 < min(trained, equalised)
    assert all(f"<b>{value:.1f} %</b>" in text for value in (trained, apart, equalised))
    lines = [line.get_ydata() for line in ranges.lines]
    assert min(lines[1]) < min(lines[0]) / 4 and max(lines[1]) == 1
    _, (_, accuracies) = shown(playground, spread=0)
    assert len({bar.get_width() for bar in accuracies.patches[:2]}) == 1  # nothing is scaled


def test_goals_of_the_playground():
    playground = equalization_playground(models.trained("mynet"), data.load("fashion"))
    shown(playground, bits=8)
    assert ticks(playground) == [False, False, False]
    shown(playground, spread=4)
    assert ticks(playground) == [True, False, False]
    shown(playground, bits=7, spread=2, scales="channel")
    assert not ticks(playground)[1], "a spread of 2 is not enough"
    shown(playground, spread=3)
    assert ticks(playground) == [True, True, False]
    shown(playground, bits=2)
    assert ticks(playground) == [True, True, True]
    assert "One grid per filter" in goals(playground)[1][1] and "At 2 bits" in goals(playground)[2][1]


def test_stochastic_rounding_is_right_on_average():
    answer = exercises()["by_hand.stochastic_round"].reference
    x, noise = torch.linspace(-3, 3, 41), (torch.arange(10_000) + 0.5) / 10_000
    torch.testing.assert_close(answer(x[:, None], noise).mean(1), x, atol=1e-4, rtol=0)


def test_equalised_layers_compute_the_same_function_and_use_the_same_ranges():
    answer, g = exercises()["few_bits.equalize"].reference, torch.Generator().manual_seed(0)
    first, second = torch.randn(5, 3, generator=g), torch.randn(4, 5, generator=g)
    first *= torch.tensor([[1.0], [8], [0.1], [3], [0.5]])
    new_first, new_second = answer(first, second)
    x = torch.randn(10, 3, generator=g)
    torch.testing.assert_close((x @ new_first.T).relu() @ new_second.T, (x @ first.T).relu() @ second.T)
    torch.testing.assert_close(new_first.abs().amax(1), new_second.abs().amax(0))


@pytest.mark.parametrize("name", ["integer_training", "post_training_bits"])
def test_the_shipped_experiments_with_few_bits_have_the_shape_that_they_promise(name):
    result = recorded(name)["result"]
    seeds = len(result["seeds"])
    ways = experiments.POST_WAYS
    if name == "integer_training":
        ways = ("min-max", "lsq")
        assert [len(result[one]) for one in ("float", "ternary", "binary")] == [seeds] * 3
        stored = result["stored"]
        assert stored["bits"] == list(experiments.STORED_BITS)
        for rounding in ("nearest", "stochastic"):
            assert [len(row) for row in stored[rounding]] == [seeds] * len(stored["bits"])
            assert all(0 <= share <= 1 for share in stored["moved"][rounding])
    for way in ways:
        assert [len(row) for row in result[way]] == [seeds] * len(result["bits"])
        assert all(0 <= accuracy <= 100 for row in result[way] for accuracy in row)
