"""Replace k×k convolutions by cheaper blocks.

The article's section 3.1.2 has three knobs: fewer kernels, smaller kernels, fewer layers (`models.MyNet` has them as
arguments). Here are the usual replacements for k×k convolutions. Every function takes a model and returns a new one,
and leaves the model that it was given as it was. They change what the network can compute: replaced layers begin with
new weights and must be trained, so that these are trainable even where the old ones were frozen. A convolution that
stands in several places is replaced in all of them by the same block.
"""

import functools
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.utils import _pair
from torch.utils._pytree import tree_leaves

from nnopt_lab.techniques.convolutions.graph import source_of
from nnopt_lab.techniques.network_checks import copied, overrides_forward, replace_module
from nnopt_lab.techniques.tracing import trace, why_not_replaceable

_ELEMENTWISE = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Identity, nn.BatchNorm2d)
_ELEMENTWISE_FUNCTIONS = {"relu", "relu_", "relu6", "leaky_relu", "gelu", "silu", "hardswish"}


def separable(model: nn.Module, layers: Iterable[str] | None = None) -> nn.Module:
    """Depthwise-separable: one k×k kernel for each channel, then 1×1 across channels (Howard et al. 2017, MobileNets).

    k² + C_out multiply-accumulates for each input value instead of k²·C_out.

    Args:
        model: left as it was.
        layers: names of the convolutions to replace; all of `convolutions(model)` where it is None.

    Raises:
        ValueError: a layer that is named is none of these; the sentence says why.
    """

    def build(conv: nn.Conv2d) -> nn.Module:
        depthwise = _like(conv, conv.in_channels, conv.in_channels, groups=conv.in_channels, bias=False)
        return nn.Sequential(depthwise, nn.Conv2d(conv.in_channels, conv.out_channels, 1, bias=conv.bias is not None))

    return _rebuilt(model, layers, build)


def grouped(model: nn.Module, groups: int, layers: Iterable[str] | None = None) -> nn.Module:
    """Grouped: each of `groups` parts of the filters reads one part of the channels (Krizhevsky et al. 2012).

    Args:
        model, layers: as in `separable`; where `layers` is None, those whose channels `groups` divides.
        groups: at least 1; 1/groups of the parameters and multiply-accumulates are left.

    Raises:
        ValueError: `groups` does not divide the channels of a layer that is named, or as in `separable`.
    """

    def divides(conv: nn.Conv2d) -> bool:
        return groups >= 1 and conv.in_channels % groups == 0 and conv.out_channels % groups == 0

    def build(conv: nn.Conv2d) -> nn.Module:
        if not divides(conv):
            raise ValueError(f"groups={groups} must divide {conv.in_channels} inputs and {conv.out_channels} filters.")
        return _like(conv, conv.in_channels, conv.out_channels, groups=groups)

    if layers is None:
        layers = [name for name, conv in convolutions(model).items() if divides(conv)]
    return _rebuilt(model, layers, build)


def bottleneck(model: nn.Module, reduction: int = 4, layers: Iterable[str] | None = None) -> nn.Module:
    """A 1×1 convolution to fewer channels, the k×k one among these, and 1×1 back (He et al. 2016, figure 5).

    Args:
        model, layers: as in `separable`.
        reduction: the middle has 1/reduction of the filters, at least one; at least 1.

    Raises:
        ValueError: `reduction` is below 1, or as in `separable`.
    """
    if reduction < 1:
        raise ValueError(f"reduction={reduction} must be at least 1.")

    def build(conv: nn.Conv2d) -> nn.Module:
        middle = max(conv.out_channels // reduction, 1)
        first, last = nn.Conv2d(conv.in_channels, middle, 1), nn.Conv2d(middle, conv.out_channels, 1)
        return nn.Sequential(first, nn.ReLU(), _like(conv, middle, middle), nn.ReLU(), last)

    return _rebuilt(model, layers, build)


def asymmetric(model: nn.Module, layers: Iterable[str] | None = None) -> nn.Module:
    """k×1, then 1×k: 2k instead of k² products (Szegedy et al. 2016, section 3.2; 3×1 + 1×3 for k = 3).

    Between the two stand as many channels as on the narrower side: with the wider side's number a convolution that
    doubles the channels would do 3·C·2C + 3·2C·2C products instead of 9·C·2C, which saves nothing.

    Args and errors as in `separable`.
    """

    def build(conv: nn.Conv2d) -> nn.Module:
        middle, bias = min(conv.in_channels, conv.out_channels), conv.bias is not None
        vertical = _one_way(conv, 0, conv.in_channels, middle, bias)
        horizontal = _one_way(conv, 1, middle, conv.out_channels, bias)
        return nn.Sequential(vertical, nn.ReLU(), horizontal)

    return _rebuilt(model, layers, build)


def strided(model: nn.Module, example: Tensor | None = None) -> nn.Module:
    """Stride instead of pooling: only the pixels that are kept are computed (Springenberg et al. 2015).

    Each pooling of s×s with stride s that follows a convolution of stride 1 (an activation and a batch norm may stand
    between) gives its stride to the convolution and goes. Weights are kept, but the network must be trained again.

    A pooling of an odd number of pixels drops the last one, a strided convolution does not. Such a pooling stays where
    the network would not run without it: on the example, or without one on pictures of the usual sizes (28, 32, 64, 96,
    128, 224 and 256 pixels) that the model runs on, or, where there is none, of the smallest sizes that it runs on.

    Args:
        model: left as it was.
        example: an input, [N, C, H, W]; with it, every pooling stays whose going would change the output's shape.

    Raises:
        ValueError: the model cannot be traced by torch.fx.
    """
    model = copied(model)
    traced, original = trace(model), copied(model)
    fits = functools.cache(lambda: _fitting(original, example))  # costs a second for some models
    for name, pool in list(model.named_modules()):
        if not isinstance(pool, (nn.MaxPool2d, nn.AvgPool2d)):
            continue
        source = source_of(model, name, through=_is_elementwise, traced=traced)
        conv = model.get_submodule(source) if source else None
        size, stride, padding = (_pair(n) for n in (pool.kernel_size, pool.stride, pool.padding))
        if not isinstance(conv, nn.Conv2d) or overrides_forward(conv, nn.Conv2d) or conv.padding == "same":
            continue
        if (
            conv.stride == (1, 1)
            and size == stride
            and padding == (0, 0)
            and _pair(getattr(pool, "dilation", 1)) == (1, 1)
        ):
            conv.stride = stride
            replace_module(model, name, nn.Identity().train(pool.training))
            if not fits()(model):
                conv.stride = (1, 1)
                replace_module(model, name, pool)
    return model


def convolutions(model: nn.Module) -> dict[str, nn.Conv2d]:
    """The ungrouped k×k convolutions with k > 1, by name: those that the functions above replace.

    Left out are those that another module shares a parameter with or reads the weights of, those with hooks, and those
    whose forward is not torch's.
    """
    return {name: model.get_submodule(name) for name, reason in _why_not(model).items() if not reason}


def _why_not(model: nn.Module) -> dict[str, str]:
    return why_not_replaceable(model, _is_plain)


def _is_plain(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.groups == 1 and layer.kernel_size != (1, 1)


def _rebuilt(model: nn.Module, layers: Iterable[str] | None, build: Callable[[nn.Conv2d], nn.Module]) -> nn.Module:
    reasons = _why_not(model)
    found = {name: model.get_submodule(name) for name, reason in reasons.items() if not reason}
    chosen = list(found) if layers is None else list(layers)
    for name in chosen:
        if name not in found:
            reason = f" that can be replaced ({reasons[name]})" if name in reasons else ""
            choice = ", ".join(found) or "none is there"
            raise ValueError(
                f"layers names {name!r}, which is not an ungrouped k×k convolution{reason}: choose from {choice}."
            )
    model = copied(model)
    for name in chosen:
        block = build(found[name]).to(found[name].weight).train(found[name].training)
        model = replace_module(model, name, block)
    return model


def _like(conv: nn.Conv2d, inputs: int, outputs: int, **changes) -> nn.Conv2d:
    """A new convolution with `conv`'s kernel size, stride, padding and dilation."""
    kept = {name: getattr(conv, name) for name in ("kernel_size", "stride", "padding", "dilation", "padding_mode")}
    return nn.Conv2d(inputs, outputs, **kept | {"bias": conv.bias is not None} | changes)


def _one_way(conv: nn.Conv2d, axis: int, inputs: int, outputs: int, bias: bool) -> nn.Conv2d:
    """A new convolution that does along one axis (0: vertical) what `conv` does, and nothing along the other."""

    def along(pair, nothing: int):
        return pair if isinstance(pair, str) else tuple(n if i == axis else nothing for i, n in enumerate(pair))

    size, stride, dilation = (along(pair, 1) for pair in (conv.kernel_size, conv.stride, conv.dilation))
    return nn.Conv2d(
        inputs, outputs, size, stride, along(conv.padding, 0), dilation, bias=bias, padding_mode=conv.padding_mode
    )


def _is_elementwise(model: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(model.get_submodule(node.target), _ELEMENTWISE)
    return getattr(node.target, "__name__", node.target) in _ELEMENTWISE_FUNCTIONS


_USUAL_SIZES = (28, 32, 64, 96, 128, 224, 256)
_LARGEST_SIZE = 256


def _fitting(model: nn.Module, example: Tensor | None) -> Callable[[nn.Module], bool]:
    """Tells whether a changed model still runs where the model runs; without an example, by shapes alone."""
    if example is not None:
        wanted = _output_shapes(copied(model).eval(), example)
        return lambda changed: _output_shapes(copied(changed).eval(), example) == wanted
    sizes = _sizes(model)
    return lambda changed: _runs(changed, sizes) == sizes


def _sizes(model: nn.Module) -> list[int]:
    """Sizes of pictures that the model runs on: the usual ones, or, where there is none, a range of neighbours."""
    if usual := _runs(model, _USUAL_SIZES):
        return usual
    return _runs(model, range(1, _LARGEST_SIZE + 1), until_failure=True)


def _runs(model: nn.Module, sizes: Iterable[int], until_failure: bool = False) -> list[int]:
    """Those of the sizes that the model runs on; `until_failure` looks no further than the first range of them."""
    network, found = _without_numbers(model), []
    first = next((layer for layer in model.modules() if isinstance(layer, nn.Conv2d)), None)
    if network is None or first is None:
        return found
    for size in sizes:
        if _output_shapes(network, torch.zeros(2, first.in_channels, size, size, device="meta")) is not None:
            found.append(size)
        elif until_failure and found:
            break
    return found


def _without_numbers(model: nn.Module) -> nn.Module | None:
    """A copy on torch's meta device, which knows shapes and computes nothing; None where the model can't go there."""
    try:
        return copied(model).eval().to("meta")
    except (NotImplementedError, RuntimeError):
        return None


def _output_shapes(model: nn.Module, x: Tensor) -> list | None:
    """Shapes of the outputs, or None where the model does not run on the input."""
    try:
        with torch.no_grad():
            return [getattr(leaf, "shape", None) for leaf in tree_leaves(model(x))]
    except Exception:
        return None
