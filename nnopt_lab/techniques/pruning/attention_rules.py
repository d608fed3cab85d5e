"""How attention maps channels: its heads, the width of its heads, and the embedding are separate groups.

Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; that whole heads can go: Michel et al. 2019, "Are Sixteen Heads
Really Better than One?", https://arxiv.org/abs/1905.10650

A head's result is softmax(q·kᵀ·scale)·v. Without a head, its rows of the three projections and its inputs of the output
projection go; with narrower heads, each head loses the same positions of q and k, or of v. The scale stays that of the
original width. Modules that compute the width of a head from the embedding's are replaced after removal (see
`narrow_attention`).
"""

import dataclasses

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional as F

from nnopt_lab.techniques.pruning.axis_rules import contract
from nnopt_lab.techniques.pruning.channel_labels import Axes, Call
from nnopt_lab.techniques.pruning.channel_rules import function_rule, linear, meet, module_rule, rule_for
from nnopt_lab.techniques.pruning.narrow_attention import (
    VALUE_WIDTH,
    WIDTH,
    NarrowAttention,
    NarrowBiasedAttention,
    NarrowWindowAttention,
    RelativePosition,
)


@function_rule(F.scaled_dot_product_attention)
def _dot_product_attention(call: Call) -> Axes:
    """Queries and keys have the same width; without `scale=` the softmax's scale would change with it."""
    if len(call.inputs) > 3:
        call.freeze(*(axis for axes in call.inputs[3:] for axis in axes), why="an attention mask has channels")
    if len(call.inputs) < 3 or any(value.ndim != call.result.ndim for value in call.values[:3]):
        return call.freeze_inputs()
    if call.node.kwargs.get("scale") is None:
        call.freeze(call.inputs[0][-1], call.inputs[1][-1], why="the softmax's scale depends on the width")
    call.freeze(*(axes[-2] for axes in call.inputs[:3]), why="a softmax over channels")
    outer = "abcdefghij"[: call.result.ndim - 2]
    query, key, value = ([*axes[:-2], None, axes[-1]] for axes in call.inputs[:3])
    scores = dataclasses.replace(call, inputs=[query, key], values=call.values[:2], zeros=call.zeros[:2])
    heads = contract(scores, [f"{outer}xy", f"{outer}zy"], outer)
    weighted = dataclasses.replace(
        call, inputs=[[*heads, None], value[:-1]], values=[each[..., 0] for each in (call.result, call.values[2])]
    )
    return [*contract(weighted, [f"{outer}x", f"{outer}z"], outer), None, value[-1]]


@module_rule(nn.MultiheadAttention)
def _multihead_attention(call: Call) -> list:
    if not _is_known(call) or len(call.inputs) < 3:
        return call.freeze_inputs("attention with added keys, or not of torch's own layers")
    for axes in call.inputs[3:]:
        call.freeze(*axes, why="an attention mask has channels")
    return _first_of_two(call, _attended(call, *call.inputs[:3]))


def _first_of_two(call: Call, made: Axes) -> list:
    if not _takes_first_result(call.node):
        sizes = call.labels.bound[call.name, "num_heads", 0]
        call.freeze(sizes, why="attention weights are averaged over the heads")
    return [made, [None] * call.result[1].ndim if call.result[1] is not None else None]


def _takes_first_result(node: fx.Node) -> bool:
    return node.op != "call_module" or all(
        user.target.__name__ == "getitem" and (user.args[1] == 0 or not user.users)
        for user in node.users
        if callable(user.target)
    )


def _attended(call: Call, query: Axes, key: Axes, value: Axes) -> Axes:
    """Labels of a `nn.MultiheadAttention`'s first result."""
    for axes in (query, key, value):
        call.freeze(*axes[:-1], why="attention mixes the tokens")
    layer, labels = call.layer, call.labels
    joined, values = _tables(call, layer.num_heads, [layer.head_dim, layer.head_dim])
    names = ("in_proj_weight",) * 3
    if layer.in_proj_weight is not None:
        rows = np.concatenate([joined, joined, values])
        labels.bind(call.name, "in_proj_weight", 0, rows, output=True)
    else:
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        for name, rows in zip(names, (joined, joined, values), strict=True):
            labels.bind(call.name, name, 0, rows, output=True)
    if layer.in_proj_bias is not None:
        labels.bind(call.name, "in_proj_bias", 0, np.concatenate([joined, joined, values]))
    for name, axes in zip(names, (query, key, value), strict=True):
        if axes[-1] is not None:
            labels.bind(call.name, name, 1, axes[-1])
        elif (call.name, name, 1) in labels.bound:
            call.freeze(labels.bound[call.name, name, 1], why="a tensor of fixed size meets channels")
    for axes in (query, key, value):
        if axes[-1] is not None:
            call.note("consumers", axes[-1])
    if layer.in_proj_weight is not None and any(axes[-1] is None for axes in (query, key, value)):
        call.freeze(*(axes[-1] for axes in (query, key, value)), why="a tensor of fixed size meets channels")
    made = linear(call.child("out_proj", [*query[:-1], values]))[-1]
    return [*query[:-1], made]


def _tables(
    call: Call, heads: int, widths: list[int], heads_name: str = "num_heads", producer: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Labels of an attention's query (and key) and value channels, joined from heads and widths, made once."""
    labels, name = call.labels, call.name
    known = labels.bound.get((name, heads_name, 0))
    if known is None:
        known = labels.new(heads, producer or name, part="heads")
        labels.bind(name, heads_name, 0, known)
        parts = ((WIDTH, "query and key width"), (VALUE_WIDTH, "value width"))
        for (attribute, part), width in zip(parts, widths, strict=True):
            labels.bind(name, attribute, 0, labels.new(width, producer or name, part=part))
    return tuple(labels.join([known, labels.bound[name, attribute, 0]]) for attribute in (WIDTH, VALUE_WIDTH))


# Torch's layers of a transformer


@module_rule(nn.TransformerEncoderLayer)
def _encoder_layer(call: Call) -> Axes:
    x = call.inputs[0]
    for axes in call.inputs[1:]:
        call.freeze(*axes, why="an attention mask has channels")
    return _transformer_layer(call, x, {"self_attn": x})


@module_rule(nn.TransformerDecoderLayer)
def _decoder_layer(call: Call) -> Axes:
    if len(call.inputs) < 2:
        return call.freeze_inputs()
    x, memory = call.inputs[:2]
    for axes in call.inputs[2:]:
        call.freeze(*axes, why="an attention mask has channels")
    return _transformer_layer(call, x, {"self_attn": x, "multihead_attn": memory})


def _transformer_layer(call: Call, x: Axes, attentions: dict[str, Axes]) -> Axes:
    if not _are_linear(call, "linear1", "linear2") or not all(_is_known(call.child(name)) for name in attentions):
        return call.freeze_inputs("parts of the layer were replaced")
    for name, source in attentions.items():
        attention = call.child(name, x, source, source)
        rule = _narrow if isinstance(attention.layer, NarrowAttention) else _attended
        meet(call, x[-1], rule(attention, x, source, source)[-1])
    hidden = linear(call.child("linear1", x))
    if not _is_channelwise(call.layer.activation):
        call.freeze(hidden[-1])
    meet(call, x[-1], linear(call.child("linear2", hidden))[-1])
    for number in range(1, 2 + len(attentions)):
        _apply(call, f"norm{number}", x)
    return x


def _are_linear(call: Call, *names: str) -> bool:
    return all(type(call.layer.get_submodule(name)).forward is nn.Linear.forward for name in names)


def _is_known(attention: Call) -> bool:
    if isinstance(attention.layer, NarrowAttention):
        return _are_linear(attention, *_PROJECTIONS)
    known = type(attention.layer).forward is nn.MultiheadAttention.forward and _are_linear(attention, "out_proj")
    return known and attention.layer.bias_k is None and not attention.layer.add_zero_attn


_PROJECTIONS = ("query", "key", "value", "out")


def _apply(call: Call, name: str, *inputs: Axes) -> Axes:
    """Follow a layer inside by its own rule; without one, its channels stay."""
    child = call.child(name, *inputs)
    rule = rule_for(call.node, child.layer)
    return rule(child) if rule else child.freeze_inputs()


def _is_channelwise(activation: object) -> bool:
    known = (F.relu, F.gelu, torch.relu, F.silu, torch.tanh, torch.sigmoid)
    kinds = (nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid)
    return activation in known or type(activation) in kinds


@module_rule(nn.TransformerEncoder, nn.TransformerDecoder)
def _transformer_stack(call: Call) -> Axes:
    x = call.inputs[0]
    for number in range(len(call.layer.layers)):
        x = _apply(call, f"layers.{number}", x, *call.inputs[1:])
    return x if call.layer.norm is None else _apply(call, "norm", x)


# Torchvision's attention, whose bias depends on positions


def _packed_attention(call: Call, qkv: str, out: str, heads_name: str, biases: list[tuple[str, int]]) -> Axes:
    x, heads = call.inputs[0], getattr(call.layer, heads_name)
    if not _are_linear(call, qkv, out):
        return call.freeze_inputs("parts of the layer were replaced")
    call.freeze(*x[1:-1], why="attention mixes the tokens")
    projection = call.child(qkv, x)
    width = projection.layer.out_features // 3 // heads
    joined, values = _tables(call, heads, [width, width], heads_name, projection.name)
    _project(projection, np.concatenate([joined, joined, values]))
    _shrink_biases(call, heads_name, biases)
    return linear(call.child(out, [*x[:-1], values]))


def _project(projection: Call, rows: np.ndarray) -> None:
    """Let a linear layer shrink with the channels that it reads and with those that it makes."""
    read = projection.inputs[0][-1]
    if read is not None:
        projection.shrink(read, ("weight",), axis=1)
        projection.note("consumers", read)
    projection.shrink(rows, ("weight",), output=True)
    projection.shrink(rows, ("bias",))


def _shrink_biases(call: Call, heads_name: str, biases: list[tuple[str, int]]) -> None:
    """Let tensors with an axis of heads shrink too."""
    heads = call.labels.bound[call.name, heads_name, 0]
    for tensor, axis in biases:
        child, _, name = tensor.rpartition(".")
        (call.child(child) if child else call).shrink(heads, (name,), axis)


@module_rule("torchvision.models.swin_transformer.ShiftedWindowAttention")
def _swin_attention(call: Call) -> Axes:
    return _packed_attention(call, "qkv", "proj", "num_heads", [("relative_position_bias_table", 1)])


@module_rule("torchvision.models.swin_transformer.ShiftedWindowAttentionV2")
def _swin2_attention(call: Call) -> Axes:
    last = f"cpb_mlp.{len(call.layer.cpb_mlp) - 1}.weight"
    return _packed_attention(call, "qkv", "proj", "num_heads", [("logit_scale", 0), (last, 0)])


@module_rule("torchvision.models.maxvit.RelativePositionalMultiHeadAttention")
def _maxvit_attention(call: Call) -> Axes:
    return _packed_attention(call, "to_qkv", "merge", "n_heads", [("relative_position_bias_table", 1)])


# What replaces these after removal


@module_rule(NarrowAttention)
def _narrow_attention(call: Call) -> list:
    if not _is_known(call) or len(call.inputs) < 3:
        return call.freeze_inputs("parts of the layer were replaced")
    for axes in call.inputs[3:]:
        call.freeze(*axes, why="an attention mask has channels")
    return _first_of_two(call, _narrow(call, *call.inputs[:3]))


@module_rule(NarrowBiasedAttention)
def _narrow_biased_attention(call: Call) -> Axes:
    x, position = call.inputs[0], call.layer.position
    if not _are_linear(call, *_PROJECTIONS):
        return call.freeze_inputs("parts of the layer were replaced")
    made = _narrow(call, x, x, x)
    table = ("position.table", 1)
    if not isinstance(position, RelativePosition):
        table = (f"position.network.{len(position.network) - 1}.weight", 0)
    _shrink_biases(call, "num_heads", [table, ("logit_scale", 0)])
    return made


@module_rule(NarrowWindowAttention)
def _narrow_window_attention(call: Call) -> Axes:
    return _narrow_biased_attention(call.child("attention", call.inputs[0]))


def _narrow(call: Call, query: Axes, key: Axes, value: Axes) -> Axes:
    for axes in (query, key, value):
        call.freeze(*axes[1:-1], why="attention mixes the tokens")
    heads = call.layer.num_heads
    widths = [layer.out_features // heads for layer in (call.layer.query, call.layer.value)]
    joined, values = _tables(call, heads, widths, producer=f"{call.name}.query")
    for name, axes, rows in (("query", query, joined), ("key", key, joined), ("value", value, values)):
        _project(call.child(name, axes), rows)
    return linear(call.child("out", [*query[:-1], values]))
