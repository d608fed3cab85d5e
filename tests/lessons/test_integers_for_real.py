"""Lesson 08: its exercises against numpy, exact fractions and the product of shifted matrices."""

import statistics
from itertools import groupby

import numpy as np
import pytest
import torch

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.lessons.integers_for_real.measurements import graph_that_runs, time_layers
from nnopt_lab.techniques.deployment.onnx_files import export_onnx
from nnopt_lab.workbench import models


def runs_of_integer_operators(operators, integer):
    return 2 * sum(kind for kind, _ in groupby(operators, lambda name: name in integer))


def first_batch_that_pays(build_ms, slow_ms, fast_ms):
    batches = np.arange(1, build_ms + 1)
    pays = build_ms + batches * fast_ms <= batches * slow_ms
    return int(batches[pays.argmax()]) if pays.any() else -1


def fastest_within(names, ms, kib, lost, kib_limit, lost_limit):
    fits = np.less_equal(kib, kib_limit) & np.less_equal(lost, lost_limit)
    return names[int(np.where(fits, ms, np.inf).argmin())] if fits.any() else "none"


COUNTERPARTS = {
    "for_real.conversions": runs_of_integer_operators,
    "for_real.network_gain": lambda share, gain: statistics.harmonic_mean([1, gain], weights=[1 - share, share]),
    "for_real.break_even": first_batch_that_pays,
    "for_real.choose_engine": fastest_within,
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_an_answer_by_other_means_passes(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(300))
    assert verdict.passed, verdict


@pytest.mark.parametrize("seed", range(100))
def test_the_product_without_zero_points_is_that_of_numbers_without_zero_points(seed):
    g = torch.Generator().manual_seed(seed)
    a, b = (torch.randint(-128, 128, shape, generator=g) for shape in ((3, 5), (5, 4)))
    zero_a, zero_b = torch.randint(-128, 128, (2,), generator=g).tolist()
    answer = exercises()["for_real.without_zero_points"].reference
    assert torch.equal(answer(a @ b, a.sum(1), b.sum(0), zero_a, zero_b, 5), (a - zero_a) @ (b - zero_b))


def test_each_layer_of_a_network_is_timed():
    times = time_layers(models.MyNet((4, 8), hidden=32), torch.zeros(2, 3, 32, 32))
    assert list(times) == [
        "0 Conv2d", "1 ReLU", "2 MaxPool2d", "3 Conv2d", "4 ReLU", "5 MaxPool2d", "6 Flatten", "7 Linear", "8 ReLU",
        "9 Linear",
    ]  # fmt: skip
    assert min(times.values()) > 0


def test_the_graph_that_runs_is_the_one_that_onnx_runtime_has_optimized(tmp_path):
    net = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).eval()
    path = export_onnx(net, [torch.zeros(2, 3, 32, 32)], tmp_path / "net.onnx")
    operators = [node.op_type for node in graph_that_runs(path).node]
    assert "Relu" not in operators  # it is fused into the convolution
