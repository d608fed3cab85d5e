"""Lesson 05: its exercises against torch's observers, scipy and exact fractions, and its playground."""

import copy
import math
import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree
from torch.ao.quantization import MinMaxObserver, MovingAverageMinMaxObserver

from nnopt_lab.course.checking import examine, judge_answer
from nnopt_lab.course.exercises import exercises, questions
from nnopt_lab.course.goals import forget_goals
from nnopt_lab.lessons.integers_by_hand.playground import quantization_playground
from nnopt_lab.workbench import data, models
from tests.lessons.playgrounds import counts, goals, shown, ticks


def observed(smallest, largest, bits):
    observer = MinMaxObserver(torch.quint8, torch.per_tensor_affine, quant_min=0, quant_max=2**bits - 1)
    observer(torch.tensor([smallest, largest]))
    return tuple(parameter.item() for parameter in observer.calculate_qparams())


def fake_quantized(x, scale, zero_point, bits):
    on_grid = torch.fake_quantize_per_tensor_affine(x, scale, zero_point, 0, 2**bits - 1)
    return (on_grid / scale + zero_point).long()


def nearest_neighbour(weight, lowest, highest):
    values = np.array([0.0, *(sign * 2.0**e for e in range(lowest, highest + 1) for sign in (-1, 1))])
    return torch.from_numpy(values[KDTree(values[:, None]).query(weight[:, None])[1]])


def mantissa_and_exponent(real, bits):
    mantissa, exponent = math.frexp(real)
    return round(math.ldexp(mantissa, bits)), bits - exponent


def exact_fractions(sums, multiplier, shift, zero_point):
    scaled = (math.floor(Fraction(n * multiplier, 2**shift) + Fraction(1, 2)) for n in sums.tolist())
    return torch.tensor([min(max(n + zero_point, 0), 255) for n in scaled], dtype=torch.uint8)


def moving_observer(lows, highs, constant):
    observer = MovingAverageMinMaxObserver(averaging_constant=constant)
    for batch in zip(lows, highs, strict=True):
        observer(torch.tensor(batch))
    return observer.min_val.item(), observer.max_val.item()


LESSON = "05_integers_by_hand"
COUNTERPARTS = {
    "by_hand.scale_and_zero_point": observed,
    "by_hand.quantize": fake_quantized,
    "by_hand.powers_of_two": nearest_neighbour,
    "by_hand.fixed_point": mantissa_and_exponent,
    "by_hand.requantize": exact_fractions,
    "by_hand.moving_average": moving_observer,
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_an_answer_by_other_libraries_passes(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(300))
    assert verdict.passed, verdict


def quantize_with(x, scale, zero_point, bits, rounded=torch.round, last=None):
    integers = rounded(x / scale) + zero_point
    return integers.clamp(0, 2**bits - 1 if last is None else last).long()


def below_zero_alone(smallest, largest, bits):
    largest = max(largest, 0.0)
    scale = (largest - smallest) / (2**bits - 1)
    return scale, round(-smallest / scale)


def above_zero_alone(smallest, largest, bits):
    smallest = min(smallest, 0.0)
    scale = (largest - smallest) / (2**bits - 1)
    return scale, round(-smallest / scale)


def through_bytes(x, scale, zero_point, bits):
    integers = ((x / scale).round() + zero_point).long() % 256  # what a uint8 makes of them
    return integers.clamp(0, 2**bits - 1)


def in_doubles(sums, multiplier, shift, zero_point):
    scaled = torch.floor(sums.double() * multiplier / 2**shift + 0.5)
    return (scaled + zero_point).clamp(0, 255).to(torch.uint8)


def in_python_floats(sums, multiplier, shift, zero_point):
    scaled = (math.floor(n * (multiplier / 2**shift) + 0.5) for n in sums.tolist())
    return torch.tensor([min(max(n + zero_point, 0), 255) for n in scaled], dtype=torch.uint8)


def with_zero_point(change):
    """`scale_and_zero_point` whose zero point is `change(steps from the smallest value to 0)`."""

    def answer(smallest, largest, bits):
        low, high = min(smallest, 0.0), max(largest, 0.0)
        scale = (high - low) / (2**bits - 1)
        return scale, change(-low / scale)

    return answer


def fixed_point_with(real, bits, rounded):
    shift = bits - 1 - math.floor(math.log2(real))
    return rounded(real * 2**shift), shift


MISTAKES = [
    ("by_hand.scale_and_zero_point", with_zero_point(math.ceil), "rounded the zero point up"),
    ("by_hand.scale_and_zero_point", with_zero_point(math.floor), "truncated the zero point"),
    ("by_hand.scale_and_zero_point", with_zero_point(float), "not an integer"),
    ("by_hand.fixed_point", lambda real, bits: fixed_point_with(real, bits, math.ceil), "rounded the multiplier up"),
    ("by_hand.fixed_point", lambda real, bits: fixed_point_with(real, bits, math.floor), "truncated the multiplier"),
    ("by_hand.quantize", lambda x, s, z, b: ((x / s).round() + z).clamp(min=0).long(), "Values above the range"),
    ("by_hand.quantize", lambda x, s, z, b: ((x / s).round() + z).clamp(0, 2 ^ b - 1).long(), "exclusive or"),
    ("by_hand.scale_and_zero_point", below_zero_alone, "upwards only"),
    ("by_hand.scale_and_zero_point", above_zero_alone, "downwards only"),
    ("by_hand.quantize", lambda x, s, z, b: quantize_with(x, s, 0, b), "left out the zero point"),
    ("by_hand.quantize", lambda x, s, z, b: quantize_with(x, s, z, b, last=2**b), "clamped to `2^bits`"),
    ("by_hand.quantize", through_bytes, "uint8 before clamping"),
    ("by_hand.quantize", lambda x, s, z, b: quantize_with(x, s, z, b, torch.floor), "rounded down"),
    ("by_hand.requantize", in_doubles, "float64"),
    ("by_hand.requantize", in_python_floats, "float64"),
    ("by_hand.moving_average", lambda lo, hi, c: moving_observer(lo[::-1], hi[::-1], c), "from the last"),
    ("by_hand.powers_of_two", lambda w, low, high: nearest_neighbour(w, low, high).abs(), "signs"),
]


def test_every_draw_of_requantize_tells_integers_from_floats():
    exercise = exercises()["by_hand.requantize"]
    drawn = [exercise.generate(torch.Generator().manual_seed(seed)) for seed in range(200)]
    long = [inputs for inputs in drawn if inputs[1] % 2**28]
    assert 50 < len(long) < 150
    for inputs in long:
        assert torch.equal(exercise.reference(*inputs), exact_fractions(*inputs))
        assert not torch.equal(in_doubles(*inputs), exact_fractions(*inputs))


@pytest.mark.parametrize(("id", "answer", "said"), MISTAKES)
def test_a_likely_mistake_is_named(id, answer, said):
    for start in range(0, 160, 16):
        verdict = examine(exercises()[id], answer, seeds=range(start, start + 16))
        assert not verdict.passed and said in verdict.mistake, verdict.mistake


@pytest.fixture(scope="module")
def network():
    return models.trained("mynet")


@pytest.fixture(scope="module")
def playground(network):
    return quantization_playground(network, data.load("fashion"))


def decibels(text):
    return float(text.split("<b>")[1].split(" dB")[0])


@pytest.mark.parametrize(("per", "shape"), [("layer", (1, -1)), ("filter", (32, -1)), ("16 inputs", (288, 16))])
def test_the_playground_shows_the_weights_before_and_after_and_the_errors(playground, network, per, shape):
    text, (weights, errors) = shown(
        playground, layer="features.3", bits=4, symmetric=True, scales=f"one grid per {per}"
    )
    weight = network.get_submodule("features.3").weight.detach()
    groups = weight.reshape(shape)
    scales = groups.abs().amax(1) / 7
    quantized = torch.fake_quantize_per_channel_affine(groups, scales, torch.zeros(shape[0]), 0, -7, 7)
    noise = (quantized - groups).square().mean()
    assert f" {shape[0]} scale{'s' if shape[0] > 1 else ''} " in text
    assert decibels(text) == pytest.approx(float(10 * (groups.square().mean() / noise).log10()), abs=0.06)
    assert sum(counts(weights, "float")) == sum(counts(errors)) == weight.numel()
    if shape[0] == 1:  # one level per value of the grid, and nothing between them
        levels = quantized.unique(return_counts=True)[1]
        assert [height for height in counts(weights, "quantised") if height] == levels.tolist()
    dashed = [line.get_xdata()[0] for line in errors.lines]
    assert dashed == pytest.approx([-scales.max().item() / 2, scales.max().item() / 2])


def test_goals_of_the_playground(playground):
    shown(playground, layer="classifier.0", bits=4, symmetric=True, scales="one grid per layer")
    forget_goals()
    playground.redraw()
    assert ticks(playground) == [False, False, False]
    shown(playground, bits=2)
    assert ticks(playground) == [True, False, False]
    shown(playground, scales="one grid per 16 inputs")
    assert ticks(playground) == [True, True, False]
    shown(playground, bits=3, scales="one grid per layer")
    assert ticks(playground) == [True, True, True]
    assert "classifier.0 at 3 bits has 2.0 dB" in goals(playground)[2][1]


def test_a_finer_grid_loses_less_and_the_network_stays_as_it_is(playground, network):
    before = copy.deepcopy(network.state_dict())
    four, _ = shown(playground, layer="features.3", bits=4, symmetric=True, scales="one grid per layer")
    sixteen, (_, errors) = shown(playground, bits=16)
    assert decibels(sixteen) > decibels(four) + 60
    affine, (_, narrower) = shown(playground, symmetric=False)
    assert decibels(affine) > decibels(sixteen) and narrower.get_xlim()[1] < errors.get_xlim()[1]
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


@pytest.mark.parametrize("id", [id for id, q in questions(LESSON).items() if not q.choices])
def test_a_wrong_number_gets_a_comment_of_its_own_and_none_gives_the_answer_away(id):
    asked = questions()[id]
    comments = {asked.comment_on(number) for number in asked.comments}
    assert comments == set(asked.comments.values()) and len(comments) >= 4
    for number, comment in asked.comments.items():
        assert not judge_answer(asked, number)
        assert not re.search(rf"\b{asked.answer}\b", comment)
