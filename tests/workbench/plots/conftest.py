"""Every test of a plot closes its figures, as a lesson's cell must."""

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def no_figure_left_open():
    plt.close("all")
    yield
    assert not plt.get_fignums()
