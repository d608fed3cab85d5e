"""A histogram counts as numpy does, and is one patch."""

import numpy as np
import pytest
import torch

from nnopt_lab.workbench import plots


@pytest.mark.parametrize("shape", [(0,), (1,), (1000,), (30, 4, 5)])
def test_a_histogram_counts_as_numpy_does(shape):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    edges = torch.linspace(-1, 1, 9)
    fig, ax = plots.figure()
    drawn = plots.histogram(ax, values, edges, plots.BLUE, "weights")
    assert np.array_equal(drawn.get_data().values, np.histogram(values.numpy(), edges.numpy())[0])
    assert list(ax.patches) == [drawn] and drawn.get_label() == "weights" and drawn.get_fill()
    assert not plots.histogram(ax, values, edges, plots.BLUE, fill=False).get_fill()
    plots.finish(fig)


def test_values_on_edges_and_outside_are_counted_as_numpy_counts_them():
    values, edges = torch.tensor([-2.0, -1, -0.5, 0, 0, 1, 3]), torch.tensor([-1.0, 0, 1])
    fig, ax = plots.figure()
    counts = plots.histogram(ax, values.requires_grad_(), edges, plots.BLUE).get_data().values
    assert counts.tolist() == [2, 3]
    plots.finish(fig)
