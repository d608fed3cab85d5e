"""A replacement with the full widths computes what the original computes."""

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.pruning.narrow_attention import narrowed


def seeded(layer):
    generator = torch.Generator().manual_seed(0)
    for tensor in [*layer.parameters()]:
        tensor.data = torch.randn(tensor.shape, generator=generator, dtype=torch.float64) / 3
    return layer.double().eval()


def tokens(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


N, L, S, E, HEADS = 2, 5, 7, 12, 3
BLOCKED = torch.rand(L, S, generator=torch.Generator().manual_seed(2)) > 0.7
MASKS = {
    "none": {},
    "boolean": {"attn_mask": BLOCKED},
    "added": {"attn_mask": tokens(L, S)},
    "per head": {"attn_mask": tokens(N * HEADS, L, S)},
    "padding": {"key_padding_mask": torch.arange(S).expand(N, S) > torch.tensor([[4], [6]])},
    "both": {"attn_mask": BLOCKED, "key_padding_mask": torch.arange(S).expand(N, S) > torch.tensor([[5], [6]])},
}


@pytest.mark.parametrize("need", [{"need_weights": False}, {}, {"average_attn_weights": False}])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("batch_first", [True, False])
def test_like_torchs_attention(batch_first, mask, need):
    layer = seeded(nn.MultiheadAttention(E, HEADS, batch_first=batch_first))
    q, k, v = tokens(N, L, E), tokens(N, S, E, seed=3), tokens(N, S, E, seed=4)
    inputs = [each if batch_first else each.transpose(0, 1) for each in (q, k, v)]
    wanted, weights = layer(*inputs, **MASKS[mask], **need)
    result, narrow_weights = narrowed(layer, layer)(*inputs, **MASKS[mask], **need)
    torch.testing.assert_close(result, wanted)
    if weights is None:
        assert narrow_weights is None
    else:
        torch.testing.assert_close(narrow_weights, weights)


@pytest.mark.parametrize("options", [{"bias": False}, {"kdim": 8, "vdim": 10}])
def test_like_torchs_attention_with_other_parameters(options):
    layer = seeded(nn.MultiheadAttention(E, HEADS, batch_first=True, **options))
    q, k, v = tokens(N, L, E), tokens(N, S, options.get("kdim", E)), tokens(N, S, options.get("vdim", E))
    torch.testing.assert_close(narrowed(layer, layer)(q, k, v)[0], layer(q, k, v)[0])


@pytest.mark.parametrize("batch_first", [True, False])
def test_like_torchs_attention_without_a_batch(batch_first):
    layer = seeded(nn.MultiheadAttention(E, HEADS, batch_first=batch_first))
    q, k = tokens(L, E), tokens(S, E, seed=3)
    torch.testing.assert_close(narrowed(layer, layer)(q, k, k)[0], layer(q, k, k)[0])


@pytest.mark.parametrize("version", ["ShiftedWindowAttention", "ShiftedWindowAttentionV2"])
@pytest.mark.parametrize("shift", [[0, 0], [2, 1], [2, 0]])
@pytest.mark.parametrize("size", [(8, 12), (7, 10), (4, 9)])
def test_like_swins_attention(version, shift, size):
    from torchvision.models import swin_transformer

    layer = seeded(getattr(swin_transformer, version)(E, [4, 3], shift, HEADS))
    pictures = tokens(N, *size, E)
    torch.testing.assert_close(narrowed(layer, layer)(pictures), layer(pictures))


def test_like_maxvits_attention():
    from torchvision.models.maxvit import RelativePositionalMultiHeadAttention

    layer = seeded(RelativePositionalMultiHeadAttention(E, 4, 9))
    partitions = tokens(N, 6, 9, E)
    torch.testing.assert_close(narrowed(layer, layer)(partitions), layer(partitions))
