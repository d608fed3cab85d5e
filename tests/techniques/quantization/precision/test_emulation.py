"""Emulated formats against autocast."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nnopt_lab.techniques.network_checks import copied
from nnopt_lab.techniques.quantization import precision, qat
from nnopt_lab.techniques.quantization.precision import FORMATS
from nnopt_lab.workbench import models
from tests.techniques.quantization import zoo


def gradients(model, batch, dtype=None):
    inputs, labels = batch
    with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
        loss = F.cross_entropy(model(inputs), labels)
    loss.backward()
    named = {n.replace("parametrizations.", "").replace(".original", ""): p for n, p in model.named_parameters()}
    return torch.cat([named[name].grad.flatten() for name in sorted(named)])


class TestEmulation:
    @pytest.mark.parametrize("name", ["bf16", "fp16"])
    def test_it_is_autocast_but_for_the_order_of_sums(self, batch, name):
        format, net = FORMATS[name], models.trained("mynet")
        exact = gradients(copy.deepcopy(net), batch)
        real = gradients(copy.deepcopy(net), batch, format.dtype)
        ours = gradients(precision.emulate(copy.deepcopy(net), format, format), batch)
        assert (ours - real).norm() < 0.1 * (exact - real).norm()

    def test_the_parameters_stay_float32_and_none_is_left_out(self):
        net = precision.emulate(
            nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 2)), FORMATS["bf16"], None
        )
        net(torch.randn(5, 3)).sum().backward()
        assert [p.dtype for p in net.parameters()] == [torch.float32] * 3 and all(
            p.grad is not None for p in net.parameters()
        )

    def test_forward_and_backward_have_formats_of_their_own(self):
        rounding = precision.Rounding(FORMATS["fp8 e4m3"], FORMATS["fp8 e5m2"])
        x = torch.tensor([1.07, 300.3], requires_grad=True)
        y = rounding(x)
        y.backward(torch.tensor([1.07, 2.0**-16]))
        assert y.tolist() == [1.125, 288.0] and x.grad.tolist() == [1.0, 2.0**-16]
        y = precision.Rounding(None, FORMATS["tf32"])(x)
        assert torch.equal(y, x) and y is not x

    def test_with_a_scale_nothing_underflows(self):
        x = torch.tensor([1.0, 0.5, 0.3]) * 2.0**-40
        assert not precision.Rounding(FORMATS["fp8 e4m3"], None)(x).any()
        scaled = precision.Rounding(FORMATS["fp8 e4m3"], None, scaled=True)(x)
        assert torch.allclose(scaled, x, rtol=1 / 16, atol=0)
        smallest = torch.tensor([1e-42, -3e-40])
        assert precision.Rounding(FORMATS["fp8 e5m2"], None, scaled=True)(smallest).isfinite().all()

    def test_beyond_fp8_e4m3_it_saturates_in_every_torch(self):
        x = torch.tensor([449.0, -465.0, 1e30, math.inf])
        assert precision.Rounding(FORMATS["fp8 e4m3"], None)(x).tolist() == [448, -448, 448, 448]

    def test_a_format_is_no_name(self):
        with pytest.raises(ValueError, match="forward='bf16' must be one of FORMATS"):
            precision.emulate(nn.Linear(2, 2), "bf16", None)

    def test_int8_forward_and_bf16_backward(self, batch):
        def prepared():
            return qat.prepare(models.trained("mynet"), batch[0], 8, 8, method="min-max").eval()

        plain, mixed = prepared(), precision.emulate(prepared(), None, FORMATS["bf16"])
        assert torch.equal(plain(batch[0]), mixed(batch[0]))
        a, b = gradients(plain, batch), gradients(mixed, batch)
        assert 0 < (a - b).norm() < 0.05 * a.norm()


REFUSED = ("masked", "masked bias", "masked after a step", "masked and loaded", "weight norm", "spectral norm")


class TestNetworksAsUsersWriteThem:
    @pytest.mark.parametrize("name", [name for name in zoo.ALL if name not in REFUSED])
    def test_float32_changes_nothing_and_bf16_little(self, name):
        model = zoo.make(zoo.ALL[name])
        wanted = zoo.answers(model)
        assert torch.equal(zoo.answers(precision.emulate(copied(model), FORMATS["float32"], None)), wanted)
        near = zoo.answers(precision.emulate(model, FORMATS["bf16"], None))
        assert (near - wanted).abs().max() < 0.05 * wanted.abs().max() + 0.05

    @pytest.mark.parametrize("name", REFUSED)
    def test_masks_and_older_norms_are_refused_and_stay(self, name):
        model = zoo.make(zoo.ALL[name])
        wanted = zoo.answers(model)
        with pytest.raises(ValueError, match=r"layer '[ab]' has .*: call .* first\."):
            precision.emulate(model, FORMATS["bf16"], None)
        assert torch.equal(zoo.answers(model), wanted)
