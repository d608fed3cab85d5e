"""Mixed precision: formats against torch's casts, emulation against autocast, the scaler against plain steps."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from nnopt_lab.techniques.quantization import precision, qat
from nnopt_lab.techniques.quantization.precision import FORMATS
from nnopt_lab.workbench import data, models

with_dtype = pytest.mark.parametrize("format", [f for f in FORMATS.values() if f.name != "tf32"], ids=lambda f: f.name)
every = pytest.mark.parametrize("format", FORMATS.values(), ids=lambda f: f.name)


@pytest.fixture(scope="module")
def batch():
    pictures = data.load("fashion")
    return pictures.to_input(pictures.train.images[:16]), pictures.train.labels[:16]


@pytest.fixture(scope="module")
def any_floats():
    """Numbers of all sizes, subnormal ones and those that are not finite included, and the ends of every format."""
    g = torch.Generator().manual_seed(0)
    bits = torch.randint(-(2**31), 2**31, (200_000,), generator=g)
    near = torch.randn(50_000, generator=g) * torch.exp2(torch.randint(-30, 20, (50_000,), generator=g).float())
    ends = [
        end * s for f in FORMATS.values() for end in (f.largest, f.smallest, f.smallest / 2) for s in (1, -1, 1.0001)
    ]
    special = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan, 65519.99, 65520.0, 464.0, 257.0, *ends])
    return torch.cat([bits.int().view(torch.float32), near, special])


class TestFormats:
    @with_dtype
    def test_rounding_is_torchs_cast_bit_for_bit(self, format, any_floats):
        x = any_floats
        if not format.infinities:  # what a cast makes of more than it holds has changed from torch to torch
            x = x[x.abs() <= 464]
        ours, theirs = precision.round_to(x, format), x.to(format.dtype).float()
        assert torch.equal(ours.nan_to_num(123), theirs.nan_to_num(123))
        number = ~theirs.isnan()
        assert torch.equal(ours.signbit()[number], theirs.signbit()[number])

    @with_dtype
    def test_the_ends_are_torchs(self, format):
        known = torch.finfo(format.dtype)
        assert (format.largest, format.smallest, format.bits) == (
            known.max,
            known.smallest_normal * known.eps,
            known.bits,
        )
        assert 2.0**format.smallest_exponent == known.tiny and 2.0**-format.mantissa_bits == known.eps

    def test_tf32_has_the_range_of_float32_and_the_mantissa_of_fp16(self):
        tf32, x = FORMATS["tf32"], torch.rand(10_000, generator=torch.Generator().manual_seed(0)) + 0.5
        assert tf32.bits == 19
        assert torch.equal(precision.round_to(x, tf32), x.half().float())
        assert torch.equal(precision.round_to(x * 2.0**-100, tf32), x.half().float() * 2.0**-100)

    def test_without_infinities_it_saturates(self):
        x = torch.tensor([465.0, -1e30, math.inf])
        assert precision.round_to(x, FORMATS["fp8 e4m3"]).tolist() == [448, -448, 448]

    @every
    @settings(max_examples=30)
    @given(st.floats(width=32, allow_nan=False, allow_infinity=False))
    def test_what_is_held_is_held_and_the_nearest(self, format, x):
        held = precision.round_to(torch.tensor(x), format)
        assert torch.equal(precision.round_to(held, format), held)
        if held.isfinite() and abs(x) <= format.largest:
            assert abs(held.item() - x) <= precision.spacing(torch.tensor(x), format).item() / 2

    @every
    def test_bits(self, format):
        sign, exponent, mantissa = precision.bits_of(-1.5, format)
        assert sign == "1" and exponent == "0" + "1" * (format.exponent_bits - 1)
        assert mantissa == "1" + "0" * (format.mantissa_bits - 1)
        assert precision.bits_of(0, format) == ("0", "0" * format.exponent_bits, "0" * format.mantissa_bits)
        assert precision.bits_of(format.smallest, format)[2].endswith("01"[-min(2, format.mantissa_bits) :])

    def test_only_float32_is_rounded(self):
        with pytest.raises(ValueError, match="must be float32"):
            precision.round_to(torch.ones(2, dtype=torch.float64), FORMATS["bf16"])

    @pytest.mark.parametrize("exponent", [-20, -3, 0, 7, 20])
    def test_the_largest_shift(self, exponent):
        x, format = torch.tensor([0.3, -1.7, 0.0]) * 2.0**exponent, FORMATS["fp16"]
        shift = precision.largest_shift(x, format)
        assert (x * 2.0**shift).abs().max() <= format.largest < (x * 2.0 ** (shift + 1)).abs().max()
        assert precision.largest_shift(torch.tensor([448 * 2.0**-exponent]), FORMATS["fp8 e4m3"]) == exponent
        assert precision.largest_shift(torch.zeros(3), format) == 0
        assert precision.largest_shift(torch.tensor([1.0, math.inf]), format) == 0


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
        with pytest.raises(ValueError, match="forward='bf16' must be one of the FORMATS"):
            precision.emulate(nn.Linear(2, 2), "bf16", None)

    def test_int8_forward_and_bf16_backward(self, batch):
        def prepared():
            return qat.prepare(models.trained("mynet"), batch[0], 8, 8, method="min-max").eval()

        plain, mixed = prepared(), precision.emulate(prepared(), None, FORMATS["bf16"])
        assert torch.equal(plain(batch[0]), mixed(batch[0]))
        a, b = gradients(plain, batch), gradients(mixed, batch)
        assert 0 < (a - b).norm() < 0.05 * a.norm()


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
