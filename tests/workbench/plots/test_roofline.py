"""The roofline plot."""

import pytest

from nnopt_lab.workbench import plots
from tests.workbench.plots.drawing import outside_texts, overlapping_texts


class TestRoofline:
    def test_the_roof_breaks_where_both_limits_meet(self):
        fig = plots.roofline([("a", 1, 5)], peak_gflops=100, bandwidth=10)
        x, y = fig.axes[0].lines[0].get_data()
        assert x[1] == 10 and list(y) == [x[0] * 10, 100, 100]

    @pytest.mark.parametrize("count", [1, 12, 40])
    def test_names_can_be_read(self, count):
        fig = plots.roofline([(f"stages.{i}.conv1", 5, 10) for i in range(count)], 100, 10)
        assert not overlapping_texts(fig) and not outside_texts(fig)

    @pytest.mark.parametrize("bad", [{"points": [("a", 0, 1)]}, {"peak_gflops": 0}, {"bandwidth": -1}])
    def test_refuses_what_a_logarithm_cannot_take(self, bad):
        with pytest.raises(ValueError, match="above 0"):
            plots.roofline(**({"points": [("a", 1, 1)], "peak_gflops": 1, "bandwidth": 1} | bad))
