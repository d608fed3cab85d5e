"""Groups of channels: what cannot be followed is refused by name."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from nnopt_lab.techniques.pruning import channel_pruning, dependency_graph
from nnopt_lab.workbench import models
from tests.techniques.pruning.channel_networks import Net, X, check_exact, conv, settled

REFUSED = {
    "a branch on the data": (Net(lambda n, x: n.a(x) if x.sum() > 0 else x, a=conv()), "cannot be traced"),
    "a concatenation": (Net(lambda n, x: n.b(torch.cat([n.a(x), x], 1)), a=conv(), b=conv(11)), "'cat'"),
    "group norm": (nn.Sequential(conv(), nn.GroupNorm(2, 8), conv(8)), "'1' of type GroupNorm"),
    "layer norm": (nn.Sequential(conv(), nn.LayerNorm(32), conv(8)), "type LayerNorm"),
    "a weight per channel": (nn.Sequential(conv(), nn.PReLU(8), conv(8)), "type PReLU"),
    "a transposed convolution": (nn.Sequential(conv(), nn.ConvTranspose2d(8, 4, 2), conv(4)), "type ConvTranspose2d"),
    "groups of channels": (nn.Sequential(conv(), conv(8, 8, groups=2)), "'1' of type Conv2d"),
    "a shuffle": (nn.Sequential(conv(), nn.ChannelShuffle(2), conv(8)), "type ChannelShuffle"),
    "a function that makes something of nothing": (nn.Sequential(conv(), nn.Sigmoid(), conv(8)), "than as a factor"),
    "a product of two sigmoids": (
        Net(lambda n, x: n.b(n.a(x).sigmoid() * torch.sigmoid(n.a2(x))), a=conv(), a2=conv(), b=conv(8)), "as a factor",
    ),
    "a constant added": (Net(lambda n, x: n.b(n.a(x) + 1), a=conv(), b=conv(8)), "'add'"),
    "a square": (Net(lambda n, x: n.b((y := n.a(x)) * y), a=conv(), b=conv(8)), "'mul'"),
    "a layer used twice": (Net(lambda n, x: n.b(n.b(n.a(x))), a=conv(), b=conv(8)), "layer 'b' twice"),
    "a sum of unequal widths": (
        Net(lambda n, x: n.b(n.a(x) + n.one(x)), a=conv(), one=conv(3, 1), b=conv(8)), "8 and 1 channels",
    ),
    "a size written out": (
        Net(lambda n, x: n.b(n.a(x).view(-1, 8 * 1024)), a=conv(), b=nn.Linear(8 * 1024, 2)), "'view'",
    ),
    "a mean over channels": (Net(lambda n, x: n.b(n.a(x).mean((1, 2))), a=conv(), b=nn.Linear(32, 2)), "a mean at"),
    "a flatten of the pixels alone": (
        Net(lambda n, x: n.b(n.a(x).flatten(2)), a=conv(), b=nn.Linear(1024, 2)), r"reshape to \[N, C·H·W\]",
    ),
    "a flatten of the batch": (Net(lambda n, x: n.b(n.a(x).flatten(0)), a=conv(), b=nn.Linear(8192, 2)), "reshapes"),
    "a linear layer along the width": (nn.Sequential(conv(), nn.Linear(32, 8), conv(8)), "type Linear"),
    "a norm behind a flatten": (
        nn.Sequential(conv(), nn.Flatten(), nn.BatchNorm1d(8192), nn.Linear(8192, 2)), "type BatchNorm1d",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_cannot_follow_it_refuses_by_name(name):
    model, sentence = REFUSED[name]
    with pytest.raises(ValueError, match=sentence):
        dependency_graph.channel_groups(model.eval(), X[:1])


def test_a_norm_without_scale_keeps_its_channels():
    model = settled(
        nn.Sequential(conv(), nn.BatchNorm2d(8, affine=False), nn.ReLU(), conv(8, 4), nn.ReLU(), conv(4, 2))
    )
    assert [g.name for g in dependency_graph.channel_groups(model, X) if g.removable] == ["3"]
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
        with pytest.raises(ValueError, match="'a' twice"):
            dependency_graph.channel_groups(model, X[:1])
        model = Net(lambda n, x: (n.head(n.b(y := n.a(x)).mean((2, 3))), y.size(1)), **self.layers())
        assert [g.name for g in dependency_graph.channel_groups(model, X[:1]) if g.removable] == ["b"]


REFUSED_IN_ONE_SENTENCE = {
    "a second argument": (type("Two", (nn.Module,), {"forward": lambda s, x, y: x + y})(), "needs 'y'"),
    "a layer of a parameter": (
        Net(lambda n, x: n.b(n.a(x).mean((2, 3))) + n.c(n.a.weight), a=conv(), b=nn.Linear(8, 3), c=nn.Linear(3, 3)),
        "'c' on a tensor that does not depend on its input",
    ),
    "a constant alone": (Net(lambda n, x: n.a(torch.zeros(1, 3, 32, 32)), a=conv()), "does not depend on its input"),
    "a mean that coincides": (
        Net(lambda n, x: n.b(n.a(x)[:, :, :8, :8].mean((1, 2))), a=conv(), b=nn.Linear(8, 2)), "calls 'getitem'",
    ),
    "a mean over channels and height": (
        Net(lambda n, x: n.b(torch.max_pool2d(n.a(x), 4).mean((1, 2))), a=conv(), b=nn.Linear(8, 2)), "max_pool2d",
    ),
    "a mean over the batch": (Net(lambda n, x: n.b(n.a(x).mean(0)), a=conv(), b=conv(8)), "over other axes"),
    "the example does not fit": (nn.Sequential(conv(4)), "does not run on the example at '0' .RuntimeError"),
    "a batch that is no batch": (
        Net(lambda n, x: n.b(n.a(x).view(x.size(1), -1)), a=conv(), b=nn.Linear(8192, 2)), "'view'",
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
    with pytest.raises(ValueError, match=r"a mean at 'mean' over other axes"):
        dependency_graph.channel_groups(model, X[:1])


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


def test_a_number_by_which_a_gate_is_scaled_is_no_gate():
    class Doubled(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.last = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

        def forward(self, x):
            return self.last((2 * self.a(x).sigmoid()).mean((2, 3)))

    with pytest.raises(ValueError, match="the sigmoid at 'mean' other than as a factor"):
        dependency_graph.channel_groups(Doubled(), torch.randn(1, 3, 8, 8))
