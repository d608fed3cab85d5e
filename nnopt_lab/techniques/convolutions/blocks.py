"""Replace k×k convolutions by cheaper blocks.

The article's section 3.1.2 names fewer kernels, smaller kernels and fewer layers, which are arguments of
`models.MyNet`. This module has the usual replacements for k×k convolutions. Every function returns a new model and
leaves the given one unchanged. The new blocks compute different functions: they start with random weights and must be
trained, so their weights are trainable even if the old ones were frozen. A convolution that is used in several places
is replaced by the same block in all of them.
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
    """Replace convolutions by depthwise-separable ones: one k×k kernel per channel, then 1×1 across channels.

    k² + C_out multiply-accumulates per input value instead of k²·C_out. Howard et al. 2017, "MobileNets",
    https://arxiv.org/abs/1704.04861

    Args:
        model: left unchanged.
        layers: names of the convolutions to replace; default all of `convolutions(model)`.

    Raises:
        ValueError: a name is not one of `convolutions(model)`; the message says why.
    """

    def build(conv: nn.Conv2d) -> nn.Module:
        depthwise = _like(conv, conv.in_channels, conv.in_channels, groups=conv.in_channels, bias=False)
        return nn.Sequential(depthwise, nn.Conv2d(conv.in_channels, conv.out_channels, 1, bias=conv.bias is not None))

    return _rebuilt(model, layers, build)


def grouped(model: nn.Module, groups: int, layers: Iterable[str] | None = None) -> nn.Module:
    """Replace convolutions by grouped ones: each part of the filters reads only its part of the channels.

    Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional Neural Networks".

    Args:
        model, layers: as in `separable`, but by default the layers whose channels `groups` divides.
        groups: at least 1; leaves 1/groups of the weights and multiply-accumulates.

    Raises:
        ValueError: `groups` does not divide the channels of a named layer, or as in `separable`.
    """

    def divides(conv: nn.Conv2d) -> bool:
        return groups >= 1 and conv.in_channels % groups == 0 and conv.out_channels % groups == 0

    def build(conv: nn.Conv2d) -> nn.Module:
        if not divides(conv):
            raise ValueError(
                f"groups={groups} must divide {conv.in_channels} input channels and {conv.out_channels} filters."
            )
        return _like(conv, conv.in_channels, conv.out_channels, groups=groups)

    if layers is None:
        layers = [name for name, conv in convolutions(model).items() if divides(conv)]
    return _rebuilt(model, layers, build)


def bottleneck(model: nn.Module, reduction: int = 4, layers: Iterable[str] | None = None) -> nn.Module:
    """Replace convolutions by bottlenecks: 1×1 to fewer channels, k×k between these, and 1×1 back.

    He et al. 2016, "Deep Residual Learning for Image Recognition", figure 5, https://arxiv.org/abs/1512.03385

    Args:
        model, layers: as in `separable`.
        reduction: at least 1; the middle convolution has 1/reduction of the filters, but at least one.

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
    """Replace convolutions by k×1 and 1×k ones: 2k products per output instead of k².

    Between the two are as many channels as on the narrower side. With the wider side's number, a 3×3 convolution that
    doubles its C channels would take 3·C·2C + 3·2C·2C products instead of 9·C·2C, which saves nothing. Szegedy et al.
    2016, "Rethinking the Inception Architecture", section 3.2, https://arxiv.org/abs/1512.00567

    Arguments and errors as in `separable`.
    """

    def build(conv: nn.Conv2d) -> nn.Module:
        middle, bias = min(conv.in_channels, conv.out_channels), conv.bias is not None
        vertical = _one_way(conv, 0, conv.in_channels, middle, bias)
        horizontal = _one_way(conv, 1, middle, conv.out_channels, bias)
        return nn.Sequential(vertical, nn.ReLU(), horizontal)

    return _rebuilt(model, layers, build)


def strided(model: nn.Module, example: Tensor | None = None) -> nn.Module:
    """Replace pooling by stride, so that only the pixels that are kept are computed.

    Each s×s pooling with stride s that follows a convolution of stride 1 (with only activations and batch norms
    between) is removed, and the convolution gets its stride. Weights are kept, but the network must be retrained.
    Springenberg et al. 2015, "Striving for Simplicity", https://arxiv.org/abs/1412.6806

    Pooling drops the last of an odd number of pixels, a strided convolution doesn't. So a pooling stays if the network
    would not run without it on the example. Without an example, it is tried on pictures of the usual sizes (28, 32, 64,
    96, 128, 224 and 256 pixels) that the model accepts, or else of the smallest sizes that it accepts.

    Args:
        model: left unchanged.
        example: an input, [N, C, H, W]; with it, a pooling also stays if its removal would change the output's shape.

    Raises:
        ValueError: torch.fx can't trace the model.
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
    """Find the convolutions that the functions above replace, by name: ungrouped k×k ones with k > 1.

    Convolutions whose parameters are shared with or read by another module, that have hooks, or whose forward is not
    torch's are left out.
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
            choice = ", ".join(found) or "none"
            raise ValueError(
                f"layers contains {name!r}, which is not an ungrouped k×k convolution{reason}: choose from {choice}."
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
    """A new convolution that acts like `conv` along one axis (0: vertical) and not at all along the other."""

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
    """A function that tells whether a changed model still runs on the same inputs; without an example, by shapes."""
    if example is not None:
        wanted = _output_shapes(copied(model).eval(), example)
        return lambda changed: _output_shapes(copied(changed).eval(), example) == wanted
    sizes = _sizes(model)
    return lambda changed: _runs(changed, sizes) == sizes


def _sizes(model: nn.Module) -> list[int]:
    """Picture sizes that the model accepts: usual ones, or if it accepts none, the first range of other sizes."""
    if usual := _runs(model, _USUAL_SIZES):
        return usual
    return _runs(model, range(1, _LARGEST_SIZE + 1), until_failure=True)


def _runs(model: nn.Module, sizes: Iterable[int], until_failure: bool = False) -> list[int]:
    """The sizes that the model accepts; `until_failure` stops after the first range of them."""
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
    """A copy on torch's meta device, which computes only shapes; None if the model can't be moved there."""
    try:
        return copied(model).eval().to("meta")
    except (NotImplementedError, RuntimeError):
        return None


def _output_shapes(model: nn.Module, x: Tensor) -> list | None:
    """Shapes of the outputs, or None if the model does not run on the input."""
    try:
        with torch.no_grad():
            return [getattr(leaf, "shape", None) for leaf in tree_leaves(model(x))]
    except Exception:
        return None
