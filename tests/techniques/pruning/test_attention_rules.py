"""Attention loses whole heads and head width exactly, however it is written; what can't change stays, with a reason."""

import pickle

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.pruning import channel_pruning, dependency_graph
from tests.techniques.pruning import attention_networks as networks
from tests.techniques.pruning.channel_networks import X, settled

x = X.double()
QK, V = "query and key width", "value width"


def swin2():
    from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformer, SwinTransformerBlockV2

    return SwinTransformer(
        [4, 4], 16, [2], [2], [4, 4], num_classes=4, block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2
    )


# Name → the network, and the parts of its first attention that can be removed; "embedding" if that can.
ATTENTION = {
    "width as an attribute": (lambda: networks.Patches(networks.WithWidth), {"heads", "width"}),
    "width as a quotient": (lambda: networks.Patches(networks.WithQuotient), {"heads", "width"}),
    "fused with a scale": (lambda: networks.Patches(networks.FusedWithScale), {"heads", "width", "embedding"}),
    "fused without a scale": (lambda: networks.Patches(networks.Fused), {"heads"}),
    "split": (lambda: networks.Patches(networks.Split), {"heads"}),
    "three layers": (lambda: networks.Patches(networks.Separate), {"heads", "width", "embedding"}),
    "einsum": (lambda: networks.Patches(networks.Einsum), {"heads", "width", "embedding"}),
    "heads in the batch": (lambda: networks.Patches(networks.Batched), {"heads", "width", "embedding"}),
    "sizes as numbers": (lambda: networks.Patches(networks.Literal), {"embedding"}),
    "a scale from the width": (lambda: networks.Patches(networks.ScaleFromWidth), {"heads"}),
    "a scale from a quotient": (lambda: networks.Patches(networks.ScaleFromQuotient), {"width"}),
    "torch's": (lambda: networks.Patches(networks.OfTorch), {"heads", QK, V, "embedding"}),
    "torch's with tokens first": (
        lambda: networks.Patches(lambda: networks.OfTorch(batch_first=False, bias=False)),
        {"heads", QK, V, "embedding"},
    ),
    "torch's with weights left unused": (
        lambda: networks.Patches(lambda: networks.OfTorch(need_weights=True)), {"heads", QK, V, "embedding"},
    ),
    "torch's with weights used": (lambda: networks.Patches(networks.UsesWeights), {QK, V, "embedding"}),
    "torch's with added keys": (lambda: networks.Patches(lambda: networks.OfTorch(add_bias_kv=True)), set()),
    "cross attention": (networks.Cross, {"heads", QK, V}),
    "torch's encoder": (lambda: networks.Encoder(batch_first=True), {"heads", QK, V, "embedding"}),
    "torch's encoder with norms first": (
        lambda: networks.Encoder(norm_first=True, activation="gelu"), {"heads", QK, V, "embedding"},
    ),
    "torch's decoder": (networks.Decoder, {"heads", QK, V, "embedding"}),
    "swin of version 2": (swin2, {"heads", QK, V}),
}  # fmt: skip


def network(name):
    torch.manual_seed(0)
    return settled(ATTENTION[name][0]()).double()


def check_close(model, share):
    keep = channel_pruning.keep_most_important(model, x[:1], share)
    zeroed, small = (f(model, x[:1], keep) for f in (channel_pruning.zero_channels, channel_pruning.remove_channels))
    with torch.no_grad():
        wanted, got = zeroed(x), small(x)
    assert (got - wanted).abs().max() <= 1e-10 * wanted.abs().max()
    return small


@pytest.mark.parametrize("name", ATTENTION)
def test_its_parts_are_separate_groups(name):
    groups = [g for g in dependency_graph.channel_groups(network(name), x[:1]) if g.removable]
    parts = {g.part.rstrip(" 0123456789") for g in groups if g.part}
    embedding = [g for g in groups if not g.part and any(name in g.producers for name in ("patch", "features.0.0"))]
    assert parts | ({"embedding"} if embedding else set()) >= ATTENTION[name][1]
    assert parts == ATTENTION[name][1] - {"embedding"}


@pytest.mark.parametrize("name", ATTENTION)
def test_removal_is_exact_twice_and_the_result_trains_pickles_and_exports(name):
    model = network(name)
    small = check_close(model, 0.3)
    smaller = check_close(small, 0.5)
    sizes = [sum(p.numel() for p in each.parameters()) for each in (model, small, smaller)]
    assert sizes[0] > sizes[1] > sizes[2]
    again = pickle.loads(pickle.dumps(small))
    exported = torch.export.export(again, (x,)).module()
    with torch.no_grad():
        assert torch.allclose(exported(x), small(x))
    small.train()(x).sum().backward()
    assert all(p.grad is not None for p in small.parameters())


def test_the_attributes_of_the_users_module_shrink():
    model = network("fused with a scale")
    keep = {g.name: torch.arange(2) for g in dependency_graph.channel_groups(model, x[:1]) if g.part}
    assert list(keep) == [f"blocks.{n}.attention.qkv {part}" for n in range(2) for part in ("heads", "width")]
    small = channel_pruning.remove_channels(model, x[:1], keep)
    attention = small.blocks[0].attention
    assert (attention.num_heads, attention.head_dim, attention.embed_dim) == (2, 2, 4)
    assert attention.qkv.weight.shape == (12, 24) and attention.proj.weight.shape == (24, 4)
    rows = torch.arange(72).reshape(3, 4, 6)[:, :2, :2].flatten()
    assert torch.equal(attention.qkv.weight, model.blocks[0].attention.qkv.weight[rows])
    assert type(model.blocks[0].attention.num_heads) is int and model.blocks[0].attention.num_heads == 4


def test_the_scale_stays_that_of_the_full_width():
    model = network("torch's")
    first = "blocks.0.attention.attention"
    small = channel_pruning.remove_channels(model, x[:1], {f"{first} {QK}": torch.tensor([0, 4])})
    narrow = small.get_submodule(first)
    assert narrow.scale == pytest.approx(networks.WIDTH**-0.5) and narrow.query.out_features == 8
    assert isinstance(small.get_submodule("blocks.1.attention.attention"), nn.MultiheadAttention)


def test_frozen_projections_stay_frozen():
    model = network("torch's")
    for block in model.blocks:
        block.attention.attention.in_proj_weight.requires_grad_(False)
    narrow = check_close(model, 0.5).blocks[0].attention.attention
    assert not narrow.query.weight.requires_grad and narrow.query.bias.requires_grad and narrow.out.weight.requires_grad


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("fused without a scale", "the softmax's scale depends on the width"),
        ("sizes as numbers", "the number of channels is written out"),
        ("a scale from the width", "'d' enters a computation"),
        ("torch's with weights used", "attention weights are averaged over the heads"),
        ("torch's with added keys", "attention with added keys"),
        ("sizes as numbers", "written out at 'view'"),
    ],
)
def test_the_reason_is_said(name, sentence):
    assert any(sentence in g.reason for g in dependency_graph.channel_groups(network(name), x[:1]))


@pytest.mark.parametrize("name", ["torch's", "torch's encoder", "swin of version 2", "maxvit"])
def test_attention_with_factors_for_a_projection_keeps_its_channels(name):
    if name == "maxvit":  # its own class calls its layers; the others' classes read their weights
        from torchvision.models.maxvit import RelativePositionalMultiHeadAttention

        attention = RelativePositionalMultiHeadAttention(8, 4, 16)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 8, 8), nn.Flatten(2), Turned(attention), nn.Linear(16, 5), nn.Linear(5, 2)
        )
        model, path = settled(model).double(), "2.attention.to_qkv"
    else:
        model = check_close(network(name), 0.5)
        path = next(path for path, _ in model.named_modules() if path.endswith("query"))
    layer = model.get_submodule(path)
    model.set_submodule(path, nn.Sequential(nn.Linear(layer.in_features, 2), nn.Linear(2, layer.out_features)).double())
    groups = dependency_graph.channel_groups(model, x[:1])
    assert any("parts of the layer" in g.reason or "torch's own layers" in g.reason for g in groups)
    assert any(g.removable for g in groups)
    check_close(model, 0.5)


class Turned(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, x):
        return self.attention(x.transpose(1, 2).unsqueeze(1)).squeeze(1).transpose(1, 2)
