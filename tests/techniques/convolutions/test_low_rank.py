"""Low-rank factorisation: exact at full rank, the nearest below it, and ranks that keep their promises."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques.convolutions import low_rank
from nnopt_lab.workbench import measure, models

X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def mynet():
    torch.manual_seed(0)
    return models.MyNet().eval()


def full_ranks(model):
    return {name: min(low_rank._matrix(layer).shape) for name, layer in low_rank.factorisable(model).items()}


@pytest.mark.parametrize("build", [mynet, lambda: models.Teacher((8, 16, 24)).eval()], ids=["MyNet", "Teacher"])
def test_at_full_rank_it_is_the_same_function_and_the_model_is_left_alone(build):
    model = build()
    before = copy.deepcopy(model.state_dict())
    factorised = low_rank.low_rank(model, full_ranks(model))
    with torch.inference_mode():
        assert torch.allclose(factorised(X), model(X), atol=1e-4)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert not factorised.training


@settings(max_examples=40)
@given(
    st.integers(1, 5), st.integers(1, 5), st.sampled_from([(1, 1), (3, 3), (1, 3), (3, 5)]), st.integers(1, 2),
    st.sampled_from([0, 1]), st.booleans(),
)  # fmt: skip
def test_any_convolution_can_be_split_at_full_rank(inputs, outputs, kernel, stride, padding, bias):
    model = nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias))
    x = torch.randn(2, inputs, 9, 8)
    factorised = low_rank.low_rank(model, full_ranks(model))
    assert torch.allclose(factorised(x), model(x), atol=1e-4)


@settings(max_examples=40)
@given(st.integers(2, 9), st.integers(2, 9), st.data())
def test_a_linear_layer_is_cut_to_the_nearest_of_its_rank(rows, columns, data):
    rank = data.draw(st.integers(1, min(rows, columns)))
    layer = nn.Linear(columns, rows)
    second, first = reversed([part.weight for part in low_rank.low_rank(nn.Sequential(layer), {"0": rank})[0]])
    gap = torch.linalg.matrix_norm(layer.weight - second @ first)
    lost = torch.linalg.svdvals(layer.weight)[rank:].norm()  # Eckart & Young
    assert torch.allclose(gap, lost, atol=1e-5)
    assert first.shape == (rank, columns) and second.shape == (rows, rank)


def test_the_spatial_factors_make_up_the_nearest_kernel_of_their_rank():
    conv = nn.Conv2d(4, 6, 3, bias=False)
    vertical, horizontal = low_rank.low_rank(nn.Sequential(conv), {"0": 5})[0]
    kernel = torch.einsum("riv,orh->oivh", vertical.weight[..., 0], horizontal.weight[:, :, 0])
    lost = torch.linalg.svdvals(low_rank._matrix(conv))[5:].norm()
    assert torch.allclose((kernel - conv.weight).norm(), lost, atol=1e-5)


class TestRankForEnergy:
    def test_a_worked_example(self):
        values = torch.tensor([3.0, 2.0, 1.0, 1.0])  # energies 9, 4, 1, 1 of 15
        assert [low_rank.rank_for_energy(values, e) for e in (0.5, 0.6, 0.61, 13 / 15, 0.9, 1.0)] == [1, 1, 2, 2, 3, 4]

    @given(st.lists(st.floats(0.01, 100), min_size=1, max_size=12), st.floats(0.01, 1))
    def test_is_the_smallest_that_holds_the_share(self, values, energy):
        values = torch.tensor(sorted(values, reverse=True), dtype=torch.float64)
        rank, held = low_rank.rank_for_energy(values, energy), values.square().cumsum(0)
        assert 1 <= rank <= len(values)
        assert held[rank - 1] >= energy * held[-1] * (1 - 1e-9)
        assert rank == 1 or held[rank - 2] < energy * held[-1]

    @pytest.mark.parametrize("energy", [0, -1, 1.01, float("nan")])
    def test_refuses(self, energy):
        with pytest.raises(ValueError, match=r"energy=.* must be above 0 and at most 1"):
            low_rank.rank_for_energy(torch.ones(3), energy)


class TestChooseRanks:
    @pytest.mark.parametrize("parameters", [268_650, 200_000, 100_000, 20_000])
    def test_a_set_number_of_parameters_is_kept_and_nearly_used(self, parameters):
        model = mynet()
        ranks = low_rank.choose_ranks(model, parameters=parameters)
        total = measure.parameters(low_rank.low_rank(model, ranks)).total
        assert 0.85 * parameters <= total <= parameters

    def test_every_chosen_layer_becomes_smaller(self):
        model = mynet()
        for energy in (0.5, 0.9, 0.99, 1.0):
            for name, rank in low_rank.choose_ranks(model, energy=energy).items():
                factors = low_rank.low_rank(model, {name: rank}).get_submodule(name)
                assert measure.parameters(factors).total < measure.parameters(model.get_submodule(name)).total

    def test_more_energy_means_higher_ranks(self):
        model = mynet()
        few, many = (low_rank.choose_ranks(model, energy=e) for e in (0.3, 0.6))
        assert all(many.get(name, 10**6) >= rank for name, rank in few.items())

    def test_only_the_layers_named_are_considered(self):
        assert set(low_rank.choose_ranks(mynet(), energy=0.3, layers=["classifier.0"])) == {"classifier.0"}

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({}, "give exactly one"),
            ({"energy": 0.9, "parameters": 5}, "give exactly one"),
            ({"energy": 1.5}, "energy=1.5"),
            ({"parameters": 10}, "parameters=10 must be .*, rank 1 everywhere, to the"),
            ({"parameters": 300_000}, "parameters=300000 must be"),
            ({"energy": 0.9, "layers": ["features.1"]}, "'features.1' is not a layer that can be factorised"),
        ],
    )
    def test_refuses(self, options, sentence):
        with pytest.raises(ValueError, match=sentence):
            low_rank.choose_ranks(mynet(), **options)


@pytest.mark.parametrize(
    ("ranks", "sentence"),
    [
        ({"classifier.0": 0}, r"ranks\['classifier.0'\]=0 must be 1 to 128"),
        ({"classifier.0": 129}, "must be 1 to 128"),
        ({"features.3": 49}, "must be 1 to 48"),
        ({"nowhere": 1}, "'nowhere' is not a layer"),
    ],
)
def test_a_rank_out_of_range_is_refused(ranks, sentence):
    with pytest.raises(ValueError, match=sentence):
        low_rank.low_rank(mynet(), ranks)


def test_what_cannot_be_split_is_not_offered():
    model = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 3),
        nn.ReLU(),
    )
    assert list(low_rank.factorisable(model)) == ["4"]
