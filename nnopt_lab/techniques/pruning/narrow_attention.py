"""Attention whose heads, head width, and embedding have independent sizes.

`nn.MultiheadAttention` and torchvision's attention compute the width of a head as embedding / heads, and the softmax's
scale from it. After pruning, neither holds, so removal replaces them by these modules. They are ordinary linear layers
around one function, which every engine and exporter follows.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnopt_lab.techniques.network_checks import parameter_like

WIDTH, VALUE_WIDTH = "head_width", "value_width"
"""Names under which removal passes the new widths to `narrowed`; no module of torch has them."""


class NarrowAttention(nn.Module):
    """Multi-head attention with a scale and widths of its own, called like `nn.MultiheadAttention`.

    Attributes:
        query, key, value, out: linear layers.
        num_heads: number of heads, which divides the outputs of `query`, `key`, and `value`.
        scale: factor of the dot products.
        dropout: probability of dropping an attention weight in training mode.
        batch_first: whether inputs are [N, L, E] instead of [L, N, E].
    """

    in_proj_bias = None  # `nn.TransformerEncoderLayer` must not take its fused path
    in_proj_weight = None
    _qkv_same_embed_dim = False

    def __init__(
        self,
        query: nn.Linear,
        key: nn.Linear,
        value: nn.Linear,
        out: nn.Linear,
        num_heads: int,
        scale: float,
        dropout: float = 0.0,
        batch_first: bool = True,
    ):
        super().__init__()
        self.query, self.key, self.value, self.out = query, key, value, out
        self.num_heads, self.scale, self.dropout, self.batch_first = num_heads, scale, dropout, batch_first

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As `nn.MultiheadAttention.forward`; `is_causal` is only a hint there, and has no effect here."""
        mask = self._mask(attn_mask, key_padding_mask, query.dtype)
        axis = -3 if self.batch_first else 0  # of the tokens, once the heads have an axis
        q, k, v = (
            layer(each).unflatten(-1, (self.num_heads, -1)).movedim(axis, -2)
            for layer, each in ((self.query, query), (self.key, key), (self.value, value))
        )
        if not need_weights:
            dropped = self.dropout if self.training else 0.0
            result = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropped, scale=self.scale)
            return self.out(result.movedim(-2, axis).flatten(-2)), None
        scores = (q * self.scale) @ k.transpose(-2, -1)
        weights = F.softmax(scores if mask is None else scores + mask, dim=-1)
        weights = F.dropout(weights, self.dropout, self.training)
        result = self.out((weights @ v).movedim(-2, axis).flatten(-2))
        return result, weights.mean(-3) if average_attn_weights else weights

    def _mask(self, attention: Tensor | None, padding: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        """Both masks as one that is added to the scores, [L, S] or [N, heads or 1, L, S]."""
        masks = [
            torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(mask, float("-inf"))
            if mask.dtype == torch.bool
            else mask.to(dtype)
            for mask in (attention, padding)
            if mask is not None
        ]
        if attention is not None and attention.ndim == 3:
            masks[0] = masks[0].unflatten(0, (-1, self.num_heads))
        if padding is not None:
            masks[-1] = masks[-1].unsqueeze(-2).unsqueeze(-3)
        return sum(masks[1:], masks[0]) if masks else None

    def merge_masks(self, *_):
        """Torch's transformer layers name this method; they don't call it for this class."""
        raise NotImplementedError("NarrowAttention has no fused path.")


class NarrowBiasedAttention(nn.Module):
    """Self-attention over [..., tokens, E] with a bias per pair of tokens, such as one by relative position.

    Attributes:
        query, key, value, out: linear layers.
        position: module that returns the bias, [1, heads, tokens, tokens].
        logit_scale: for cosine attention, the scale's logarithm, [heads, 1, 1]; then `scale` is not used.
    """

    def __init__(
        self,
        query: nn.Linear,
        key: nn.Linear,
        value: nn.Linear,
        out: nn.Linear,
        num_heads: int,
        scale: float,
        position: nn.Module,
        dropout: float = 0.0,
        out_dropout: float = 0.0,
        logit_scale: nn.Parameter | None = None,
    ):
        super().__init__()
        self.query, self.key, self.value, self.out = query, key, value, out
        self.position, self.logit_scale = position, logit_scale
        self.num_heads, self.scale, self.dropout, self.out_dropout = num_heads, scale, dropout, out_dropout

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """[..., tokens, E] → [..., tokens, E]; `mask` is added to the scores, [..., heads or 1, tokens, tokens]."""
        q, k, v = (
            layer(x).unflatten(-1, (self.num_heads, -1)).transpose(-3, -2)
            for layer in (self.query, self.key, self.value)
        )
        if self.logit_scale is None:
            scores = (q * self.scale) @ k.transpose(-2, -1)
        else:
            scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
            scores = scores * self.logit_scale.clamp(max=math.log(100)).exp()
        scores = scores + self.position()
        weights = F.softmax(scores if mask is None else scores + mask, dim=-1)
        weights = F.dropout(weights, self.dropout, self.training)
        result = self.out((weights @ v).transpose(-3, -2).flatten(-2))
        return F.dropout(result, self.out_dropout, self.training)


class RelativePosition(nn.Module):
    """A bias per pair of tokens and head, [1, heads, tokens, tokens], looked up in a table [offsets, heads]."""

    def __init__(self, table: nn.Parameter, index: Tensor, tokens: int):
        super().__init__()
        self.table, self.tokens = table, tokens
        self.register_buffer("index", index.reshape(-1))

    def forward(self) -> Tensor:
        return self.table[self.index].unflatten(0, (self.tokens, self.tokens)).permute(2, 0, 1).unsqueeze(0)


class ContinuousPosition(nn.Module):
    """A bias as of `RelativePosition`, 16·sigmoid of a table that a small network computes from coordinates."""

    def __init__(self, network: nn.Module, coordinates: Tensor, index: Tensor, tokens: int):
        super().__init__()
        self.network, self.tokens = network, tokens
        self.register_buffer("coordinates", coordinates)
        self.register_buffer("index", index.reshape(-1))

    def forward(self) -> Tensor:
        table = self.network(self.coordinates).flatten(0, -2)
        bias = table[self.index].unflatten(0, (self.tokens, self.tokens)).permute(2, 0, 1).unsqueeze(0)
        return 16 * bias.sigmoid()


class NarrowWindowAttention(nn.Module):
    """Swin's attention within shifted windows of a picture [N, H, W, E] (Liu et al. 2021, arXiv 2103.14030)."""

    def __init__(self, attention: NarrowBiasedAttention, window: list[int], shift: list[int]):
        super().__init__()
        self.attention, self.window, self.shift = attention, list(window), list(shift)

    def forward(self, x: Tensor) -> Tensor:
        """[N, H, W, E] → the same shape."""
        _, height, width, _ = x.shape
        rows, columns = self.window
        x = F.pad(x, (0, 0, 0, -width % columns, 0, -height % rows))
        _, padded_height, padded_width, _ = x.shape
        # A window that spans the picture need not move.
        down = 0 if rows >= padded_height else self.shift[0]
        right = 0 if columns >= padded_width else self.shift[1]
        x = torch.roll(x, (-down, -right), (1, 2))
        windows = x.unflatten(2, (-1, columns)).unflatten(1, (-1, rows)).transpose(2, 3)  # N, h, w, rows, columns, E
        mask = self._mask(x, down, right) if down + right > 0 else None
        windows = self.attention(windows.flatten(3, 4), mask)
        x = windows.unflatten(3, (rows, columns)).transpose(2, 3).flatten(1, 2).flatten(2, 3)
        return torch.roll(x, (down, right), (1, 2))[:, :height, :width].contiguous()

    def _mask(self, x: Tensor, down: int, right: int) -> Tensor:
        """−100 between pixels that only the shift made neighbours, [h, w, 1, tokens, tokens]."""
        rows, columns = self.window
        regions = x.new_zeros(x.shape[1:3])
        count = 0
        for vertical in ((0, -rows), (-rows, -down), (-down, None)):
            for horizontal in ((0, -columns), (-columns, -right), (-right, None)):
                regions[slice(*vertical), slice(*horizontal)] = count
                count += 1
        tokens = regions.unflatten(1, (-1, columns)).unflatten(0, (-1, rows)).transpose(1, 2).flatten(2)
        differs = tokens.unsqueeze(-1) != tokens.unsqueeze(-2)
        return torch.where(differs, -100.0, 0.0).to(x.dtype).unsqueeze(2)


# Replacements


def narrowed(layer: nn.Module, before: nn.Module) -> nn.Module:
    """Replace an attention by the equivalent narrow one.

    Args:
        layer: of a class in `NAMES`, with parameters that were shrunk and with its new widths as attributes.
        before: the same layer before.
    """
    kind = next(kind for kind in type(layer).__mro__ if _key(kind) in NAMES)
    heads_name, make = NAMES[_key(kind)]
    heads = getattr(layer, heads_name)
    widths = [getattr(layer, name, _width(before)) * heads for name in (WIDTH, WIDTH, VALUE_WIDTH)]
    new = make(layer, before, heads, widths)
    new.train(layer.training)
    return new


def _key(kind: type) -> type | str:
    return kind if kind in NAMES else f"{kind.__module__}.{kind.__qualname__}"


def is_attention(layer: nn.Module) -> bool:
    """Whether a module's class has a narrow replacement."""
    return any(_key(kind) in NAMES for kind in type(layer).__mro__)


def _width(before: nn.Module) -> int:
    if hasattr(before, "head_dim"):
        return before.head_dim
    return before.qkv.out_features // 3 // before.num_heads


def _linear(layer: nn.Module, weight: Tensor, bias: Tensor | None, names: tuple[str, str]) -> nn.Linear:
    """A linear layer with these numbers, frozen where the layer's parameters of these names are."""
    made = nn.Linear(weight.shape[1], len(weight), bias is not None, device="meta")
    made.weight = parameter_like(weight, layer, names[0])
    if bias is not None:
        made.bias = parameter_like(bias, layer, names[1])
    return made


def _multihead(layer: nn.MultiheadAttention, before: nn.MultiheadAttention, heads: int, widths: list[int]):
    separate = [layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight]
    packed = layer.in_proj_weight is not None
    weights = layer.in_proj_weight.split(widths) if packed else separate
    biases = layer.in_proj_bias.split(widths) if layer.in_proj_bias is not None else [None] * 3
    names = ["in_proj_weight"] * 3 if packed else ["q_proj_weight", "k_proj_weight", "v_proj_weight"]
    projections = [
        _linear(layer, weight, bias, (name, "in_proj_bias"))
        for weight, bias, name in zip(weights, biases, names, strict=True)
    ]
    out = _linear(layer.out_proj, layer.out_proj.weight, layer.out_proj.bias, ("weight", "bias"))
    return NarrowAttention(
        *projections, out, heads, before.head_dim**-0.5, dropout=layer.dropout, batch_first=layer.batch_first
    )


def _packed(qkv: nn.Linear, widths: list[int]) -> list[nn.Linear]:
    biases = qkv.bias.split(widths) if qkv.bias is not None else [None] * 3
    return [
        _linear(qkv, weight, bias, ("weight", "bias"))
        for weight, bias in zip(qkv.weight.split(widths), biases, strict=True)
    ]


def _swin(layer: nn.Module, before: nn.Module, heads: int, widths: list[int]) -> NarrowWindowAttention:
    tokens = layer.window_size[0] * layer.window_size[1]
    position = RelativePosition(layer.relative_position_bias_table, layer.relative_position_index, tokens)
    scale = _width(before) ** -0.5
    return _windows(layer, NarrowBiasedAttention(*_packed(layer.qkv, widths), layer.proj, heads, scale, position))


def _swin2(layer: nn.Module, before: nn.Module, heads: int, widths: list[int]) -> NarrowWindowAttention:
    tokens = layer.window_size[0] * layer.window_size[1]
    position = ContinuousPosition(layer.cpb_mlp, layer.relative_coords_table, layer.relative_position_index, tokens)
    query, key, value = _packed(layer.qkv, widths)
    if key.bias is not None:  # never used: the forward sets it to 0
        key.bias = None
    attention = NarrowBiasedAttention(
        query, key, value, layer.proj, heads, 1.0, position, logit_scale=layer.logit_scale
    )
    return _windows(layer, attention)


def _windows(layer: nn.Module, attention: NarrowBiasedAttention) -> NarrowWindowAttention:
    attention.dropout, attention.out_dropout = layer.attention_dropout, layer.dropout
    return NarrowWindowAttention(attention, layer.window_size, layer.shift_size)


def _maxvit(layer: nn.Module, before: nn.Module, heads: int, widths: list[int]) -> NarrowBiasedAttention:
    position = RelativePosition(layer.relative_position_bias_table, layer.relative_position_index, layer.max_seq_len)
    return NarrowBiasedAttention(*_packed(layer.to_qkv, widths), layer.merge, heads, before.scale_factor, position)


NAMES = {
    nn.MultiheadAttention: ("num_heads", _multihead),
    "torchvision.models.swin_transformer.ShiftedWindowAttention": ("num_heads", _swin),
    "torchvision.models.swin_transformer.ShiftedWindowAttentionV2": ("num_heads", _swin2),
    "torchvision.models.maxvit.RelativePositionalMultiHeadAttention": ("n_heads", _maxvit),
}
"""Per class of attention, or its full name, the attribute with the number of heads and what makes the replacement."""
