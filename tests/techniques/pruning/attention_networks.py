"""Attention as people write it, and a small network of patches around it, for the tests of channel pruning."""

import math

import torch
from torch import nn
from torch.nn import functional as F

E, HEADS, WIDTH = 24, 4, 6


class Patches(nn.Module):
    """A class token, positions, residual blocks with one kind of attention, and a classifier."""

    def __init__(self, attention, blocks=2):
        super().__init__()
        self.patch = nn.Conv2d(3, E, 8, 8)
        self.token, self.position = nn.Parameter(torch.randn(1, 1, E)), nn.Parameter(torch.randn(1, 17, E))
        self.blocks = nn.Sequential(*(Block(attention()) for _ in range(blocks)))
        self.norm, self.head = nn.LayerNorm(E), nn.Linear(E, 5)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


class Block(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.norm1, self.attention, self.norm2 = nn.LayerNorm(E), attention, nn.LayerNorm(E)
        self.mlp = nn.Sequential(nn.Linear(E, 2 * E), nn.GELU(), nn.Linear(2 * E, E))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Packed(nn.Module):
    """Query, key, and value by one layer, as in timm; `forward` of the subclasses."""

    def __init__(self):
        super().__init__()
        self.num_heads, self.head_dim, self.embed_dim = HEADS, WIDTH, E
        self.scale = WIDTH**-0.5
        self.qkv, self.proj = nn.Linear(E, 3 * E), nn.Linear(E, E)

    def parts(self, x):
        n, tokens, _ = x.shape
        return self.qkv(x).reshape(n, tokens, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4).unbind(0)


class WithWidth(Packed):
    """The embedding's size is that of heads × width: all blocks' heads are one group with the embedding."""

    def forward(self, x):
        n, tokens, channels = x.shape
        q, k, v = self.parts(x)
        weights = (q * self.scale @ k.transpose(-2, -1)).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(n, tokens, channels))


class WithQuotient(Packed):
    def forward(self, x):
        n, tokens, channels = x.shape
        parts = self.qkv(x).reshape(n, tokens, 3, self.num_heads, channels // self.num_heads).permute(2, 0, 3, 1, 4)
        q, k, v = parts[0], parts[1], parts[2]
        weights = ((q @ k.transpose(-2, -1)) * self.scale).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(n, tokens, channels))


class FusedWithScale(Packed):
    def forward(self, x):
        n, tokens, _ = x.shape
        q, k, v = self.parts(x)
        x = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        return self.proj(x.transpose(1, 2).reshape(n, tokens, self.embed_dim))


class Fused(Packed):
    """Without `scale=`, narrower heads would change the softmax."""

    def forward(self, x):
        n, tokens, channels = x.shape
        q, k, v = self.parts(x)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(n, tokens, channels))


class Split(Packed):
    """As in GPT-2."""

    def forward(self, x):
        n, tokens, channels = x.size()
        q, k, v = self.qkv(x).split(self.embed_dim, dim=2)
        k = k.view(n, tokens, self.num_heads, channels // self.num_heads).transpose(1, 2)
        q = q.view(n, tokens, self.num_heads, channels // self.num_heads).transpose(1, 2)
        v = v.view(n, tokens, self.num_heads, channels // self.num_heads).transpose(1, 2)
        x = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(x.transpose(1, 2).contiguous().view(n, tokens, channels))


class Separate(nn.Module):
    """Three layers; a number of heads and −1."""

    def __init__(self):
        super().__init__()
        self.h, self.d = HEADS, WIDTH
        self.q, self.k, self.v, self.o = (nn.Linear(E, E) for _ in range(4))

    def forward(self, x):
        n, tokens, _ = x.shape
        q, k, v = (layer(x).view(n, tokens, self.h, -1).transpose(1, 2) for layer in (self.q, self.k, self.v))
        weights = torch.softmax(torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(6), -1)
        return self.o(torch.matmul(weights, v).transpose(1, 2).flatten(2))


class Einsum(Separate):
    def forward(self, x):
        n, tokens, _ = x.shape
        q, k, v = (layer(x).view(n, tokens, self.h, self.d) for layer in (self.q, self.k, self.v))
        weights = (torch.einsum("bthd,bshd->bhts", q, k) * 0.3).softmax(-1)
        return self.o(torch.einsum("bhts,bshd->bthd", weights, v).reshape(n, tokens, self.h * self.d))


class Batched(Separate):
    def forward(self, x):
        n, tokens, _ = x.shape
        q, k, v = (
            layer(x).view(n, tokens, self.h, self.d).transpose(1, 2).reshape(n * self.h, tokens, self.d)
            for layer in (self.q, self.k, self.v)
        )
        x = torch.bmm(torch.softmax(torch.bmm(q, k.transpose(1, 2)) * 0.4, -1), v)
        return self.o(x.view(n, self.h, tokens, self.d).transpose(1, 2).reshape(n, tokens, self.h * self.d))


class Literal(Separate):
    """Sizes as numbers in the code can't change."""

    def forward(self, x):
        n, tokens, _ = x.shape
        q, k, v = (layer(x).view(n, tokens, 4, 6).transpose(1, 2) for layer in (self.q, self.k, self.v))
        weights = torch.softmax(q @ k.transpose(-1, -2) / 6**0.5, -1)
        return self.o((weights @ v).transpose(1, 2).reshape(n, tokens, 24))


class ScaleFromWidth(Separate):
    """The width's attribute enters the scale."""

    def forward(self, x):
        n, tokens, channels = x.shape
        q, k, v = (layer(x).view(n, tokens, self.h, self.d).transpose(1, 2) for layer in (self.q, self.k, self.v))
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(self.d), -1)
        return self.o((weights @ v).transpose(1, 2).reshape(n, tokens, channels))


class ScaleFromQuotient(Packed):
    """As Swin's: the scale is computed from the embedding's size and the number of heads."""

    def forward(self, x):
        channels = x.shape[-1]
        q, k, v = self.parts(x)
        weights = (q * (channels // self.num_heads) ** -0.5 @ k.transpose(-2, -1)).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).flatten(2))


class OfTorch(nn.Module):
    def __init__(self, *, batch_first=True, need_weights=False, **options):
        super().__init__()
        self.batch_first, self.need_weights = batch_first, need_weights
        self.attention = nn.MultiheadAttention(E, HEADS, batch_first=batch_first, **options)

    def forward(self, x):
        x = x if self.batch_first else x.transpose(0, 1)
        x, _ = self.attention(x, x, x, need_weights=self.need_weights)
        return x if self.batch_first else x.transpose(0, 1)


class UsesWeights(OfTorch):
    """The mean over the heads would change with their number."""

    def forward(self, x):
        x, weights = self.attention(x, x, x)
        return x * weights.mean()


class Cross(nn.Module):
    """Queries, keys, and values of three sizes, by keywords."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, E, 8, 8), nn.Conv2d(3, 16, 16, 16), nn.Conv2d(3, 20, 16, 16)
        self.attention = nn.MultiheadAttention(E, HEADS, kdim=16, vdim=20, batch_first=True)
        self.head = nn.Linear(E, 3)

    def forward(self, x):
        q, k, v = (layer(x).flatten(2).transpose(1, 2) for layer in (self.a, self.b, self.c))
        return self.head(self.attention(query=q, key=k, value=v)[0].mean(1))


class Encoder(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.patch, self.batch_first = nn.Conv2d(3, E, 8, 8), options.get("batch_first", False)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(E, HEADS, 32, **options), 2, nn.LayerNorm(E), enable_nested_tensor=False
        )
        self.head = nn.Linear(E, 3)

    def forward(self, x):
        x = self.patch(x).flatten(2)
        x = x.transpose(1, 2) if self.batch_first else x.permute(2, 0, 1)
        return self.head(self.encoder(x).mean(1 if self.batch_first else 0))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch, self.memory = nn.Conv2d(3, E, 8, 8), nn.Conv2d(3, E, 16, 16)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(E, HEADS, 32, batch_first=True), 2)
        self.head = nn.Linear(E, 3)

    def forward(self, x):
        x, memory = (layer(x).flatten(2).transpose(1, 2) for layer in (self.patch, self.memory))
        return self.head(self.decoder(x, memory).mean(1))
