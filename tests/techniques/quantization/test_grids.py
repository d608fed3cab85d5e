"""Grids at any width and granularity, clear about bad input."""

import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques import quantization
from nnopt_lab.techniques.quantization import Grid, dequantize, fake_quantize, grid_of, grid_of_range, grids, quantize
from tests.techniques.quantization.samples import PER, tensor

seeds = st.integers(0, 2**32 - 1)
widths = st.integers(1, 16)


class TestGrid:
    @given(seeds, st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16]))
    def test_the_grid_is_that_of_the_min_max_observer(self, seed, dtype):
        x = tensor(seed, 5, 8).to(dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            observer = torch.ao.quantization.MinMaxObserver(dtype=torch.quint8, qscheme=torch.per_tensor_affine)
            observer(x.float())
            scale, zero_point = observer.calculate_qparams()
        grid = grid_of(x, symmetric=False)
        assert torch.allclose(grid.scale, scale, rtol=1e-6, atol=0)
        assert abs(int(grid.zero_point) - int(zero_point)) <= 1  # theirs comes from another order of divisions
        assert quantize(x, grid).dtype == torch.uint8

    @given(seeds, widths, st.booleans(), st.sampled_from(PER))
    def test_zero_is_exact_and_no_value_moves_by_more_than_half_a_step(self, seed, bits, symmetric, per):
        if bits == 1 and symmetric:
            return
        x = tensor(seed, 3, 4, 5)
        x[1] = 0  # a row with no range at all
        grid = grid_of(x, bits, symmetric=symmetric, per=per[0], group=per[1])
        q = quantize(x, grid)
        assert grid.low <= q.min() and q.max() <= grid.high
        assert q.dtype == grid.dtype
        y = dequantize(q, grid)
        assert (y[x == 0] == 0).all()
        steps = (grids.rows_of(x - y, grid.group) / grid.scale).abs()
        # An affine grid moves by up to half a step so that zero falls on it, so the ends saturate by that much.
        assert steps.max() <= (0.5 if symmetric else 1) + 1e-2

    @given(seeds, st.integers(2, 16), st.sampled_from(PER))
    def test_what_lies_on_a_grid_stays(self, seed, bits, per):
        x = tensor(seed, 3, 20)
        grid = grid_of(x, bits, per=per[0], group=per[1])
        once = fake_quantize(x, grid)
        assert torch.equal(fake_quantize(once, grid), once)
        q = quantize(x, grid)
        assert torch.equal(quantize(dequantize(q, grid), grid), q)

    @given(seeds, st.integers(2, 12), st.booleans())
    def test_finer_granularity_never_has_wider_steps(self, seed, bits, symmetric):
        x = tensor(seed, 4, 64)
        x[:, 0], x[:, 1] = -1e-3, 1e-3  # a range for every row
        x[:, 8::8], x[:, 9::8] = -1e-3, 1e-3  # and every group
        tensors, channels = grid_of(x, bits, symmetric=symmetric), grid_of(x, bits, symmetric=symmetric, per="channel")
        groups = grid_of(x, bits, symmetric=symmetric, per="group", group=8)
        assert (groups.scale.squeeze(2) <= channels.scale).all() and (channels.scale <= tensors.scale).all()

    def test_a_worked_example(self):
        # The range −1 to 3 on 2 bits: a step of 4/3, and zero at round(1/(4/3)) = 1.
        grid = grid_of_range(-1.0, 3.0, 2)
        assert (grid.scale.item(), grid.zero_point.item(), grid.low, grid.high) == (pytest.approx(4 / 3), 1, 0, 3)

    def test_groups_of_five_leave_a_shorter_last_group(self):
        x = torch.tensor([[1.0, 2, 3, 4, 5, 100], [1, 1, 1, 1, 1, 0]])
        grid = grid_of(x, 8, per="group", group=5)
        assert grid.scale.shape == (2, 2, 1)
        assert grid.scale.flatten().tolist() == pytest.approx([5 / 127, 100 / 127, 1 / 127, 1.0])
        assert torch.allclose(fake_quantize(x, grid), x, atol=5 / 254)

    @pytest.mark.parametrize("value", [0.0, 1e-45, 3e38, -2.5])
    def test_constant_tensors(self, value):
        for symmetric in (True, False):
            x = torch.full((4, 4), value)
            y = fake_quantize(x, grid_of(x, 8, symmetric=symmetric))
            assert torch.allclose(y, x, rtol=1e-2, atol=1e-37)

    def test_the_widest_range_of_float32(self):
        x = torch.tensor([-3e38, 0, 3e38])
        for symmetric in (True, False):
            y = fake_quantize(x, grid_of(x, 8, symmetric=symmetric))
            assert y.isfinite().all() and torch.allclose(y, x, rtol=1e-2)

    def test_dtypes(self):
        dtypes = {(8, True): torch.int8, (8, False): torch.uint8, (9, True): torch.int16, (16, False): torch.int32}
        for (bits, symmetric), dtype in dtypes.items():
            assert grid_of(torch.randn(9), bits, symmetric=symmetric).dtype == dtype


class TestBadInput:
    @pytest.mark.parametrize("make", [lambda x: grid_of(x), lambda x: quantize(x, GRID), quantization.power_of_two])
    @pytest.mark.parametrize(
        ("x", "said"),
        [
            (torch.tensor([1.0, torch.nan]), "NaN"),
            (torch.empty(0, 3), "empty"),
            (torch.tensor([1, 2]), "torch.int64"),
            (torch.tensor([True]), "torch.bool"),
            (torch.tensor([1j]), "complex"),
        ],
    )
    def test_values(self, make, x, said):
        with pytest.raises(ValueError, match=said):
            make(x)

    def test_infinite_values_have_no_range(self):
        with pytest.raises(ValueError, match="infinite"):
            grid_of(torch.tensor([1.0, torch.inf]))

    @pytest.mark.parametrize("bits", [0, 17, -1, 8.0, True, "8", None])
    def test_bits(self, bits):
        with pytest.raises(ValueError, match="bits="):
            grid_of(torch.ones(3), bits)

    def test_one_bit_has_no_symmetric_grid(self):
        with pytest.raises(ValueError, match="binary"):
            grid_of(torch.ones(3), 1)
        assert fake_quantize(
            torch.tensor([-1.0, 0, 1]), grid_of(torch.tensor([0.0, 1]), 1, symmetric=False)
        ).tolist() == [0, 0, 1]

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"per": "row"}, "per='row'"),
            ({"per": "group"}, "group=None"),
            ({"group": 4}, "group=4"),
            ({"per": "group", "group": 0}, "group=0"),
        ],
    )
    def test_granularity(self, arguments, said):
        with pytest.raises(ValueError, match=said):
            grid_of(torch.ones(4, 4), **arguments)
        with pytest.raises(ValueError, match="single number"):
            grid_of(torch.tensor(1.0), per="channel")

    def test_ranges(self):
        for smallest, largest in ((1.0, -1.0), (-torch.inf, 0.0), (0.0, torch.nan)):
            with pytest.raises(ValueError, match="smallest"):
                grid_of_range(smallest, largest)

    def test_a_grid_of_another_tensor(self):
        grid = grid_of(torch.randn(4, 3), per="channel")
        with pytest.raises(ValueError, match=r"\[5, 3\]"):
            quantize(torch.randn(5, 3), grid)
        with pytest.raises(ValueError, match="shape"):
            quantize(torch.randn(3), grid_of(torch.randn(4, 8), per="group", group=4))

    def test_whole_numbers_outside_the_grid(self):
        with pytest.raises(ValueError, match="the grid has -127 to 127"):
            dequantize(torch.tensor([-128], dtype=torch.int8), GRID)
        with pytest.raises(ValueError, match="must contain integers"):
            dequantize(torch.tensor([1.0]), GRID)

    def test_a_view_and_a_parameter_are_right_and_left_alone(self):
        x = torch.randn(6, 8)
        view = x.t()[::2]
        assert torch.equal(quantize(view, grid_of(view)), quantize(view.contiguous(), grid_of(view.contiguous())))
        for per, group in PER:
            grid = grid_of(view, per=per, group=group)
            assert torch.equal(fake_quantize(view, grid), fake_quantize(view.contiguous(), grid))
        parameter = nn.Parameter(x.clone())
        assert not quantize(parameter, grid_of(parameter)).requires_grad
        assert torch.equal(parameter.detach(), x)


GRID = Grid(torch.tensor(0.5), torch.tensor(0, dtype=torch.int32), -127, 127)
