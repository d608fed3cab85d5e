"""Playgrounds: move a control, see what changes. Each redraws one figure when a control is let go."""

import copy
import html
import io
from collections.abc import Callable

import ipywidgets as widgets
import torch
from torch import nn

from nnopt_lab.techniques import channel_pruning, pruning
from nnopt_lab.workbench import data, measure, plots, training


class Playground(widgets.VBox):
    """Controls above a figure and a line of text.

    Args:
        draw: function of the controls' values → (matplotlib Figure, text).
        controls: the widgets by the name of draw's argument.
    """

    def __init__(self, draw: Callable, **controls: widgets.Widget):
        self._draw, self._controls = draw, controls
        self._picture = widgets.Image(format="png", layout=widgets.Layout(max_width="100%"))
        self._text = widgets.HTML()
        for control in controls.values():
            control.observe(lambda change: self.redraw(), names="value")
        super().__init__(
            [widgets.HBox(list(controls.values()), layout={"flex_flow": "row wrap"}), self._text, self._picture]
        )
        self.redraw()

    def redraw(self) -> None:
        """Draw for the controls' present values; what goes wrong is said in the text line."""
        try:
            figure, text = self._draw(**{name: control.value for name, control in self._controls.items()})
        except ValueError as error:
            self._text.value = html.escape(str(error))
            return
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", bbox_inches="tight")
        self._picture.value, self._text.value = buffer.getvalue(), text

    def __repr__(self) -> str:
        return "A playground: run this cell in JupyterLab and move the controls."


def layer_playground() -> Playground:
    """Lesson 00: one convolution's parameters, MACs, bytes, and its measured time on this machine."""
    seen = []

    def draw(in_channels: int, filters: int, kernel_size: int, picture: int):
        layer = nn.Conv2d(in_channels, filters, kernel_size, padding=kernel_size // 2)
        x = torch.randn(32, in_channels, picture, picture)
        cost = measure.layer_costs(layer, x[:1])[0]
        milliseconds = 1000 * measure.latency({"layer": layer}, x, rounds=6, budget_seconds=0.3)["layer"].median
        seen.append(
            (cost.macs, milliseconds / len(x), f"{in_channels}→{filters}, {kernel_size}×{kernel_size}, {picture} px")
        )
        fig, ax = plots.figure()
        with plots.style():
            for n, (macs, time, name) in enumerate(seen[-12:], max(len(seen) - 11, 1)):
                last = n == len(seen)
                ax.plot(macs, time, "o", color=plots.ORANGE if last else plots.BLUE, alpha=1 if last else 0.5)
                ax.annotate(name, (macs, time), xytext=(6, 4), textcoords="offset points", fontsize=8)
            ax.set(xscale="log", yscale="log", xlabel="MACs a picture", ylabel="ms a picture (batch 32)")
            ax.margins(0.3)
        text = (
            f"{measure.parameters(layer).total:,} parameters, {measure.format_count(cost.macs)} MACs a picture, "
            f"{milliseconds / len(x):.4f} ms a picture, {2 * cost.macs * len(x) / milliseconds / 1e6:.1f} GFLOP/s"
        )
        return plots.finish(fig), text

    return Playground(
        draw,
        in_channels=_choice("input channels", [3, 8, 16, 32, 64], 16),
        filters=_choice("filters", [4, 8, 16, 32, 64], 32),
        kernel_size=_choice("kernel", [1, 3, 5, 7], 3),
        picture=_choice("picture", [8, 16, 32, 64], 16),
    )


def pruning_playground(model: nn.Module, pictures: data.Pictures) -> Playground:
    """Lesson 01: prune `model` by a method and a share; weights, mask, accuracy, size and latency follow."""
    some = pictures.validation[:1000]
    batch = pictures.to_input(some.images[:256])
    dense_accuracy = training.evaluate(model, some, pictures).accuracy

    def draw(method: str, sparsity: float):
        plain = pruning.make_permanent(METHODS[method](copy.deepcopy(model), sparsity, batch[:1]))
        accuracy = training.evaluate(plain, some, pictures).accuracy
        timings = measure.latency({"dense": model, "pruned": plain}, batch, rounds=6, budget_seconds=0.6)
        fig, (left, right) = plots.figure(ncols=2)
        with plots.style():
            _histogram(left, model, plain)
            _mask(right, plain)
        text = (
            f"<b>{accuracy:.1f} %</b> accuracy without fine-tuning (dense {dense_accuracy:.1f} %) · "
            f"{measure.parameters(plain).nonzero:,} parameters are not zero · "
            f"file {measure.format_bytes(measure.disk_bytes(plain))}, compressed "
            f"{measure.format_bytes(measure.disk_bytes(plain, compressed=True))} · "
            f"batch of 256: {measure.ratio(timings['dense'], timings['pruned'])}"
        )
        return plots.finish(fig), text

    return Playground(
        draw,
        method=widgets.Dropdown(options=list(METHODS), description="method"),
        sparsity=widgets.FloatSlider(
            value=0.9, min=0, max=0.99, step=0.01, readout_format=".0%", description="pruned", continuous_update=False
        ),
    )


def _keep(model: nn.Module, sparsity: float) -> int:
    return round((1 - sparsity) * pruning.count_weights(model)[1])


METHODS = {
    "smallest weights, whole network": lambda m, s, x: pruning.magnitude_prune(m, _keep(m, s)),
    "smallest weights, each layer": lambda m, s, x: pruning.magnitude_prune(m, _keep(m, s), scope="layer"),
    "by lot": lambda m, s, x: pruning.random_prune(m, _keep(m, s)),
    "whole filters, L1": lambda m, s, x: channel_pruning.remove_channels(
        m, x, channel_pruning.keep_most_important(m, x, 1 - s)
    ),
    "whole filters, L2": lambda m, s, x: channel_pruning.remove_channels(
        m, x, channel_pruning.keep_most_important(m, x, 1 - s, norm=2)
    ),
}


def _choice(name: str, options: list[int], value: int) -> widgets.SelectionSlider:
    return widgets.SelectionSlider(
        options=options, value=value, description=name, continuous_update=False, style={"description_width": "initial"}
    )


def _histogram(ax, dense: nn.Module, pruned: nn.Module) -> None:
    def weights(model):
        return torch.cat([layer.weight.detach().flatten() for layer in pruning.prunable(model).values()])

    bins = torch.linspace(-0.3, 0.3, 81).tolist()
    left = weights(pruned)
    ax.hist(weights(dense).numpy(), bins, color=plots.REFERENCE, alpha=0.5, label="dense")
    ax.hist(left[left != 0].numpy(), bins, color=plots.BLUE, label="left after pruning")
    ax.set(title="weights", xlabel="value", yscale="log")
    ax.legend(fontsize=8)


def _mask(ax, pruned: nn.Module) -> None:
    layers = pruning.prunable(pruned)
    name = next(n for n, layer in layers.items() if isinstance(layer, nn.Linear))
    weight = layers[name].weight.detach()
    ax.imshow(weight[:64, :256].ne(0).numpy(), cmap="Greys_r", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    ax.set(title=f"{name}, {weight.shape[0]}×{weight.shape[1]}: white is left (a corner of it)", xticks=[], yticks=[])
    ax.grid(False)
