"""Lesson 08: its exercises against numpy, exact fractions and the product of shifted matrices."""

import statistics
from itertools import groupby

import numpy as np
import pytest
import torch

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises


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
