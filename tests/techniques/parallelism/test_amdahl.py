"""Amdahl's law by known values."""

import pytest

from nnopt_lab.techniques.parallelism import amdahl


def test_the_law_of_amdahl():
    assert amdahl.speedup(1, 0.3, 0.1) == 1
    assert amdahl.speedup(4, 0) == 4
    assert amdahl.speedup(10**9, 0.05) == pytest.approx(20)
    assert amdahl.speedup(5, 0.2, 0.05) == pytest.approx(1 / (0.2 + 0.16 + 0.2))
    for bad in ((0.5, 0.1, 0), (2, -0.1, 0), (2, 1.1, 0), (2, 0.1, -1)):
        with pytest.raises(ValueError, match="must be at least 1"):
            amdahl.speedup(*bad)
