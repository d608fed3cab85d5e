"""Lesson 05: its exercises against torch's observers, autograd and scipy, its playground, its recordings."""

import base64
import copy
import heapq
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree
from torch.ao.quantization import MinMaxObserver, MovingAverageMinMaxObserver
from torch.nn import functional as F

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.integers_by_hand import experiments
from nnopt_lab.lessons.integers_by_hand.playground import quantization_playground
from nnopt_lab.techniques.quantization import deep_compression
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


def by_autograd(gradient, labels, clusters):
    centroids = torch.zeros(clusters, requires_grad=True)
    weight = torch.where(labels >= 0, centroids[labels], 0.0)
    return torch.autograd.grad(weight, centroids, gradient)[0]


def joined_in_a_heap(counts):
    groups, bits = [n for n in counts if n], 0
    heapq.heapify(groups)
    while len(groups) > 1:
        joined = heapq.heappop(groups) + heapq.heappop(groups)
        heapq.heappush(groups, joined)
        bits += joined
    return bits


def straight_through(x, step, low, high):
    def fake_quantized(step):
        steps = (x / step).clamp(low, high)
        return step * (steps + (steps.round() - steps).detach())

    return torch.autograd.functional.jacobian(fake_quantized, torch.tensor(step))


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
    "by_hand.centroid_gradient": by_autograd,
    "by_hand.huffman_bits": joined_in_a_heap,
    "by_hand.bias_correction": lambda o, q, bias: bias - F.adaptive_avg_pool2d(q - o, 1).flatten(1).mean(0),
    "by_hand.step_gradient": straight_through,
    "by_hand.fixed_point": mantissa_and_exponent,
    "by_hand.requantize": exact_fractions,
    "by_hand.moving_average": moving_observer,
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_an_answer_by_other_libraries_passes(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(300))
    assert verdict.passed, verdict


def test_stochastic_rounding_is_right_on_average():
    answer = exercises()["by_hand.stochastic_round"].reference
    x, noise = torch.linspace(-3, 3, 41), (torch.arange(10_000) + 0.5) / 10_000
    torch.testing.assert_close(answer(x[:, None], noise).mean(1), x, atol=1e-4, rtol=0)


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


def test_the_shipped_compression_has_the_shape_that_it_promises_and_its_file_is_a_network(tmp_path):
    result = recorded("deep_compression")["result"]
    sparsities, bits = list(experiments.COMPRESSION_SPARSITIES), list(experiments.COMPRESSION_BITS)
    assert (result["sparsities"], result["bits"]) == (sparsities, bits)
    for stage in ("dense", "cut", "pruned", "shared", "trained", "bytes"):
        assert [len(row) for row in result[stage]] == [len(sparsities)] * len(experiments.COMPRESSION_SEEDS)
    assert all(len(files) == len(bits) for row in result["bytes"] for files in row)
    smallest = result["smallest"]
    raw = base64.b64decode(smallest["file"])
    (tmp_path / "network.bin").write_bytes(raw)
    model = deep_compression.load(tmp_path / "network.bin", models.MyNet())
    assert len(raw) == smallest["bytes"] == sum(smallest["parts"].values()) <= 25_000
    assert deep_compression.save(model, tmp_path / "again.bin") == smallest["parts"]
    assert (tmp_path / "again.bin").read_bytes() == raw


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
