"""Lesson 05: its exercises against torch's observers, scipy and exact fractions, and its playground."""

import copy
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree
from torch.ao.quantization import MinMaxObserver, MovingAverageMinMaxObserver

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.lessons.integers_by_hand.playground import quantization_playground
from nnopt_lab.workbench import data, models
from tests.lessons.playgrounds import shown


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
    assert f"{shape[0]} scales" in text
    assert decibels(text) == pytest.approx(float(10 * (groups.square().mean() / noise).log10()), abs=0.06)
    before, after = weights.containers[0], weights.patches[-1]
    assert sum(bar.get_height() for bar in before) == weight.numel()
    assert sum(bar.get_height() for bar in errors.containers[0]) == weight.numel()
    if shape[0] == 1:  # one level per value of the grid, and nothing between them
        levels = quantized.unique(return_counts=True)[1]
        heights = [float(y) for y in after.get_xy()[1:-1:2, 1]]
        assert [height for height in heights if height] == levels.tolist()
    dashed = [line.get_xdata()[0] for line in errors.lines]
    assert dashed == pytest.approx([-scales.max().item() / 2, scales.max().item() / 2])


def test_a_finer_grid_loses_less_and_the_network_stays_as_it_is(playground, network):
    before = copy.deepcopy(network.state_dict())
    four, _ = shown(playground, layer="features.3", bits=4, symmetric=True, scales="one grid per layer")
    sixteen, (_, errors) = shown(playground, bits=16)
    assert decibels(sixteen) > decibels(four) + 60
    affine, (_, narrower) = shown(playground, symmetric=False)
    assert decibels(affine) > decibels(sixteen) and narrower.get_xlim()[1] < errors.get_xlim()[1]
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
