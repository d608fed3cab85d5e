"""Cheaper blocks: the right shapes and costs, and the model given left alone."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques.convolutions import blocks
from nnopt_lab.workbench import measure, models
from tests.techniques.convolutions.networks import X, mynet, normed

BUILDERS = {
    "separable": blocks.separable,
    "grouped": lambda model: blocks.grouped(model, 4),
    "bottleneck": blocks.bottleneck,
    "asymmetric": blocks.asymmetric,
    "strided": blocks.strided,
}


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("build", [mynet, lambda: normed(models.Teacher((8, 16, 16)))], ids=["MyNet", "Teacher"])
def test_takes_and_gives_the_same_shapes_and_leaves_the_model_as_it_was(name, build):
    model = build()
    before, text = copy.deepcopy(model.state_dict()), repr(model)
    changed = BUILDERS[name](model)
    assert changed is not model and changed(X).shape == (2, 10)
    assert repr(model) == text and all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    mine = {p.data_ptr() for p in model.parameters()}
    assert not any(p.data_ptr() in mine for p in changed.parameters()), "the copy shares a tensor with the model"
    assert not changed.training and type(changed) is type(model)


@settings(max_examples=30)
@given(
    st.integers(1, 3).map(lambda n: 4 * n), st.integers(1, 3).map(lambda n: 4 * n), st.sampled_from([3, 5]),
    st.integers(1, 2), st.integers(0, 2), st.booleans(),
)  # fmt: skip
def test_every_block_keeps_the_pictures_size(inputs, outputs, kernel, stride, padding, bias):
    model = nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias))
    x = torch.randn(1, inputs, 9, 11)
    for build in (
        blocks.separable,
        lambda m: blocks.grouped(m, 4),
        blocks.bottleneck,
        blocks.asymmetric,
    ):
        assert build(model)(x).shape == model(x).shape


class TestCosts:
    model = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1, bias=False))
    x = torch.zeros(1, 16, 8, 8)

    def macs_per_pixel(self, changed):
        return measure.macs(changed, self.x) / 64

    def test_separable(self):
        assert self.macs_per_pixel(blocks.separable(self.model)) == 16 * 9 + 16 * 32

    def test_grouped(self):
        changed = blocks.grouped(self.model, 4)
        assert self.macs_per_pixel(changed) == 16 * 32 * 9 / 4 and changed[0].groups == 4

    def test_bottleneck(self):
        assert self.macs_per_pixel(blocks.bottleneck(self.model, 4)) == 16 * 8 + 8 * 8 * 9 + 8 * 32

    def test_asymmetric(self):
        changed = blocks.asymmetric(self.model)
        assert self.macs_per_pixel(changed) == 3 * 16 * 16 + 3 * 16 * 32
        assert [m.kernel_size for m in changed.modules() if isinstance(m, nn.Conv2d)] == [(3, 1), (1, 3)]


def test_a_grouped_convolution_is_a_full_one_with_zeros():
    changed = blocks.grouped(nn.Sequential(nn.Conv2d(8, 8, 3)), 2)[0]
    full = nn.Conv2d(8, 8, 3)
    with torch.no_grad():
        full.weight.zero_()
        full.weight[:4, :4], full.weight[4:, 4:] = changed.weight[:4], changed.weight[4:]
        full.bias.copy_(changed.bias)
        x = torch.randn(2, 8, 6, 6)
        assert torch.allclose(changed(x), full(x), atol=1e-6)


def test_only_the_layers_named_are_replaced():
    changed = blocks.separable(mynet(), ["features.3"])
    assert isinstance(changed.features[0], nn.Conv2d) and isinstance(changed.features[3], nn.Sequential)


def test_layers_that_no_group_divides_are_left_when_none_is_named():
    changed = blocks.grouped(mynet(), 4)
    assert changed.features[0].groups == 1 and changed.features[3].groups == 4


class TestStrided:
    def test_the_convolution_takes_over_the_stride_and_the_weights_stay(self):
        model = mynet()
        changed = blocks.strided(model)
        assert [changed.features[i].stride for i in (0, 3)] == [(2, 2), (2, 2)]
        assert [type(changed.features[i]) for i in (2, 5)] == [nn.Identity, nn.Identity]
        assert torch.equal(changed.features[0].weight, model.features[0].weight)

    def test_it_computes_exactly_the_pixels_at_even_places(self):
        model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        assert torch.allclose(blocks.strided(model)(X), model[:2](X)[:, :, ::2, ::2], atol=1e-6)

    def test_functions_and_batch_norms_may_stand_between(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.norm, self.pool = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.MaxPool2d(2)

            def forward(self, x):
                return self.pool(nn.functional.relu(self.norm(self.conv(x))))

        assert blocks.strided(Net()).conv.stride == (2, 2)

    @pytest.mark.parametrize(
        "layers",
        [
            [nn.Conv2d(3, 4, 3, stride=2), nn.MaxPool2d(2)],
            [nn.Conv2d(3, 4, 3), nn.MaxPool2d(3, 2)],
            [nn.Conv2d(3, 4, 3), nn.MaxPool2d(2, padding=1)],
            [nn.Conv2d(3, 4, 3), nn.Softmax(1), nn.MaxPool2d(2)],
            [nn.MaxPool2d(2), nn.Conv2d(3, 4, 3)],
        ],
        ids=["strided already", "overlapping", "padded", "not elementwise", "pooling first"],
    )
    def test_other_poolings_stay(self, layers):
        model = nn.Sequential(*layers)
        assert repr(blocks.strided(model)) == repr(model)

    def test_a_convolution_whose_output_someone_else_reads_is_left(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.pool = nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2)

            def forward(self, x):
                x = self.conv(x)
                return self.pool(x).mean() + x.mean()

        assert blocks.strided(Net()).conv.stride == (1, 1)

    @staticmethod
    def three_poolings(size):
        layers = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [layer for _ in range(2) for layer in (nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * (size // 8) ** 2, 3))

    @pytest.mark.parametrize(("size", "left"), [(28, [8]), (32, []), (64, []), (96, [])])
    @pytest.mark.parametrize("given", [True, False], ids=["with an example", "without"])
    def test_a_pooling_of_an_odd_number_of_pixels_stays_where_the_sizes_would_not_fit(self, size, left, given):
        model, x = self.three_poolings(size), torch.randn(2, 1, size, size)
        changed = blocks.strided(model, x) if given else blocks.strided(model)
        assert [i for i, layer in enumerate(changed) if isinstance(layer, nn.MaxPool2d)] == left
        assert changed(x).shape == (2, 3)

    @pytest.mark.parametrize("size", [44, 50, 14, 9, 29, 31])
    def test_with_an_example_of_any_size(self, size):
        model, x = self.three_poolings(size), torch.randn(2, 1, size, size)
        assert blocks.strided(model, x)(x).shape == (2, 3)

    @pytest.mark.parametrize("size", [41, 44, 47, 20])
    def test_at_sizes_that_are_not_usual_it_stays_on_the_safe_side(self, size):
        model, x = self.three_poolings(size), torch.randn(2, 1, size, size)
        assert blocks.strided(model)(x).shape == (2, 3)

    def test_where_the_size_does_not_matter_all_poolings_go(self):
        model = nn.Sequential(*self.three_poolings(28)[:9], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
        changed = blocks.strided(model)
        assert not any(isinstance(layer, nn.MaxPool2d) for layer in changed)
        assert changed(torch.randn(2, 1, 28, 28)).shape == (2, 3)

    def test_an_odd_size_beside_a_residual_sum(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.pool = nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2)
                self.short, self.other = nn.Conv2d(3, 4, 1), nn.MaxPool2d(2)

            def forward(self, x):
                return self.pool(self.conv(x)) + self.other(torch.relu(self.short(x).clone()))

        x = torch.randn(2, 3, 7, 7)
        assert blocks.strided(Net(), x)(x).shape == (2, 4, 3, 3)

    def test_padding_by_name_has_no_stride(self):
        model = nn.Sequential(nn.Conv2d(3, 4, 3, padding="same"), nn.MaxPool2d(2))
        assert repr(blocks.strided(model)) == repr(model)


class TestSharedLayers:
    def test_a_convolution_in_two_places_is_replaced_in_both(self):
        conv = nn.Conv2d(16, 16, 3, padding=1)
        model = nn.Sequential(conv, nn.ReLU(), conv)
        changed = blocks.separable(model)
        assert changed[0] is changed[2]
        assert measure.parameters(changed).total == 16 * 9 + 16 * 16 + 16
        with pytest.raises(ValueError, match="'0' under another name"):
            blocks.separable(model, ["2"])

    def test_tied_convolutions_stay(self):
        model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3))
        model[1].weight = model[0].weight
        assert list(blocks.convolutions(model)) == ["2"]
        with pytest.raises(
            ValueError, match=r"layers contains '1', .* \(it is tied with '0\.weight'\): choose from 2\."
        ):
            blocks.separable(model, ["1"])

    def test_the_model_itself_may_be_the_convolution(self):
        assert blocks.separable(nn.Conv2d(3, 4, 3))(X).shape == (2, 4, 30, 30)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda m: blocks.separable(m, ["classifier.0"]),
            "layers contains 'classifier.0', which is not an ungrouped",
        ),
        (lambda m: blocks.asymmetric(m, ["nowhere"]), "choose from features.0, features.3"),
        (lambda m: blocks.grouped(m, 5, ["features.3"]), "groups=5 must divide 16 input channels and 32 filters"),
        (lambda m: blocks.grouped(m, 0, ["features.3"]), "groups=0 must divide"),
        (lambda m: blocks.bottleneck(m, 0), "reduction=0 must be at least 1"),
    ],
)
def test_refuses(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(mynet())
