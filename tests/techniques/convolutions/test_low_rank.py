"""Low-rank factorisation: exact at full rank, the nearest below it, and ranks that keep their promises."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations, prune

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
            ({"parameters": 10}, "parameters=10 must be between .*, the number at rank 1, and the"),
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
    padding = "its padding is not a number of zeros"
    reasons = {"0": "its channels are in 2 groups", "1": "it is dilated", "2": padding, "3": padding, "4": ""}
    assert low_rank.why_not_factorisable(model) == reasons
    with pytest.raises(ValueError, match=r"'0' is not a layer .* \(its channels are in 2 groups\): choose from 4"):
        low_rank.low_rank(model, {"0": 1})


def total(model):
    return sum(p.numel() for p in model.parameters())


class TestSharedLayers:
    layer = nn.Linear(64, 64)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    x = torch.randn(5, 64)

    def test_a_layer_in_two_places_is_replaced_in_both(self):
        small = low_rank.low_rank(self.model, {"0": 8})
        assert small[0] is small[2] and total(small) == 8 * 128 + 64
        same = low_rank.low_rank(self.model, {"0": 64})
        assert torch.allclose(same(self.x), self.model(self.x), atol=1e-4)

    def test_its_other_name_is_refused(self):
        with pytest.raises(
            ValueError, match=r"'2' is not a layer .* \(it is '0' under another name\): choose from 0\."
        ):
            low_rank.low_rank(self.model, {"2": 8})

    @pytest.mark.parametrize("together", ["parameter", "memory"])
    def test_tied_layers_are_left_and_the_number_of_parameters_is_kept_to(self, together):
        model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 64), self.layer, self.layer)
        if together == "parameter":
            model[1].weight = model[0].weight
        else:
            model[1].weight.data = model[0].weight.data
        assert list(low_rank.factorisable(model)) == ["2", "3"]
        with pytest.raises(ValueError, match=r"'1' is not a layer .* \(it is tied with '0.weight'\)"):
            low_rank.low_rank(model, {"1": 3})
        small = low_rank.low_rank(model, low_rank.choose_ranks(model, parameters=total(model) - 3000))
        assert total(small) <= total(model) - 3000 and small(self.x).shape == (5, 64)


class TestComputedWeights:
    def test_the_weight_is_the_one_that_forward_uses(self):
        model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
        prune.random_unstructured(model[0], "weight", 9)
        parametrizations.weight_norm(model[1])
        x = torch.randn(4, 6)
        model(x)
        model.load_state_dict({k: v if "mask" in k else torch.randn_like(v) for k, v in model.state_dict().items()})
        assert torch.allclose(low_rank.low_rank(model, full_ranks(model))(x), model(x), atol=1e-4)

    def test_what_a_weight_norm_stores_is_counted(self):
        model = nn.Sequential(parametrizations.weight_norm(nn.Linear(16, 16)))
        ranks = low_rank.choose_ranks(model, parameters=200)
        assert total(low_rank.low_rank(model, ranks)) <= 200


def test_frozen_factors_of_frozen_layers():
    model = nn.Sequential(nn.Linear(6, 6), nn.Conv2d(3, 4, 3), nn.Linear(6, 6))
    model[0].requires_grad_(False)
    model[1].bias.requires_grad_(False)
    factors = low_rank.low_rank(model, full_ranks(model))
    assert [[p.requires_grad for p in part.parameters()] for part in factors] == [[False] * 3, [True, True, False],
                                                                                  [True] * 3]  # fmt: skip


@pytest.mark.parametrize(
    ("build", "left"),
    [
        (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), []),
        (lambda: nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(8, 8)), ["1"]),
        (lambda: nn.ModuleList([nn.MultiheadAttention(8, 2), nn.Linear(8, 8)]), ["1"]),
        (lambda: nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), ["linear1", "linear2"]),
    ],
)
def test_layers_whose_weights_a_parent_reads_are_not_offered(build, left):
    assert list(low_rank.factorisable(build())) == left


def test_one_of_them_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'linear1' is not a layer .* \(TransformerEncoderLayer reads its weights\)"):
        low_rank.low_rank(nn.TransformerEncoderLayer(8, 2, 16), {"linear1": 2})


@pytest.mark.parametrize("layer", [nn.Linear(5, 7), nn.Conv2d(3, 5, 3, 2, 1), nn.Conv2d(4, 3, (1, 3), bias=False)])
def test_factors_can_be_asked_for_the_layers_weight_and_sizes(layer):
    factors = low_rank.low_rank(layer, full_ranks(layer))
    assert torch.allclose(factors.weight, layer.weight, atol=1e-5)
    assert (factors.bias is None) == (layer.bias is None)
    assert all(getattr(factors, name) == getattr(layer, name) for name in layer.__constants__)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_types_stay(dtype):
    model = nn.Sequential(nn.Linear(6, 4)).to(dtype)
    factors = low_rank.low_rank(model, {"0": 4})
    assert {p.dtype for p in factors.parameters()} == {dtype}
    tolerance = 1e-6 if dtype == torch.float64 else 0.05
    assert (factors[0].weight - model[0].weight).abs().max() < tolerance


def test_a_convolutions_output_can_be_viewed():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 2)

        def forward(self, x):
            return self.head(self.conv(x).view(x.size(0), -1))

    model, x = Net(), torch.randn(2, 3, 8, 8)
    assert torch.allclose(low_rank.low_rank(model, full_ranks(model))(x), model(x), atol=1e-4)


FAMILIES = [
    "alexnet", "vgg11_bn", "resnet18", "wide_resnet50_2", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5",
    "resnext50_32x4d", "regnet_x_400mf", "regnet_y_400mf", "densenet121", "googlenet", "inception_v3", "squeezenet1_1",
    "shufflenet_v2_x0_5", "efficientnet_b0", "efficientnet_v2_s", "convnext_tiny",
]  # fmt: skip
LEFT = {"vit": "self_attention.out_proj", "swin": "attn.qkv attn.proj", "swin v2": "attn.qkv attn.proj", "maxvit": ""}


def family(name):
    """A torchvision network for 64×64 images; transformers are made small."""
    from torchvision import models as tv
    from torchvision.models import swin_transformer as swin

    torch.manual_seed(0)
    if name in FAMILIES:
        return tv.get_model(name, weights=None, num_classes=10).eval()
    if name == "vit":
        model = tv.VisionTransformer(64, 16, 2, 2, 32, 64, num_classes=10)
        nn.init.normal_(model.heads.head.weight)  # zeros, else, and so are all outputs
    elif name == "maxvit":
        model = tv.MaxVit((64, 64), 8, 4, [8, 16], [1, 1], 8, 0.1, num_classes=10)
    else:
        kinds = {"block": swin.SwinTransformerBlockV2, "downsample_layer": swin.PatchMergingV2}
        model = tv.SwinTransformer([4, 4], 8, [2, 2], [2, 2], [4, 4], num_classes=10, **kinds if "v2" in name else {})
    return model.eval()


class WhereTheDataDecide(nn.Module):
    """A wrapper that torch.fx can't trace."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x if x.sum() > -1e9 else -x)


@pytest.mark.parametrize("wrap", [lambda model: model, WhereTheDataDecide], ids=["traced", "not traced"])
@pytest.mark.parametrize("name", LEFT)
def test_transformers_keep_their_function_and_layers_that_a_parent_reads_are_left_and_named(name, wrap):
    model, x = wrap(family(name)), torch.randn(1, 3, 64, 64)
    whole, half = full_ranks(model), {layer: (rank + 1) // 2 for layer, rank in full_ranks(model).items()}
    with torch.inference_mode():
        wanted = model(x)
        assert (low_rank.low_rank(model, whole)(x) - wanted).abs().max() < 1e-4 * wanted.abs().max()
        assert low_rank.low_rank(model, half)(x).shape == wanted.shape
    suffixes = tuple(LEFT[name].split())
    layers = [layer for layer, module in model.named_modules() if isinstance(module, nn.Linear)]
    left = [layer for layer in layers if suffixes and layer.endswith(suffixes)]
    assert not set(left) & set(whole) and set(layers) - set(left) <= set(whole)
    for layer in left:
        with pytest.raises(ValueError, match=rf"'{layer}' is not a layer .*\(\w+ reads its weights\)"):
            low_rank.low_rank(model, {layer: 1})


@pytest.mark.filterwarnings("ignore:The default weight initialization")
@pytest.mark.parametrize("name", FAMILIES)
def test_the_layers_of_all_families_can_be_factorised(name):
    model = family(name)
    layers = low_rank.factorisable(model)
    wanted = [layer for layer, module in model.named_modules()
              if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)]  # fmt: skip
    assert list(layers) == wanted
    small = low_rank.low_rank(model, dict.fromkeys(layers, 1), fill=False)
    with torch.inference_mode():
        assert small(torch.randn(1, 3, 96, 96)).shape == (1, 10)
