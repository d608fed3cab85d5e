"""The scaler against plain steps."""

import torch
from torch.nn import functional as F

from nnopt_lab.techniques.quantization import precision
from nnopt_lab.techniques.quantization.precision import FORMATS
from nnopt_lab.workbench import models


class TestStep:
    def trained(self, batch, steps=3, shrink=1.0, make=lambda model: model, **options):
        torch.manual_seed(0)
        net = make(models.MyNet())
        optimizer = torch.optim.SGD(net.parameters(), 0.05 / shrink, momentum=0.9)
        for _ in range(steps):
            precision.step(net, *batch, optimizer, loss=lambda z, y: F.cross_entropy(z, y) * shrink, **options)
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    def test_a_power_of_two_as_the_scale_changes_no_bit_in_float32(self, batch):
        plain = self.trained(batch)
        assert torch.equal(plain, self.trained(batch, scaler=torch.amp.GradScaler("cpu", init_scale=2.0**10)))
        assert torch.equal(plain, self.trained(batch, shrink=2.0**-20))

    def test_fp16_gradients_underflow_and_a_scaler_cures_it(self, batch):
        def fp16(model):
            return precision.emulate(model, FORMATS["fp16"], FORMATS["fp16"])

        start, exact = self.trained(batch, 0), self.trained(batch)
        lost = self.trained(batch, shrink=2.0**-24, make=fp16)
        assert torch.equal(lost, start)
        cured = self.trained(batch, shrink=2.0**-24, make=fp16, scaler=torch.amp.GradScaler("cpu", init_scale=2.0**24))
        assert (cured - exact).norm() < 0.01 * (exact - start).norm()

    def test_a_step_with_an_overflow_is_left_out(self, batch):
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
        start = self.trained(batch, 0)
        fp16 = lambda model: precision.emulate(model, FORMATS["fp16"], FORMATS["fp16"])  # noqa: E731
        assert torch.equal(self.trained(batch, 2, make=fp16, scaler=scaler), start)
        assert scaler.get_scale() == 2.0**38

    def test_autocast(self, batch):
        exact, start = self.trained(batch, 1), self.trained(batch, 0)
        low = self.trained(batch, 1, dtype=torch.bfloat16)
        assert 0 < (low - exact).norm() < 0.05 * (exact - start).norm()
