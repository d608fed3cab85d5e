"""Structured pruning is exact: the smaller network computes what the large one computes with those channels at zero."""

import copy
import types

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils import _pytree
from torch.utils.flop_counter import FlopCounterMode

from nnopt_lab.techniques.pruning import channel_pruning, dependency_graph
from nnopt_lab.workbench import measure, models
from tests.techniques.pruning.channel_networks import Net, X, check_exact, conv, settled


class TestExact:
    @settings(max_examples=20)
    @given(
        channels=st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple),
        kernel_size=st.sampled_from([1, 3, 5]),
        share=st.floats(0.05, 1),
        seed=st.integers(0, 99),
    )
    def test_for_mynet_of_any_size(self, channels, kernel_size, share, seed):
        small = check_exact(settled(models.MyNet(channels, kernel_size, hidden=9), seed), share)
        kept = [max(1, round(share * c)) for c in channels]
        hidden = max(1, round(share * 9))
        wanted = models.MyNet(tuple(kept), kernel_size, hidden)
        assert [p.shape for p in small.parameters()] == [p.shape for p in wanted.parameters()]

    @settings(max_examples=6)
    @given(blocks=st.integers(1, 2), share=st.floats(0.1, 1), norm=st.sampled_from([1, 2]), seed=st.integers(0, 99))
    def test_for_the_residual_teacher(self, blocks, share, norm, seed):
        check_exact(settled(models.Teacher((6, 8, 10), blocks), seed), share, norm=norm)

    @pytest.mark.parametrize("name", ["mynet", "teacher"])
    def test_for_the_shipped_networks(self, name):
        small = check_exact(models.trained(name), 0.5)
        assert measure.parameters(small).total < 0.3 * measure.parameters(models.trained(name)).total

    def test_for_conv_bn_conv_flatten_linear(self):
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.LeakyReLU(), nn.MaxPool2d(4),
            nn.Conv2d(8, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.GELU(), nn.AvgPool2d(2), nn.Flatten(),
            nn.Linear(6 * 16, 12), nn.BatchNorm1d(12), nn.Tanh(), nn.Linear(12, 5),
        )  # fmt: skip
        small = check_exact(settled(model), 0.5)
        assert [small[i].weight.shape for i in (0, 4, 9, 12)] == [(4, 3, 3, 3), (3, 4, 3, 3), (6, 48), (5, 6)]
        assert (small[1].num_features, small[9].in_features, small[4].in_channels) == (4, 48, 4)

    @pytest.mark.parametrize("flatten", ["flatten", "view", "reshape", "mean", "pool"])
    def test_for_every_usual_way_to_the_linear_layer(self, flatten):
        def forward(net, x):
            x = F.max_pool2d(F.relu(net.conv(x)), 8)
            if flatten == "mean":
                return net.pooled(x.mean((2, 3)))
            if flatten == "pool":
                return net.pooled(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))
            if flatten == "flatten":
                return net.flat(x.flatten(1))
            return net.flat(getattr(x, flatten)(x.size(0) if flatten == "view" else x.shape[0], -1))

        layers = {"conv": nn.Conv2d(3, 6, 3, padding=1), "flat": nn.Linear(96, 4), "pooled": nn.Linear(6, 4)}
        check_exact(settled(Net(forward, **layers)), 0.5)

    def test_for_depthwise_convolutions(self):
        model = nn.Sequential(
            nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 4, 1),
        )  # fmt: skip
        small = check_exact(settled(model), 0.25)
        assert small[1].groups == small[1].in_channels == small[1].out_channels == 2

    @pytest.mark.parametrize("gate", ["sigmoid", "hardsigmoid", "none"])
    def test_for_products_and_gates(self, gate):
        def forward(net, x):
            a = net.a(x)
            s = net.b(F.adaptive_avg_pool2d(a, 1)) if gate != "none" else net.c(x)
            return net.head(a * (net.gate(s) if gate == "sigmoid" else getattr(F, gate)(s) if gate != "none" else s))

        layers = {"a": conv(3, 6), "b": nn.Conv2d(6, 6, 1), "c": conv(3, 6), "head": conv(6, 2)}
        model = settled(Net(forward, gate=nn.Sigmoid(), **layers))
        if gate == "none":
            groups = [g.producers for g in dependency_graph.channel_groups(model, X[:1]) if g.removable]
            assert groups == [["a", "c"]]
        check_exact(model, 0.5)

    def test_a_chain_of_sums_is_one_group(self):
        def forward(net, x):
            a = net.a(x)
            b = a + net.b(a)
            return net.head(torch.add(b, net.c(b)).mean((2, 3)))

        conv = {name: nn.Conv2d(6, 6, 3, padding=1) for name in "bc"}
        model = settled(Net(forward, a=nn.Conv2d(3, 6, 1), **conv, head=nn.Linear(6, 2)))
        groups = [g for g in dependency_graph.channel_groups(model, X) if g.removable]
        assert [sorted(g.producers) for g in groups] == [["a", "b", "c"]]
        check_exact(model, 0.5)


class TestSmaller:
    def test_the_work_shrinks_as_torchs_own_counter_sees_it(self):
        def flops(model):
            with FlopCounterMode(display=False) as counter:
                model(X[:1])
            return counter.get_total_flops()

        dense = models.trained("mynet")
        small = check_exact(dense, 0.5)
        assert flops(small) == flops(models.MyNet((8, 16), hidden=64)) < flops(dense) / 3

    def test_the_smaller_network_trains_copies_and_saves(self, tmp_path):
        small = check_exact(settled(models.Teacher((4, 6, 8))), 0.5)
        small.train()
        before = [p.detach().clone() for p in small.parameters()]
        optimizer = torch.optim.SGD(small.parameters(), lr=0.1)
        small(X).square().sum().backward()
        optimizer.step()
        assert all(not torch.equal(p, b) for p, b in zip(small.parameters(), before, strict=True))
        torch.save(small.state_dict(), tmp_path / "small.pt")
        copied = copy.deepcopy(small)
        copied.load_state_dict(torch.load(tmp_path / "small.pt"))
        assert torch.equal(copied.eval()(X), small.eval()(X))

    def test_inputs_and_outputs_of_the_network_stay(self):
        small = check_exact(settled(models.MyNet((4, 4), hidden=6, classes=7)), 0.01)
        assert small(X).shape == (3, 7) and small.features[0].weight.shape == (1, 3, 3, 3)

    def test_modes_are_left_alone(self):
        model = models.Teacher((4, 6, 8)).train()
        model.stem.eval()
        dependency_graph.channel_groups(model, X)
        assert model.training and not model.stem.training


class TestKeep:
    @given(share=st.floats(0.01, 1), norm=st.sampled_from([1, 2]), multiple_of=st.integers(1, 5))
    @settings(max_examples=25)
    def test_keeps_what_a_plain_sort_would(self, share, norm, multiple_of):
        model = settled(models.MyNet((7, 9), hidden=11))
        keep = channel_pruning.keep_most_important(model, X[:1], share, norm=norm, multiple_of=multiple_of)
        modules = dict(model.named_modules())
        assert set(keep) == {"features.0", "features.3", "classifier.0"}
        for name, kept in keep.items():
            scores = modules[name].weight.detach().flatten(1).norm(norm, dim=1).tolist()
            count = -(-round(share * len(scores)) // multiple_of) * multiple_of
            count = min(max(count, 1), len(scores))
            best = sorted(range(len(scores)), key=lambda i: -scores[i])[:count]
            assert kept.tolist() == sorted(best)

    def test_a_share_for_one_group_leaves_the_others_whole(self):
        keep = channel_pruning.keep_most_important(models.MyNet(), X[:1], {"features.3": 0.25})
        assert {name: len(kept) for name, kept in keep.items()} == {
            "features.0": 16,
            "features.3": 8,
            "classifier.0": 128,
        }

    def test_importance_of_a_group_is_the_sum_over_its_producers(self):
        teacher = settled(models.Teacher((4, 6, 8)))
        modules = dict(teacher.named_modules())
        group = next(g for g in dependency_graph.channel_groups(teacher, X[:1]) if len(g.producers) > 1)
        wanted = sum(modules[name].weight.detach().abs().sum((1, 2, 3)) for name in group.producers)
        torch.testing.assert_close(channel_pruning.group_importance(teacher, group), wanted)

    def test_a_channel_counts_as_much_as_its_filter_and_the_weights_that_read_it(self):
        net = settled(nn.Sequential(conv(), nn.ReLU(), conv(8, 8), nn.Flatten(), nn.Linear(8 * 32 * 32, 3)))
        groups = dependency_graph.channel_groups(net, X[:1])
        first, last = (next(g for g in groups if g.producers == [name]) for name in ("0", "2"))
        read = net[2].weight.detach().square().sum((0, 2, 3)).sqrt()
        wanted = net[0].weight.detach().square().sum((1, 2, 3)).sqrt() * read
        torch.testing.assert_close(channel_pruning.group_importance(net, first, 2, readers=True), wanted)
        read = net[4].weight.detach().reshape(3, 8, -1).abs().sum((0, 2))
        wanted = net[2].weight.detach().abs().sum((1, 2, 3)) * read
        torch.testing.assert_close(channel_pruning.group_importance(net, last, 1, readers=True), wanted)

    @pytest.mark.parametrize("multiple_of", [0, -2])
    def test_refuses_multiples_of_nothing(self, multiple_of):
        with pytest.raises(ValueError, match=f"multiple_of={multiple_of} must be at least 1"):
            channel_pruning.keep_most_important(models.MyNet(), X[:1], 0.5, multiple_of=multiple_of)

    def test_a_group_that_must_stay_is_refused_with_the_reason(self):
        model = nn.Sequential(conv(), conv(8, 8), conv(8, 8), conv(8, 2))
        model[2].weight = model[1].weight
        sentence = r"keep names '0', whose channels can't be removed: '1' is tied with '2\.weight'\."
        with pytest.raises(ValueError, match=sentence):
            channel_pruning.remove_channels(model, X[:1], {"0": torch.tensor([1])})
        with pytest.raises(ValueError, match="share names '0', whose channels can't be removed"):
            channel_pruning.keep_most_important(model, X[:1], {"0": 0.5})

    @pytest.mark.parametrize("share", [0, -0.5, 1.1, float("nan")])
    def test_refuses_other_shares(self, share):
        with pytest.raises(ValueError, match=f"share={share} must be above 0 and at most 1"):
            channel_pruning.keep_most_important(models.MyNet(), X[:1], share)

    def test_refuses_unknown_groups(self):
        for call in (channel_pruning.remove_channels, channel_pruning.zero_channels):
            with pytest.raises(
                ValueError, match=r"keep names 'classifier.2', which is not a removable group: .*features.0"
            ):
                call(models.MyNet(), X[:1], {"classifier.2": torch.tensor([1])})
        with pytest.raises(ValueError, match="share names 'conv9'"):
            channel_pruning.keep_most_important(models.MyNet(), X[:1], {"conv9": 0.5})

    @pytest.mark.parametrize("kept", [[], [16], [-1], [1, 1], [0.5], [True] * 16])
    def test_refuses_positions_that_are_not_there(self, kept):
        with pytest.raises(ValueError, match=r"keep\['features.0'\]"):
            channel_pruning.remove_channels(models.MyNet(), X[:1], {"features.0": torch.tensor(kept)})


@given(st.sets(st.integers(0, 9), min_size=1), st.integers(1, 6))
def test_expanding_channels_to_inputs_is_what_a_flatten_does(kept, inputs):
    kept = torch.tensor(sorted(kept))
    flat = torch.arange(10 * inputs).reshape(10, inputs)
    assert torch.equal(channel_pruning.expand_to_inputs(kept, inputs), flat[kept].flatten())


def test_frozen_parameters_stay_frozen():
    model = settled(models.Teacher((4, 6, 8)))
    for index, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(index % 3 > 0)
    small = check_exact(model, 0.5)
    assert [p.requires_grad for p in small.parameters()] == [p.requires_grad for p in model.parameters()]


class TestWhatTheGraphDoesNotShow:
    def test_a_hook_that_counts_channels_is_refused(self):
        model = settled(nn.Sequential(conv(), nn.ReLU(), conv(8, 2)))
        model[0].register_forward_hook(lambda layer, _, output: output / layer.out_channels)
        with pytest.raises(ValueError, match="changes its output with fewer channels"):
            channel_pruning.remove_channels(model, X[:1], {"0": torch.arange(4)})

    def test_a_hook_with_a_table_is_refused(self):
        model, table = settled(nn.Sequential(conv(), nn.ReLU(), conv(8, 2))), torch.rand(8, 1, 1)
        model[0].register_forward_hook(lambda layer, _, output: output * table)
        with pytest.raises(ValueError, match="does not run with fewer channels"):
            channel_pruning.remove_channels(model, X[:1], {"0": torch.arange(4)})

    def test_a_hook_that_looks_on_is_no_obstacle(self):
        model, seen = settled(nn.Sequential(conv(), nn.ReLU(), conv(8, 2))), []
        model[0].register_forward_hook(lambda layer, inputs, output: seen.append(output.shape))
        check_exact(model, 0.5)

    def test_randomness_in_evaluation_is_no_obstacle(self):
        model = settled(Net(lambda n, x: n.b(F.dropout(n.a(x))), a=conv(), b=conv(8, 2)))
        small = channel_pruning.remove_channels(model, X[:1], {"a": torch.arange(4)})
        assert small.a.out_channels == 4


def test_a_mask_whose_last_forward_had_gradients_is_refused_by_name_not_by_the_copy():
    from nnopt_lab.techniques import pruning

    model = pruning.magnitude_prune(models.MyNet(), 1000)
    model(X)
    with pytest.raises(ValueError, match=r"call pruning\.make_permanent\(model\) first"):
        channel_pruning.remove_channels(model, X[:1], {"features.0": torch.arange(4)})


class TestStochasticDepth:
    """The identity in evaluation; a call that drops branches even then has no rule."""

    def block(self, training=False):
        from torchvision.ops import StochasticDepth

        state = types.SimpleNamespace(p=0.5, mode="row", training=training)
        return settled(
            Net(
                lambda n, x: n.head((n.b(y := n.a(x).relu()).sigmoid() * y + n.drop(n.skip(y))).mean((2, 3))),
                a=conv(), b=conv(8), skip=conv(8), head=nn.Linear(8, 2),
                drop=Net(lambda n, x: StochasticDepth.forward(state, x)),
            )
        )  # fmt: skip

    @pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
    def test_is_followed_in_evaluation(self, share):
        small = check_exact(self.block(), share)
        assert small.a.out_channels == small.b.out_channels == small.skip.out_channels == round(8 * share)

    def test_keeps_its_channels_where_it_drops_branches_in_evaluation(self):
        groups = {g.name: g for g in dependency_graph.channel_groups(self.block(training=True), X[:1])}
        assert groups["skip"].reason == "channel pruning has no rule for 'stochastic_depth'"


def small_transformer(name):
    """The families whose usual sizes would take long, with fewer layers."""
    from torchvision import models as known

    if name == "vit":
        return known.VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=10)
    if name == "swin":
        return known.SwinTransformer([4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=10)
    return known.MaxVit((64, 64), 16, 4, [16, 32], [1, 1], 8, 0.0, num_classes=10)


# Name → the largest share of the parameters that may be left, at half of every group.
FAMILIES = {
    "alexnet": 0.3, "vgg11_bn": 0.3, "resnet18": 0.3, "wide_resnet50_2": 0.3, "mobilenet_v2": 0.4,
    "mobilenet_v3_small": 0.3, "resnext50_32x4d": 0.3, "regnet_x_400mf": 0.3, "regnet_y_400mf": 0.3, "densenet121": 0.3,
    "googlenet": 0.3, "googlenet with auxiliary classifiers": 0.3, "inception_v3": 0.3, "squeezenet1_1": 0.3,
    "shufflenet_v2_x0_5": 0.4, "efficientnet_b0": 0.4, "efficientnet_v2_s": 0.4, "mnasnet0_5": 0.4,
    "convnext_tiny": 0.3, "vit": 0.3, "swin": 0.3, "maxvit": 0.3,
}  # fmt: skip
SIZES = {"inception_v3": 299, "alexnet": 63, "maxvit": 64}


@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_followed_exactly_and_the_smaller_network_trains(name):
    from torchvision.models import get_model

    torch.manual_seed(0)
    if name in ("vit", "swin", "maxvit"):
        model = small_transformer(name)
    else:
        kind, _, auxiliary = name.partition(" ")
        options = {"init_weights": False} if kind in ("googlenet", "inception_v3", "vgg11_bn") else {}
        if kind == "googlenet":
            options["aux_logits"] = bool(auxiliary)
        model = get_model(kind, num_classes=10, **options)
    model = settled(model).double()
    x = torch.randn(1, 3, *(2 * [SIZES.get(name, 32)]), dtype=torch.float64)
    small = check_close(model, x)
    assert measure.parameters(small).total < FAMILIES[name] * measure.parameters(model).total
    check_trains(small.train(), torch.cat([x, -x]))


def check_trains(model, x):
    """A forward and a backward pass in training mode reach every parameter, those of auxiliary classifiers too."""
    outputs = [output for output in _pytree.tree_leaves(model(x)) if isinstance(output, torch.Tensor)]
    sum(output.square().mean() for output in outputs).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def check_close(model, x):
    keep = channel_pruning.keep_most_important(model, x, 0.5)
    zeroed, small = (f(model, x, keep) for f in (channel_pruning.zero_channels, channel_pruning.remove_channels))
    with torch.no_grad():
        wanted, got = zeroed(x), small(x)
    assert wanted.abs().max() > 0 and (got - wanted).abs().max() <= 1e-6 * wanted.abs().max()
    return small
