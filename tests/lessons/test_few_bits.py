"""Lesson 06: its exercises against torch, autograd and the course's library, and its recordings."""

import pytest
import torch
from torch.nn import functional as F

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.few_bits import experiments
from nnopt_lab.techniques.quantization.post_training.equalization import equalizing_factors


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
