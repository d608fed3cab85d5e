"""Pictures and matrices."""

import pytest
import torch

from nnopt_lab.workbench import plots
from tests.workbench.plots.drawing import overlapping_texts, readable


class TestMatrix:
    @pytest.mark.parametrize(
        ("values", "limits"), [([[0.0, 2.0]], (0, 2)), ([[-3.0, 1.0]], (-3, 3)), ([[False, True]], (0, 1))]
    )
    def test_zero_is_in_the_middle_where_there_are_both_signs(self, values, limits):
        fig, ax = plots.figure()
        image = plots.matrix(ax, torch.tensor(values), "title")
        assert image.get_clim() == limits and image.get_array().shape == (1, 2)
        assert readable(plots.finish(fig))

    def test_limits_are_taken_and_gradients_do_not_matter(self):
        fig, ax = plots.figure()
        image = plots.matrix(ax, torch.ones(2, 2, requires_grad=True), limits=(0, 4))
        plots.finish(fig)
        assert image.get_clim() == (0, 4)


class TestPictures:
    @pytest.mark.parametrize(("n", "channels"), [(1, 1), (3, 3), (8, 3), (11, 1)])
    def test_shows_every_picture(self, n, channels):
        images = torch.randint(256, (n, channels, 6, 6), dtype=torch.uint8)
        fig = plots.pictures(images, [f"number {i}" for i in range(n)])
        shown = [ax.images[0].get_array() for ax in fig.axes if ax.images]
        assert len(shown) == n and shown[0].reshape(6, 6, channels)[2, 3, 0] == images[0, 0, 2, 3]
        assert not overlapping_texts(fig)

    def test_refuses(self):
        good = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
        for bad in (good.float(), good[0], good[:, :2], good[:0]):
            with pytest.raises(ValueError, match="images is"):
                plots.pictures(bad)
        with pytest.raises(ValueError, match="titles has length 1"):
            plots.pictures(good, ["one"])
