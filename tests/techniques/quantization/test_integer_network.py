"""The integer-only network: its arithmetic against exact whole numbers, its dtypes, its agreement with float."""

from fractions import Fraction

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nnopt_lab.techniques.quantization import (
    activation_ranges,
    dequantize,
    grid_of_range,
    integer_layers,
    observers,
    quantize,
)
from nnopt_lab.techniques.quantization.integer_network import convert
from nnopt_lab.techniques.quantization.requantization import fixed_point, requantize
from nnopt_lab.workbench import data, measure, models, training

reals = st.floats(1e-9, 100.0)
seeds = st.integers(0, 10_000)


def generator(seed):
    return torch.Generator().manual_seed(seed)


class TestFixedPoint:
    @given(st.floats(2.0**-32, 2.0**20))
    @example(0.5)
    @example(1.0)
    @example(1 - 2.0**-53)  # rounds up to the next power of two
    def test_is_the_nearest_with_31_bits(self, real):
        multiplier, shift = fixed_point(real)
        assert 2**30 <= multiplier < 2**31 and 0 < shift <= 62
        assert abs(Fraction(multiplier, 2**shift) - Fraction(real)) <= Fraction(real) / 2**31

    @given(st.floats(5e-324, 2.0**-32))
    def test_tiny_numbers_still_make_every_sum_zero(self, real):
        multiplier, shift = fixed_point(real)
        assert shift == 62 and abs(multiplier) <= 2**30
        sums = torch.tensor([1 - 2**31, 2**31 - 1], dtype=torch.int32)
        assert requantize(sums, torch.tensor(multiplier), torch.tensor(shift), 7).tolist() == [7, 7]

    @pytest.mark.parametrize("real", [0.0, -0.5, float("nan"), float("inf"), 2.0**30])
    def test_refuses(self, real):
        with pytest.raises(ValueError, match="must be above 0 and below 2"):
            fixed_point(real)


class TestRequantize:
    @given(
        st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=8),
        st.floats(1e-12, 2.0**20),
        st.integers(0, 255),
    )
    @example([-(2**31), 2**31 - 1], 2.0**20, 0)
    def test_is_exact_whatever_the_sum(self, sums, real, zero_point):
        multiplier, shift = fixed_point(real)
        got = requantize(
            torch.tensor(sums, dtype=torch.int32), torch.tensor(multiplier), torch.tensor(shift), zero_point
        )
        for q, total in zip(got.tolist(), sums, strict=True):
            exact = (Fraction(total * multiplier, 2**shift) + Fraction(1, 2)).__floor__() + zero_point
            assert q == min(max(exact, 0), 255)
        assert got.dtype == torch.uint8

    @given(st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=8), st.floats(1e-5, 0.5))
    def test_is_at_most_half_a_step_from_the_real_product(self, sums, real):
        multiplier, shift = (torch.tensor(number) for number in fixed_point(real))
        got = requantize(torch.tensor(sums, dtype=torch.int32), multiplier, shift, 128)
        wanted = (torch.tensor(sums, dtype=torch.float64) * real + 128).clamp(0, 255)
        assert ((got.double() - wanted).abs() <= 0.5 + 1e-3).all()

    def test_one_multiplier_for_each_channel_and_a_clamp(self):
        sums = torch.tensor([[100, -100], [100, -100]], dtype=torch.int32)
        multiplier, shift = torch.tensor([fixed_point(0.5), fixed_point(0.25)]).T[..., None]
        assert requantize(sums, multiplier, shift, 10, low=10).tolist() == [[60, 10], [35, 10]]


def chain(seed=0, **conv):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 4, **({"kernel_size": 3} | conv)), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(5)
    ).eval()


def converted(model, x, observer=observers.MinMax):
    with torch.no_grad():
        model(x)
    return convert(model, activation_ranges.calibrate(model, [x], observer))


def exact_layer(layer, q, window=None):
    """Sums in 64-bit whole numbers by torch's own convolution in float64, which holds these numbers exactly."""
    shifted = q.double() - float(layer.zero_points[0])
    if window is None:
        sums = layer.weight.double() @ shifted
        return (sums + layer.bias).long()
    channels = len(q)
    weight = layer.weight.double().view(len(layer.weight), channels, *window["kernel_size"])
    sums = F.conv2d(shifted.transpose(0, 1), weight, **{k: v for k, v in window.items() if k != "kernel_size"})
    return (sums.transpose(0, 1) + layer.bias.view(-1, 1, 1, 1)).long()


class TestLayer:
    @settings(max_examples=25, deadline=None)
    @given(
        seeds,
        st.tuples(st.integers(1, 3), st.integers(1, 3)),
        st.integers(1, 2),
        st.integers(0, 2),
        st.integers(1, 2),
        st.booleans(),
    )
    def test_a_convolution_is_exact_whatever_its_window(self, seed, kernel, stride, padding, dilation, bias):
        window = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        torch.manual_seed(seed)
        conv = nn.Conv2d(2, 3, bias=bias, **window)
        layer = integer_layers.IntegerLayer(conv, grid_of_range(-1, 2), grid_of_range(-3, 3))
        q = torch.randint(0, 256, (2, 3, 7, 6), generator=generator(seed), dtype=torch.uint8)
        assert torch.equal(layer.sums(q).long(), exact_layer(layer, q, window))

    @settings(max_examples=25, deadline=None)
    @given(seeds, st.integers(1, 40), st.integers(1, 9), st.integers(1, 5))
    def test_a_linear_layer_is_exact(self, seed, inputs, outputs, pictures):
        torch.manual_seed(seed)
        layer = integer_layers.IntegerLayer(nn.Linear(inputs, outputs), grid_of_range(-1, 2), grid_of_range(-3, 3))
        q = torch.randint(0, 256, (inputs, pictures), generator=generator(seed), dtype=torch.uint8)
        sums = exact_layer(layer, q)
        assert torch.equal(layer.sums(q).long(), sums)
        wanted = [
            [
                min(max(((int(s) * int(m) + (1 << int(k) - 1)) >> int(k)) + int(layer.zero_points[1]), 0), 255)
                for s in row
            ]
            for row, m, k in zip(sums, layer.multiplier, layer.shift, strict=True)
        ]
        assert layer(q).tolist() == wanted

    def test_the_largest_sums_fit(self):
        linear = nn.Linear(33_000, 2)
        nn.init.constant_(linear.weight, 1.0)
        with torch.no_grad():
            linear.weight[1] = -1
        for zero, value in ((0, 255), (255, 0)):
            source = grid_of_range(*((0, 1) if zero == 0 else (-1, 0)))
            layer = integer_layers.IntegerLayer(linear, source, grid_of_range(-1, 1))
            q = torch.full((33_000, 1), value, dtype=torch.uint8)
            assert torch.equal(layer.sums(q).long(), exact_layer(layer, q))
        with pytest.raises(ValueError, match="sums 33,200 products, which 32 bits may not hold"):
            integer_layers.IntegerLayer(nn.Linear(33_200, 2), source, source)

    def test_a_channel_without_weights_keeps_its_bias(self):
        linear = nn.Linear(3, 3)
        with torch.no_grad():
            linear.weight.zero_()
            linear.bias.copy_(torch.tensor([0.7, 0.0, -0.3]))
            linear.weight[2] = 1e-12
        target = grid_of_range(-1, 1)
        layer = integer_layers.IntegerLayer(linear, grid_of_range(0, 1), target)
        out = dequantize(layer(torch.full((3, 1), 200, dtype=torch.uint8)), target)
        torch.testing.assert_close(out.flatten(), linear.bias.detach(), atol=float(target.scale) / 2 + 1e-6, rtol=0)

    def test_relu_is_a_clamp_at_zero_even_where_the_grid_goes_below(self):
        linear, target = nn.Linear(1, 1, bias=False), grid_of_range(-1, 1)
        nn.init.constant_(linear.weight, -1.0)
        q = torch.tensor([[0, 100, 255]], dtype=torch.uint8)
        plain, clamped = (
            integer_layers.IntegerLayer(linear, grid_of_range(0, 1), target, relu)(q) for relu in (False, True)
        )
        assert (dequantize(plain, target) < 0).any()
        assert torch.equal(dequantize(clamped, target), dequantize(plain, target).relu())

    @pytest.mark.parametrize(
        ("layer", "sentence"),
        [
            (nn.Conv2d(2, 2, 3, groups=2), "needs groups=1"),
            (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), "zeros as padding"),
            (nn.Conv2d(2, 2, 3, padding="same"), "zeros as padding"),
        ],
    )
    def test_refuses_layers(self, layer, sentence):
        with pytest.raises(ValueError, match=sentence):
            integer_layers.IntegerLayer(layer, grid_of_range(0, 1), grid_of_range(0, 1))

    @pytest.mark.parametrize("grid", [grid_of_range(-1, 1, symmetric=True), grid_of_range(0, 1, 9)])
    def test_refuses_grids(self, grid):
        with pytest.raises(ValueError, match="affine grids of at most 8 bits"):
            integer_layers.IntegerLayer(nn.Linear(2, 2), grid, grid_of_range(0, 1))


class Dtypes(TorchDispatchMode):
    """Notes the dtype of every tensor that goes into or comes out of an operation."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.seen |= {t.dtype for t in tree_leaves((args, kwargs, result)) if isinstance(t, torch.Tensor)}
        return result


class TestNetwork:
    def test_no_float_between_the_first_tensor_and_the_last(self):
        net = models.MyNet().eval()
        network = converted(net, torch.randn(8, 3, 32, 32, generator=generator(0)))
        q = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
        with Dtypes() as dtypes:
            logits = network.integers(q)
        assert logits.shape == (4, 10) and logits.dtype == torch.uint8
        assert {torch.uint8, torch.int8, torch.int32, torch.int64} == dtypes.seen
        state = {name: t.dtype for name, t in network.state_dict().items()}
        assert state.pop("scales") == torch.float32
        assert not any(dtype.is_floating_point for dtype in state.values())

    @settings(max_examples=20, deadline=None)
    @given(seeds, st.sampled_from([1, 2]), st.sampled_from([0, 1]), st.sampled_from([(2, 2, 0), (3, 2, 1), (3, 1, 0)]))
    def test_max_pooling_first_or_last_is_the_same(self, seed, stride, padding, pool):
        size, step, around = pool
        torch.manual_seed(seed)
        conv = nn.Conv2d(2, 4, 3, stride, padding)
        pooling = nn.MaxPool2d(size, step, around)
        grids = grid_of_range(-1, 1), grid_of_range(-0.5, 0.5)
        q = torch.randint(0, 256, (2, 3, 9, 8), generator=generator(seed), dtype=torch.uint8)
        for relu in (False, True):
            within = integer_layers.IntegerLayer(conv, *grids, relu, (pooling,))(q)
            after = pooling(integer_layers.IntegerLayer(conv, *grids, relu)(q).double())
            assert torch.equal(within.double(), after)

    @settings(max_examples=15, deadline=None)
    @given(seeds)
    def test_is_near_the_float_network(self, seed):
        x = torch.randn(16, 2, 8, 8, generator=generator(seed))
        model = chain(seed)
        network = converted(model, x)
        with torch.no_grad():
            wanted = model(x)
        assert (network(x) - wanted).abs().max() < 0.06 * wanted.abs().max()

    def test_functions_in_place_of_modules_and_layers_that_do_nothing(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.drop, self.linear = nn.Conv2d(2, 4, 3), nn.Dropout(), nn.Linear(144, 5)

            def forward(self, x):
                return self.linear(self.drop(torch.relu(self.conv(x))).flatten(1))

        x = torch.randn(16, 2, 8, 8, generator=generator(0))
        model = Net().eval()
        network = converted(model, x)
        with torch.no_grad():
            wanted = model(x)
        assert (network(x) - wanted).abs().max() < 0.06 * wanted.abs().max()

    def test_on_rows_and_on_one_picture(self):
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        x = torch.randn(50, 6, generator=generator(0))
        network = converted(model, x)
        assert torch.equal(network(x[:1]), network(x)[:1])
        with torch.no_grad():
            assert (network(x) - model(x)).abs().max() < 0.05

    def test_leaves_the_model_alone_and_may_be_stored(self, tmp_path):
        x = torch.randn(16, 2, 8, 8, generator=generator(0))
        model = chain()
        network = converted(model, x)
        before = {name: t.clone() for name, t in model.state_dict().items()}
        network(x)
        assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
        weights = sum(layer.weight.numel() for layer in (model[0], model[4]))
        stored = sum(t.nbytes for t in network.state_dict().values())
        assert stored == weights + (4 + 5) * (4 + 4 + 1) + 2 * 2 + 2 * 4

    def test_a_quarter_of_the_bytes_and_the_accuracy_of_float(self):
        pictures, net = data.load("fashion"), models.trained("mynet")
        batches = [pictures.to_input(pictures.train.images[:200])]
        network = convert(net, activation_ranges.calibrate(net, batches))
        part = pictures.test[:2000]
        theirs, ours = (training.evaluate(model, part, pictures) for model in (net, network))
        assert theirs.accuracy - ours.accuracy < 1
        assert 3.9 < measure.disk_bytes(net) / measure.disk_bytes(network) < 4
        # Black to white is the range, so that a picture on the input's grid is the picture itself.
        q = quantize(batches[0], network.source)
        assert torch.equal(q[:, 0, 2:-2, 2:-2], pictures.train.images[:200, 0])


class TestConvertRefuses:
    @pytest.mark.parametrize(
        ("model", "sentence"),
        [
            (nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)), r"at _?1 \(BatchNorm2d"),
            (nn.Sequential(nn.ReLU(), nn.Conv2d(2, 4, 3)), "begins with one of the first two"),
            (nn.Sequential(nn.Conv2d(2, 4, 3), nn.Sigmoid()), "Sigmoid"),
            (nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(2)), "Flatten"),
            (nn.Sequential(nn.Conv2d(2, 4, 3), nn.MaxPool2d(2, ceil_mode=True)), "kernel_size, stride and padding"),
            (nn.Sequential(nn.Identity()), "nothing to convert"),
        ],
    )
    def test_what_it_does_not_know(self, model, sentence):
        model.eval()
        grids = activation_ranges.calibrate(model, [torch.randn(2, 2, 8, 8)])
        with pytest.raises(ValueError, match=sentence):
            convert(model, grids)

    def test_what_is_no_chain(self):
        teacher = models.Teacher().eval()
        with pytest.raises(ValueError, match="can't be converted at stem_1"):
            convert(teacher, {})

        class Residual(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(2, 2, 3, padding=1)

            def forward(self, x):
                return x + self.conv(x)

        with pytest.raises(ValueError, match=r"can't be converted at add .*must be a chain"):
            convert(Residual(), {})

    def test_a_grid_that_is_missing(self):
        model = chain()
        grids = activation_ranges.calibrate(model, [torch.randn(2, 2, 8, 8)])
        del grids["3"], grids["input"]
        with pytest.raises(ValueError, match=r"no entry for 3, input: make them with calibrate"):
            convert(model, grids)
