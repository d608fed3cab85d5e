"""The one-cycle recipe: its schedule fits the number of steps, with every option of the loop."""

import pytest
import torch

from nnopt_lab.workbench import device as devices
from nnopt_lab.workbench import recipes
from tests.workbench.training.common import PICTURES, net, weights


@pytest.mark.parametrize("options", [{}, {"accumulate": 3}, {"resident": True}, {"cuda_graph": True, "fused": True}])
def test_the_rate_ends_near_zero_after_the_last_step(options, monkeypatch):
    seen = []

    class Watched(torch.optim.lr_scheduler.OneCycleLR):
        def step(self, epoch=None):
            super().step(epoch)
            seen.append((self.last_epoch, float(self.optimizer.param_groups[0]["lr"]), self.total_steps))

    monkeypatch.setattr(torch.optim.lr_scheduler, "OneCycleLR", Watched)
    with devices.stand_in():
        model = recipes.one_cycle(net(), PICTURES, epochs=4, peak=0.01, batch_size=7, device="accelerator", **options)
    assert not model.training
    steps, rates, totals = zip(*seen, strict=True)
    assert set(totals) == {4 * (3 if "accumulate" in options else 9)}
    assert max(steps) == totals[0]
    assert max(rates) == pytest.approx(0.01, rel=0.05) and min(rates[1:]) < 1e-6


def test_a_graph_trains_as_without_one():
    def trained(**options):
        with devices.stand_in():
            return weights(recipes.one_cycle(net(), PICTURES, epochs=2, peak=1e-4, device="accelerator", **options))

    assert torch.allclose(trained(cuda_graph=True), trained(fused=True), atol=1e-4)
