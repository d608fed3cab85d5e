"""What plots take as a value."""

import numpy as np
import pytest
import torch

from nnopt_lab.workbench import measure
from nnopt_lab.workbench.plots import middle_low_high
from nnopt_lab.workbench.plots.values import whiskers


def test_numbers_triples_intervals_and_timings_are_values():
    assert middle_low_high(2) == middle_low_high(np.float32(2)) == middle_low_high(torch.tensor(2.0)) == (2, 2, 2)
    assert middle_low_high((2, 1, 5)) == middle_low_high([2, 1, 5]) == middle_low_high(torch.tensor([2, 1, 5]))
    assert middle_low_high(measure.Interval(2.0, 1.0, 5.0, 0.95)) == (2, 1, 5)
    timing = measure.Timing((1.0, 2.0, 3.0, 4.0, 5.0), 1)
    assert middle_low_high(timing) == (3, 2, 4)
    slow, fast = measure.Timing((2.0,) * 9, 1), measure.Timing((1.0,) * 9, 1)
    assert middle_low_high(measure.ratio(slow, fast)) == (2, 2, 2)


def test_whiskers_are_distances():
    assert whiskers([(2, 1, 5), 3]) == ([2, 3], [[1, 0], [3, 0]])


@pytest.mark.parametrize("bad", ["2", (1, 2), (1, 2, 3), None, (2, 1, float("nan")), {"a": 1}])
def test_anything_else_is_refused(bad):
    with pytest.raises(ValueError, match="must"):
        middle_low_high(bad)
