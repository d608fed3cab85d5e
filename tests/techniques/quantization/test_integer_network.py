"""The integer-only network: its dtypes, its agreement with float, what it refuses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques.quantization import (
    activation_ranges,
    grid_of_range,
    integer_layers,
    observers,
    quantize,
)
from nnopt_lab.techniques.quantization.integer_network import convert
from nnopt_lab.workbench import data, measure, models, training
from tests.techniques.quantization import zoo

seeds = st.integers(0, 10_000)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def chain(seed=0, **conv):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 4, **({"kernel_size": 3} | conv)), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(5)
    ).eval()


def converted(model, x, observer=observers.MinMax):
    with torch.no_grad():
        model(x)
    return convert(model, activation_ranges.calibrate(model, [x], observer))


class TestNetwork:
    def test_no_float_between_the_first_tensor_and_the_last(self):
        net = models.MyNet().eval()
        network = converted(net, torch.randn(8, 3, 32, 32, generator=generator(0)))
        q = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
        with measure.Dtypes() as dtypes:
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


CONVERTIBLE = (
    "plain", "view(-1, number)", "reshape to a shape", "flatten", "dropout in training mode", "by keyword",
    "frozen", "masked", "masked bias", "masked after a step", "masked and loaded",
    "without bias", "tied", "runs twice", "weight norm", "spectral norm", "parametrised",
)  # fmt: skip


class TestNetworksAsUsersWriteThem:
    @pytest.mark.parametrize("name", zoo.ALL)
    def test_are_converted_to_the_same_function_or_refused_in_one_sentence(self, name):
        model = zoo.make(zoo.ALL[name])
        x = zoo.inputs_of(model)
        wanted = zoo.answers(model)
        try:
            grids = activation_ranges.calibrate(model, [x])
        except ValueError as error:
            assert "recurrent" in name and "LSTM" in str(error)
            grids = {}
        try:
            network = convert(model, grids)
        except ValueError as error:
            assert name not in CONVERTIBLE
            assert "\n" not in str(error) and str(error).endswith(
                (".", "Flatten that begins with one of the first two.")
            )
        else:
            if name == "sequences":
                pytest.skip("refused when it meets them, see below")
            assert (network(x) - wanted).abs().max() < 0.06 * wanted.abs().max() + 0.02

    def test_a_linear_layer_over_sequences_is_refused_when_it_meets_them(self):
        model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        x = torch.randn(4, 4, 4)
        network = converted(model, x)
        with pytest.raises(ValueError, match=r"q has the shape \[4, 4, 4\]; this layer needs \[inputs, N\]"):
            network(x)


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
            (nn.Sequential(nn.Conv2d(2, 4, 3), nn.Linear(6, 6)), "at '1': flatten the pictures before it"),
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


@pytest.mark.parametrize("function", [torch.tanh, nn.functional.hardswish, lambda x: nn.functional.max_pool2d(x, 2)])
def test_messages_name_functions_without_their_addresses(function):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)

        def forward(self, x):
            return function(self.conv(x))

    with pytest.raises(ValueError, match="can't be converted at") as error:
        convert(Net(), {})
    assert " at 0x" not in str(error.value) and "\n" not in str(error.value)
