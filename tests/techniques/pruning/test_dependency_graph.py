"""Groups of channels: what cannot be followed is refused by name."""

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.pruning import dependency_graph
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
    "a function that makes something of nothing": (nn.Sequential(conv(), nn.Sigmoid(), conv(8)), "not as a factor"),
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
    "a mean over channels": (Net(lambda n, x: n.b(n.a(x).mean((1, 2))), a=conv(), b=nn.Linear(32, 2)), "makes"),
    "a flatten of the pixels alone": (
        Net(lambda n, x: n.b(n.a(x).flatten(2)), a=conv(), b=nn.Linear(1024, 2)), r"only \[N, C·H·W\]",
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
