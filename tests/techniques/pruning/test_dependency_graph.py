"""Groups of channels: what a rule follows is exact, and what no rule follows stays, with a reason."""

import collections

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from nnopt_lab.techniques.pruning import channel_pruning, channel_rules, dependency_graph
from nnopt_lab.workbench import models
from tests.techniques.pruning.channel_networks import Net, X, check_exact, conv, settled

FOLLOWED = {
    "a concatenation": Net(lambda n, x: n.b(torch.cat([n.a(x), x], 1)), a=conv(), b=conv(11)),
    "layer norm over the width": nn.Sequential(conv(), nn.LayerNorm(32), conv(8)),
    "a weight per channel": nn.Sequential(conv(), nn.PReLU(8), conv(8)),
    "groups of channels": nn.Sequential(conv(), conv(8, 8, groups=2), conv(8)),
    "a depthwise convolution that widens": nn.Sequential(conv(), conv(8, 16, groups=8), conv(16)),
    "a shuffle": nn.Sequential(conv(), nn.ChannelShuffle(2), conv(8)),
    "a sigmoid": nn.Sequential(conv(), nn.Sigmoid(), conv(8)),
    "a product of two sigmoids": Net(
        lambda n, x: n.b(n.a(x).sigmoid() * torch.sigmoid(n.a2(x))), a=conv(), a2=conv(), b=conv(8)
    ),
    "a constant added": Net(lambda n, x: n.b(n.a(x) + 1), a=conv(), b=conv(8)),
    "a square": Net(lambda n, x: n.b((y := n.a(x)) * y), a=conv(), b=conv(8)),
    "a layer used twice": Net(lambda n, x: n.c(n.b(n.b(n.a(x)))), a=conv(), b=conv(8), c=conv(8)),
    "a sum of unequal widths": Net(lambda n, x: n.b(n.a(x) + n.one(x)), a=conv(), one=conv(3, 1), b=conv(8)),
    "a norm behind a flatten": nn.Sequential(conv(), nn.Flatten(), nn.BatchNorm1d(8192), nn.Linear(8192, 2)),
    "parts that are multiplied": Net(
        lambda n, x: n.b((parts := n.a(x).chunk(2, dim=1))[0] * parts[1]), a=conv(), b=conv(4)
    ),
    "channels last with layer norm": Net(
        lambda n, x: n.c(n.norm(n.a(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)), a=conv(), norm=nn.LayerNorm(8),
        c=conv(8),
    ),
    "tokens": Net(
        lambda n, x: n.head(n.down(n.up(n.a(x).flatten(2).transpose(1, 2)).relu()).mean(1)), a=conv(),
        up=nn.Linear(8, 12), down=nn.Linear(12, 6), head=nn.Linear(6, 2),
    ),
    "a shuffle written out": Net(
        lambda n, x: n.b((y := n.a(x)).view(-1, 2, y.size(1) // 2, 32, 32).transpose(1, 2).flatten(1, 2)),
        a=conv(), b=conv(8),
    ),
    "layer norm without weights": Net(
        lambda n, x: n.b(n.norm(n.a(x).movedim(1, -1)).movedim(-1, 1)), a=conv(), b=conv(8),
        norm=nn.LayerNorm(8, elementwise_affine=False),
    ),
    "rms norm": Net(
        lambda n, x: n.b(n.norm(n.a(x).movedim(1, -1)).movedim(-1, 1)), a=conv(), b=conv(8), norm=nn.RMSNorm(8)
    ),
    "group norm": nn.Sequential(conv(), nn.GroupNorm(4, 8), nn.ReLU(), conv(8)),
    "instance norm": nn.Sequential(conv(), nn.InstanceNorm2d(8, affine=True), nn.ReLU(), conv(8)),
    "a transposed convolution": nn.Sequential(conv(), nn.ConvTranspose2d(8, 6, 2, 2), nn.ReLU(), conv(6)),
    "transposed groups": nn.Sequential(conv(), nn.ConvTranspose2d(8, 12, 2, groups=2), nn.BatchNorm2d(12), conv(12)),
    "volumes": nn.Sequential(
        nn.Unflatten(2, (4, 8)), nn.Conv3d(3, 8, 3), nn.BatchNorm3d(8), nn.ConvTranspose3d(8, 6, 2), nn.Conv3d(6, 2, 1)
    ),
    "pixels shuffled into channels and back": nn.Sequential(
        conv(), nn.PixelUnshuffle(2), conv(32, 12), nn.ReLU(), nn.PixelShuffle(2), conv(3, 4)
    ),
    "padding and resizing": nn.Sequential(
        conv(), nn.ReflectionPad2d(1), nn.Upsample(scale_factor=2), nn.ZeroPad2d(2), conv(8)
    ),
    "padding by a function": Net(lambda n, x: n.b(nn.functional.pad(n.a(x), (1, 1, 2, 2))), a=conv(), b=conv(8)),
    "a summed stack": Net(lambda n, x: n.b(torch.stack((n.a(x), n.c(x))).sum(0)), a=conv(), c=conv(), b=conv(8)),
    "rows put side by side": Net(lambda n, x: n.b(torch.cat([n.a(x), n.c(x)], 2)), a=conv(), b=conv(8), c=conv()),
    "two channels' maxima": Net(lambda n, x: n.b(n.a(x).amax((2, 3))), a=conv(), b=nn.Linear(8, 2)),
    "rows without the first": Net(lambda n, x: n.b(n.a(x).narrow(2, 1, 30)[:, :, ::2]), a=conv(), b=conv(8)),
    "columns one by one": Net(lambda n, x: n.b(n.a(x).unbind(3)[1]), a=conv(), b=nn.Conv1d(8, 2, 3)),
    "a product of pixels": Net(
        lambda n, x: n.b(torch.einsum("nchw,nchv->ncwv", n.a(x), n.c(x))), a=conv(), b=conv(8), c=conv()
    ),
    "a gram matrix": Net(
        lambda n, x: n.b((y := n.a(x).flatten(2)).transpose(1, 2) @ y).unsqueeze(1), a=conv(), b=nn.Linear(1024, 2)
    ),
    "a function of one dimension": Net(
        lambda n, x: n.b(n.a(x.flatten(2)).relu()), a=nn.Conv1d(3, 8, 3), b=nn.Conv1d(8, 2, 3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("share", [0.3, 0.5])
@pytest.mark.parametrize("name", FOLLOWED)
def test_what_it_follows_is_exact_and_smaller(name, share):
    model = settled(FOLLOWED[name])
    small = check_exact(model, share)
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in model.parameters())


FROZEN = {
    "a norm over pixels too": (
        nn.Sequential(conv(), nn.LayerNorm([8, 32, 32]), conv(8)), "no rule for '0.1' of type LayerNorm",
    ),
    "a recurrent layer": (
        Net(lambda n, x: n.b(n.r(n.a(x).flatten(2).transpose(1, 2))[0].transpose(1, 2).unsqueeze(-1)), a=conv(),
            r=nn.GRU(8, 8, batch_first=True), b=conv(8)),
        "a recurrent layer feeds its channels back",
    ),
    "a softmax over channels": (Net(lambda n, x: n.b(n.a(x).softmax(1)), a=conv(), b=conv(8)), "a softmax over"),
    "a functional layer norm": (
        Net(lambda n, x: n.b(nn.functional.layer_norm(n.a(x).mean((2, 3)), (8,))), a=conv(), b=nn.Linear(8, 8)),
        "a function normalises over channels",
    ),
    "a functional group norm": (
        Net(lambda n, x: n.b(nn.functional.group_norm(n.a(x), 2)), a=conv(), b=conv(8)), "groups is written out",
    ),
    "padding of channels": (
        Net(lambda n, x: n.b(nn.functional.pad(n.a(x), (0, 0, 0, 0, 1, 1))), a=conv(), b=conv(10)), "are padded",
    ),
    "parts of written sizes": (
        Net(lambda n, x: n.b((p := n.a(x).split(4, 1))[0] * p[1]), a=conv(), b=conv(4)), "sizes of parts are written",
    ),
    "a product over sigmoids": (
        Net(lambda n, x: n.b(torch.einsum("nchw,nchv->nwv", n.a(x).sigmoid(), n.c(x).sigmoid()).unsqueeze(1)), a=conv(),
            c=conv(), b=conv(1)),
        "a product sums over channels that need not be 0",
    ),
    "a function without a rule": (
        Net(lambda n, x: n.b(n.a(x).cumsum(1)), a=conv(), b=conv(8)), "no rule for 'cumsum'",
    ),
    "a weight in a function": (
        Net(lambda n, x: n.b(nn.functional.conv2d(n.a(x), n.b.weight, padding=1)), a=conv(), b=conv(8)),
        "no rule for 'conv2d'",
    ),
    "a size written out": (
        Net(lambda n, x: n.b(n.a(x).view(-1, 8 * 1024)), a=conv(), b=nn.Linear(8 * 1024, 2)), "written out at 'view'",
    ),
    "a size of other channels": (
        Net(lambda n, x: n.c((n.a(x).cumsum(1).view(-1, (y := n.b(x)).size(1), 32, 32), n.c(y))[0]), a=conv(), b=conv(),
            c=conv(8)),
        "no rule for 'cumsum'",
    ),
    "a mean over channels": (
        Net(lambda n, x: n.b(n.a(x).mean((1, 2))), a=conv(), b=nn.Linear(32, 2)), "a reduction over channels at 'mean'",
    ),
    "a mean over channels that keeps them": (
        Net(lambda n, x: n.b((y := n.a(x)) - y.mean(1, keepdim=True)), a=conv(), b=conv(8)), "a reduction over",
    ),
    "channels by their numbers": (Net(lambda n, x: n.b(n.a(x)[:, ::2]), a=conv(), b=conv(4)), "by their numbers"),
    "the number of channels as a factor": (
        Net(lambda n, x: n.b((y := n.a(x)) / y.size(1)), a=conv(), b=conv(8)), "enters a computation",
    ),
    "a constant per channel": (
        Net(lambda n, x: n.b(n.a(x) + torch.ones(8, 1, 1)), a=conv(), b=conv(8)), "a tensor of fixed size",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FROZEN)
def test_an_operator_without_a_rule_keeps_the_channels_that_it_reads(name):
    """Those before it stay, with a reason; those of a layer elsewhere in the network are removed."""
    part, sentence = FROZEN[name]
    model = nn.Sequential(
        part,
        nn.LazyConv2d(6, 1) if not isinstance(getattr(part, "b", None), nn.Linear) else nn.LazyLinear(6),
        nn.ReLU(),
    )
    model.append(nn.Conv2d(6, 2, 1) if isinstance(model[1], nn.LazyConv2d) else nn.Linear(6, 2))
    model(X[:1])
    model = settled(model)
    groups = {g.name: g for g in dependency_graph.channel_groups(model, X[:1])}
    assert sentence in groups["0.0" if isinstance(part, nn.Sequential) else "0.a"].reason
    assert groups["1"].removable
    check_exact(model, 0.5)


@pytest.mark.parametrize("wide", [False, True])
def test_channels_of_unequal_parts_stay(wide):
    """Half of such a group could be all channels of one layer."""
    parts = {"a": conv(3, 2), "b": conv(3, 4), "d": conv(6)}
    if wide:
        model = Net(lambda n, x: n.d(torch.cat([n.a(x), n.b(x)], 1) + n.c(x)), c=conv(3, 6), **parts)
    else:
        model = Net(
            lambda n, x: n.d(torch.cat([n.a(x), n.b(x)], 1) + torch.cat([n.e(x), n.c(x)], 1)),
            c=conv(3, 2), e=conv(3, 4), **parts,
        )  # fmt: skip
    groups = dependency_graph.channel_groups(model, X[:1])
    assert not any(g.removable for g in groups)
    assert any("only some of the channels" in g.reason for g in groups)


def test_a_branch_on_the_data_is_refused():
    model = Net(lambda n, x: n.a(x) if x.sum() > 0 else x, a=conv())
    with pytest.raises(ValueError, match="cannot be traced"):
        dependency_graph.channel_groups(model.eval(), X[:1])


def test_a_group_has_one_unit_per_position_within_the_groups_of_a_convolution():
    model = nn.Sequential(conv(3, 12), conv(12, 6, groups=3), conv(6, 2))
    groups = dependency_graph.channel_groups(model, X[:1])
    assert [(g.name, g.size, g.consumers) for g in groups if g.removable] == [
        ("0", 4, [("1", 1)]),
        ("1", 2, [("2", 3)]),
    ]
    small = channel_pruning.remove_channels(model, X[:1], {"0": torch.tensor([1, 3]), "1": torch.tensor([0])})
    assert torch.equal(small[0].weight, model[0].weight[[1, 3, 5, 7, 9, 11]])
    assert torch.equal(small[1].weight, model[1].weight[[0, 2, 4]][:, [1, 3]])
    assert (small[1].groups, small[1].in_channels, small[1].out_channels, small[2].in_channels) == (3, 6, 3, 3)


def test_a_layer_scale_shrinks_with_its_channels():
    model = Net(lambda n, x: n.b(n.gamma * n.a(x)), a=conv(), b=conv(8))
    model.gamma = nn.Parameter(torch.rand(8, 1, 1))
    assert check_exact(settled(model), 0.5).gamma.shape == (4, 1, 1)


class OwnParameters(nn.Module):
    """A forward of functions that get the module's own parameters."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.up = conv(), conv(8, 2), nn.Module()
        self.up.weight, self.up.bias = nn.Parameter(torch.rand(8, 8)), nn.Parameter(torch.rand(8))
        self.norm = nn.BatchNorm2d(8)
        self.register_buffer("offset", torch.rand(8, 1, 1))

    def forward(self, x):
        y = nn.functional.linear(self.a(x).movedim(1, -1), self.up.weight, self.up.bias).movedim(-1, 1)
        norm = self.norm
        y = nn.functional.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        return self.b((y + self.offset).relu())


def test_functions_of_a_modules_own_parameters_are_followed():
    model = settled(OwnParameters())
    assert [g.name for g in dependency_graph.channel_groups(model, X[:1]) if g.removable] == ["a", "up"]
    small = check_exact(model, 0.5)
    assert small.up.weight.shape == (4, 4) and small.norm.running_var.shape == (4,) and small.offset.shape == (4, 1, 1)


class Auxiliary(nn.Module):
    """A second classifier that only training mode calls, with names for both outputs."""

    Outputs = collections.namedtuple("Outputs", ["logits", "auxiliary"])

    def __init__(self, kernel=3):
        super().__init__()
        self.a, self.b, self.head = conv(), conv(8), nn.Linear(8, 2)
        self.auxiliary = nn.Sequential(nn.MaxPool2d(8), nn.Conv2d(8, 6, kernel), nn.Flatten(), nn.LazyLinear(2))

    def forward(self, x):
        y = self.a(x).relu()
        logits = self.head(self.b(y).mean((2, 3)))
        return self.Outputs(logits, self.auxiliary(y)) if self.training else logits


def test_auxiliary_classifiers_shrink_with_the_channels_that_they_read():
    model = Auxiliary()
    model(X)
    model = settled(model)
    groups = dependency_graph.channel_groups(model, X[:1])
    assert [(g.name, g.reason) for g in groups if not g.removable] == [("input", ""), ("head", ""), ("auxiliary.3", "")]
    small = check_exact(model, 0.5)
    assert (small.auxiliary[1].in_channels, small.auxiliary[1].out_channels) == (4, 3)
    keep = channel_pruning.keep_most_important(model, X[:1], 0.5)
    zeroed = channel_pruning.zero_channels(model, X[:1], keep).train()
    with torch.no_grad():
        for wanted, got in zip(zeroed(X), small.train()(X), strict=True):
            torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)
    small(X).auxiliary.sum().backward()


def test_channels_stay_whose_auxiliary_classifier_does_not_run_on_the_example():
    model = Auxiliary()
    model(X)
    model = settled(model)
    groups = {g.name: g for g in dependency_graph.channel_groups(model, X[:1, :, :16, :16])}
    assert "'auxiliary.1' does not run on the example in training mode" in groups["a"].reason and groups["b"].removable
    check_exact(model, 0.5, X[..., :16, :16])


def test_a_norm_without_scale_shrinks_too():
    model = settled(
        nn.Sequential(conv(), nn.BatchNorm2d(8, affine=False), nn.ReLU(), conv(8, 4), nn.ReLU(), conv(4, 2))
    )
    assert [g.name for g in dependency_graph.channel_groups(model, X) if g.removable] == ["0", "3"]
    check_exact(model, 0.5)


def test_masks_must_be_made_permanent_first():
    from nnopt_lab.techniques import pruning

    with pytest.raises(ValueError, match=r"call pruning.make_permanent\(model\) first"):
        dependency_graph.channel_groups(pruning.magnitude_prune(models.MyNet(), 100), X[:1])


def producers(model):
    return [(g.producers, g.norms, g.consumers, g.removable) for g in dependency_graph.channel_groups(model, X[:1])]


class TestForwardsOfUsers:
    layers = staticmethod(lambda: {"a": conv(), "b": conv(8, 6), "head": nn.Linear(6, 2)})

    @staticmethod
    def plain(n, x):
        return n.head(n.b(n.a(x)).mean((2, 3)))

    @pytest.mark.parametrize(
        "forward",
        [
            lambda n, x, mask=None: TestForwardsOfUsers.plain(n, x if mask is None else x * mask),
            lambda n, x, *, features=False: n.a(x) if features else TestForwardsOfUsers.plain(n, x),
            lambda n, x: n.head(input=n.b(input=n.a(input=x)).mean(dim=(2, 3))),
            lambda n, x: n.head(n.b(n.a(x)).mean([-1, -2])),
            lambda n, x: n.head(n.b(n.a(x)).mean(-1).mean(axis=2)),
            lambda n, x: n.head(torch.mean(n.b(n.a(x)), dim=(3, 2), keepdim=True).flatten(1)),
            lambda n, x: (TestForwardsOfUsers.plain(n, x), x.shape, n.table),
            lambda n, x: {"logits": TestForwardsOfUsers.plain(n, x)},
        ],
    )
    def test_give_the_groups_of_the_plain_network(self, forward):
        kind = type("Net", (nn.Module,), {"forward": forward})
        model = kind()
        for name, layer in self.layers().items():
            setattr(model, name, layer)
        model.register_buffer("table", torch.zeros(3))
        assert producers(model) == producers(Net(self.plain, **self.layers()))

    def test_a_size_that_is_given_back_fixes_its_channels(self):
        model = Net(lambda n, x: (self.plain(n, x), n.a(x).size(1)), **self.layers())
        assert [g.name for g in dependency_graph.channel_groups(model, X[:1]) if g.removable] == ["b"]
        model = Net(lambda n, x: (n.head(n.b(y := n.a(x)).mean((2, 3))), y.size(1)), **self.layers())
        assert [g.name for g in dependency_graph.channel_groups(model, X[:1]) if g.removable] == ["b"]


REFUSED_IN_ONE_SENTENCE = {
    "a second argument": (type("Two", (nn.Module,), {"forward": lambda s, x, y: x + y})(), "needs 'y'"),
    "the example does not fit": (nn.Sequential(conv(4)), "does not run on the example at '0' .RuntimeError"),
    "a view that does not fit": (
        Net(lambda n, x: n.b(n.a(x).view(x.size(1), -1)), a=conv(), b=nn.Linear(8192, 2)), "at 'view' .RuntimeError",
    ),
    "a lazy layer": (nn.Sequential(conv(), nn.Flatten(), nn.LazyLinear(3)), "no weights yet"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_IN_ONE_SENTENCE)
@pytest.mark.filterwarnings("ignore:.*Lazy")
def test_refused_in_one_sentence(name):
    model, sentence = REFUSED_IN_ONE_SENTENCE[name]
    with pytest.raises(ValueError, match=sentence) as caught:
        dependency_graph.channel_groups(model, X[:1])
    assert "\n" not in str(caught.value) and "tlparse" not in str(caught.value)


@pytest.mark.parametrize("dims", [(1, 2), (1, 3), (1, -1), [1, 2], (-3, -2)])
def test_a_mean_is_over_pixels_by_its_axes_not_by_its_shape(dims):
    model = Net(lambda n, x: n.b(n.pool(n.a(x)).mean(dims)), a=conv(), pool=nn.MaxPool2d(4), b=nn.Linear(8, 2))
    groups = {g.name: g for g in dependency_graph.channel_groups(model, X[:1])}
    assert groups["a"].reason == "a reduction over channels at 'mean'"


def test_an_example_must_be_a_batch():
    for example in (X[0, 0, 0], [1.0], X[0]):
        with pytest.raises(ValueError):
            dependency_graph.channel_groups(nn.Sequential(conv()), example)


class TestSharedParameters:
    @pytest.mark.parametrize("together", ["parameter", "memory"])
    def test_channels_of_tied_layers_stay(self, together):
        model = settled(nn.Sequential(conv(), nn.ReLU(), conv(8, 8), nn.ReLU(), conv(8, 8), conv(8, 6), conv(6, 2)))
        if together == "parameter":
            model[4].weight = model[2].weight
        else:
            model[4].weight.data = model[2].weight.data
        groups = dependency_graph.channel_groups(model, X[:1])
        assert [g.name for g in groups if g.removable] == ["5"]
        assert next(g for g in groups if g.name == "0").reason == "'2' is tied with '4.weight'"
        check_exact(model, 0.5)

    def test_channels_whose_weights_another_module_reads_stay(self):
        model = settled(Net(lambda n, x: (n.b(n.a(x)), n.a.weight), a=conv(), b=conv(8, 2)))
        assert not [g for g in dependency_graph.channel_groups(model, X[:1]) if g.removable]


@pytest.mark.filterwarnings("ignore:.*weight_norm")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (spectral_norm, r"layer '2' has spectral_norm on its weight: call torch.nn.utils.remove_spectral_norm"),
        (weight_norm, r"layer '2' has weight_norm on its weight: call torch.nn.utils.remove_weight_norm"),
        (parametrizations.orthogonal, "parametrisation Orthogonal on its weight: .*remove_parametrizations"),
        (lambda m: prune.l1_unstructured(m, "bias", 2), r"a pruning mask on its bias: call .*prune.remove"),
    ],
)
def test_computed_weights_are_refused_with_a_cure_that_helps(change, sentence):
    model = nn.Sequential(conv(), nn.ReLU(), conv(8, 4), conv(4, 2))
    change(model[2])
    with pytest.raises(ValueError, match=sentence) as caught:
        dependency_graph.channel_groups(model, X[:1])
    cure = str(caught.value).split("call ")[1].split(" first")[0]
    eval(cure, {"torch": torch, "layer": model[2]})  # the sentence is code that a reader would copy
    assert len([g for g in dependency_graph.channel_groups(model, X[:1]) if g.removable]) == 2


@pytest.mark.parametrize(
    "scale",
    [lambda x, n: x * n, lambda x, n: n * x, lambda x, n: x / n, lambda x, n: x.mul(n), lambda x, n: torch.div(x, n)],
)
def test_a_number_that_scales_leaves_the_channels_as_they_are(scale):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3), nn.Linear(6, 2)

        def forward(self, x, factor=0.5):
            x = scale(self.b(scale(self.a(x), factor).relu()).relu(), 3)
            return scale(self.last(x.mean((2, 3))), factor)

    torch.manual_seed(0)
    model, x = Scaled().eval(), torch.randn(2, 3, 8, 8)
    assert [g.name for g in dependency_graph.channel_groups(model, x) if g.removable] == ["a", "b"]
    keep = channel_pruning.keep_most_important(model, x, 0.5)
    small, zeroed = (f(model, x, keep) for f in (channel_pruning.remove_channels, channel_pruning.zero_channels))
    assert torch.allclose(small(x), zeroed(x), atol=1e-6) and small.a.out_channels == 2


class TestRulesOfUsers:
    class Reverse(nn.Module):
        def forward(self, x):
            return x.flip(1)

    def test_a_module_without_a_rule_is_frozen_and_one_with_a_rule_is_followed(self, monkeypatch):
        monkeypatch.setattr(channel_rules, "_MODULES", dict(channel_rules._MODULES))
        model = settled(nn.Sequential(conv(), self.Reverse(), conv(8, 2)))
        assert "no rule for 'flip'" in dependency_graph.channel_groups(model, X[:1])[1].reason

        @channel_rules.module_rule(self.Reverse)
        def reverse(call):
            batch, channels, *pixels = call.inputs[0]
            return [batch, channels[::-1], *pixels]

        assert check_exact(model, 0.5)[0].out_channels == 4

    def test_a_rule_for_a_method_is_followed(self, monkeypatch):
        monkeypatch.setattr(channel_rules, "_FUNCTIONS", dict(channel_rules._FUNCTIONS))
        channel_rules.function_rule("log1p")(channel_rules.channelwise)
        model = settled(Net(lambda n, x: n.b(n.a(x).abs().log1p()), a=conv(), b=conv(8, 2)))
        assert check_exact(model, 0.5).a.out_channels == 4

    def test_rules_are_for_classes_of_modules_and_for_functions(self):
        with pytest.raises(ValueError, match="kinds contains 3; it must contain subclasses"):
            channel_rules.module_rule(3)
        with pytest.raises(ValueError, match="targets contains 3; it must contain functions or names of methods"):
            channel_rules.function_rule(3)
