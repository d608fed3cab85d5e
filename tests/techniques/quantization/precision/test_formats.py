"""Formats against torch's casts."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnopt_lab.techniques.quantization import precision
from nnopt_lab.techniques.quantization.precision import FORMATS

with_dtype = pytest.mark.parametrize("format", [f for f in FORMATS.values() if f.name != "tf32"], ids=lambda f: f.name)
every = pytest.mark.parametrize("format", FORMATS.values(), ids=lambda f: f.name)


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
