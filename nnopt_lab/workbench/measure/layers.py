"""A network's layers in a table: what each does, its output, its parameters and its share of the work."""

from torch import Tensor, nn

from nnopt_lab.workbench.language import _
from nnopt_lab.workbench.measure.modes import inference
from nnopt_lab.workbench.measure.size import parameters
from nnopt_lab.workbench.measure.tables import format_count
from nnopt_lab.workbench.measure.work import COUNTED, layer_costs
from nnopt_lab.workbench.tables import Table

CAPTION = "Layers, with their multiply-accumulates (MACs) for one input"
_WITHOUT_ROW = (nn.Flatten, nn.Dropout, nn.Identity)
_POOLS = (nn.MaxPool2d, nn.AvgPool2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def layer_table(model: nn.Module, example: Tensor, caption: str = CAPTION, *, work: bool = True) -> Table:
    """List a network's layers in the order they run, with their multiply-accumulates (MACs) for one input.

    Activations stand behind the layer that they follow. Layers that keep all values, such as `nn.Flatten`, have no row.
    A layer that runs twice is listed twice, but its parameters are counted once, in its first row.

    Args:
        model: in any mode; it runs twice, in evaluation mode. Whatever it computes without a module has no row.
        example: inputs, [N, ...] with N at least 1; only the first is used.
        caption: of the table.
        work: whether the columns of the multiply-accumulates and their shares are shown.

    Raises:
        ValueError: `example` has no first input.
    """
    if example.dim() < 1 or len(example) < 1:
        raise ValueError(f"example has shape {list(example.shape)}; it must be [N, ...] with N at least 1.")
    one = example[:1]
    calls = _calls(model, one)
    costs = iter(layer_costs(model, one))
    counts = [next(costs).macs if isinstance(layer, COUNTED) else 0 for _, layer, _ in calls]
    all_macs, rows, seen = sum(counts), [], set()
    for (name, layer, output), macs in zip(calls, counts, strict=True):
        if isinstance(layer, _WITHOUT_ROW):
            continue
        if _is_activation(layer) and rows:
            rows[-1][1] += _(", ") + type(layer).__name__
            continue
        total = 0 if id(layer) in seen else parameters(layer).total
        seen.add(id(layer))
        share = f"{100 * macs / all_macs:.1f} %" if macs else None
        rows.append([name, kind(layer), _shape(output), total or None, format_count(macs) if macs else None, share])
    if len(rows) > 1:
        share = "100.0 %" if all_macs else None
        rows.append(["all", "", "", parameters(model).total, format_count(all_macs), share])
    columns = ["layer", "what it does", "output", "parameters", "MACs", "share"]
    count = len(columns) if work else columns.index("MACs")
    return Table([row[:count] for row in rows], columns[:count], caption)


def kind(layer: nn.Module) -> str:
    """Describe a layer in words, such as "3×3 convolution, 16 → 32"."""
    if isinstance(layer, nn.Conv2d):
        kernel = "×".join(map(str, layer.kernel_size))
        grouped = layer.groups > 1
        depthwise = grouped and layer.groups == layer.in_channels
        text = (
            _("{kernel} depthwise convolution", kernel=kernel)
            if depthwise
            else _("{kernel} convolution", kernel=kernel)
        )
        parts = [text, f"{layer.in_channels} → {layer.out_channels}"]
        parts += [_("{count} groups", count=layer.groups)] if grouped and not depthwise else []
        parts += [_("stride {stride}", stride=layer.stride[0])] if max(layer.stride) > 1 else []
        return _(", ").join(parts)
    if isinstance(layer, nn.Linear):
        return _("linear, {inputs} → {outputs}", inputs=layer.in_features, outputs=layer.out_features)
    if isinstance(layer, _POOLS):
        size = layer.kernel_size if isinstance(layer.kernel_size, tuple) else (layer.kernel_size,) * 2
        window = "×".join(map(str, size))
        is_max = isinstance(layer, nn.MaxPool2d)
        return _("{window} max-pooling", window=window) if is_max else _("{window} average pooling", window=window)
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return _("average pooling")
    return _("batch norm") if isinstance(layer, _NORMS) else type(layer).__name__


def _calls(model: nn.Module, one: Tensor) -> list[tuple[str, nn.Module, object]]:
    """Name, module and output of every call of a module without children."""
    calls = []
    leaves = [(name, module) for name, module in model.named_modules() if not any(module.children())]

    def hook_of(name):
        return lambda module, _, output: calls.append((name, module, output))

    hooks = [module.register_forward_hook(hook_of(name)) for name, module in leaves]
    try:
        with inference(model):
            model(one.clone())
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def _is_activation(layer: nn.Module) -> bool:
    return type(layer).__module__ == nn.ReLU.__module__ and not isinstance(layer, nn.MultiheadAttention)


def _shape(output: object) -> str:
    return "×".join(map(str, output.shape[1:])) if isinstance(output, Tensor) else "–"
