"""Lesson 06: a network whose channels are badly scaled, rounded with and without equalisation."""

import copy
from functools import cache
from itertools import pairwise

import ipywidgets as widgets
import torch
from torch import nn

from nnopt_lab.course.playground import Playground, slider
from nnopt_lab.course.quick_accuracy import accuracy_on
from nnopt_lab.techniques import quantization
from nnopt_lab.techniques.quantization.post_training import equalize
from nnopt_lab.workbench import data, plots
from nnopt_lab.workbench.language import _

COLORS = (plots.REFERENCE, plots.RED, plots.GREEN)
MOST_BITS = 8
BROKEN = 50  # accuracy, %
CLOSE, WORSE = 3, 5  # points
APART = 3  # spread that is worth rescuing


@torch.no_grad()
def badly_scaled(model: nn.Module, spread: int, seed: int = 0) -> nn.Module:
    """A copy that computes the same function, with channels of very different ranges.

    Each channel between two layers is multiplied by 2^k where it is written and divided by it where it is read.

    Args:
        model: convolutions and linear layers, one behind the other, with only ReLU, pooling and flatten between them.
        spread: k is drawn from −spread to spread.
        seed: of that draw.
    """
    model, draw = copy.deepcopy(model), torch.Generator().manual_seed(seed)
    layers = [layer for layer in model.modules() if isinstance(layer, quantization.QUANTIZABLE)]
    for first, second in pairwise(layers):
        factor = 2.0 ** torch.randint(-spread, spread + 1, (len(first.weight),), generator=draw)
        first.weight.mul_(factor.view(-1, *[1] * (first.weight.dim() - 1)))
        first.bias.mul_(factor)
        behind = factor.repeat_interleave(second.weight.shape[1] // len(factor))
        second.weight.div_(behind.view(-1, *[1] * (second.weight.dim() - 2)))
    return model


def equalization_playground(model: nn.Module, pictures: data.Pictures) -> Playground:
    """`MyNet`, a badly scaled copy, and the equalised copy: their ranges, and their accuracy when rounded."""
    accuracy_of = accuracy_on(pictures)
    layers = {name: m for name, m in model.named_modules() if isinstance(m, quantization.QUANTIZABLE)}
    before = accuracy_of(model)

    @cache
    def scaled(spread: int) -> dict[str, nn.Module]:
        apart = badly_scaled(model, spread)
        return {"as trained": model, "badly scaled": apart, "equalised": equalize(copy.deepcopy(apart))}

    @cache
    def rounded_accuracy(name: str, spread: int, bits: int, per: str) -> float:
        rounded = quantization.quantize_weights(copy.deepcopy(scaled(spread)[name]), bits, per=per)
        return accuracy_of(rounded)

    def draw(layer: str, spread: int, bits: int, per: str):
        versions = scaled(spread)
        accuracies = [
            rounded_accuracy(name, spread if versions[name] is not model else 0, bits, per) for name in versions
        ]
        fig, (left, right) = plots.figure(ncols=2, figsize=(plots.SIZE[0], 3.2))
        with plots.style():
            for (name, version), color in zip(versions.items(), COLORS, strict=True):
                largest = version.get_submodule(layer).weight.detach().abs().flatten(1).amax(1)
                left.plot((largest / largest.max()).sort().values, "o", color=color, markersize=4, label=name)
            left.set(title=f"filters of {layer}", xlabel="filter, sorted", yscale="log")
            left.minorticks_off()  # laying them out takes as long as everything else
            left.set_ylabel("largest weight ÷ largest of the layer")
            plots.bars(
                right,
                dict(zip(versions, accuracies, strict=True)),
                dict(zip(versions, COLORS, strict=True)),
                reference=before,
                labels="{:.0f}",
            )
            right.set(title=f"rounded to {bits} bits", xlabel="accuracy, % (dashed: float)", xlim=(0, 110))
            plots.legend(fig)
        text = (
            f"accuracy at {bits} bits: <b>{accuracies[0]:.1f} %</b> as trained, <b>{accuracies[1]:.1f} %</b> badly "
            f"scaled, <b>{accuracies[2]:.1f} %</b> equalised (float: {before:.1f} %)"
        )
        plots.finish(
            fig,
            "On the left, the largest weight of each filter, far smaller for most filters of the badly scaled copy; "
            "on the right, bars of accuracy.",
            trained="xy",
        )
        trained, apart, equalised = accuracies
        found = [
            _broken(spread, bits, apart, equalised),
            _by_filter(spread, bits, per, apart, before),
            _worse(bits, trained, equalised),
        ]
        return fig, text, found

    goals = [
        _(
            "Find a spread at which even {bits} bits leave the badly scaled copy with less than {percent} %.",
            bits=MOST_BITS,
            percent=BROKEN,
        ),
        _(
            "At a spread of {spread}, bring the badly scaled copy, not equalised, within {points} points of float.",
            points=CLOSE,
            spread=APART,
        ),
        _(
            "Find a setting in which the equalised network is {points} points worse than the one as trained.",
            points=WORSE,
        ),
    ]
    return Playground(
        draw,
        goals,
        measured=True,
        layer=widgets.Dropdown(options=list(layers), value=list(layers)[1], description="layer"),
        spread=slider("spread", 0, 6, 3),
        bits=slider("bits", 2, MOST_BITS, 6),
        per=widgets.Dropdown(
            options={"one grid per layer": "tensor", "one grid per filter": "channel"}, description="scales"
        ),
    )


def _broken(spread: int, bits: int, apart: float, equalised: float) -> str:
    if bits < MOST_BITS or apart >= BROKEN:
        return ""
    return _(
        "At a spread of {spread}, {bits} bits leave {apart} %, and {equalised} % after equalisation. Both networks "
        "compute the same function in float.",
        spread=spread,
        bits=bits,
        apart=f"{apart:.1f}",
        equalised=f"{equalised:.1f}",
    )


def _by_filter(spread: int, bits: int, per: str, apart: float, before: float) -> str:
    if per != "channel" or spread < APART or round(before - apart, 1) > CLOSE:
        return ""
    return _(
        "One grid per filter does it, because each filter has a range of its own: {apart} % at {bits} bits and a "
        "spread of {spread}.",
        apart=f"{apart:.1f}",
        bits=bits,
        spread=spread,
    )


def _worse(bits: int, trained: float, equalised: float) -> str:
    if round(trained - equalised, 1) < WORSE:
        return ""
    return _(
        "At {bits} bits, the equalised network has {equalised} %, and the network as trained {trained} %: equalisation "
        "helps only where ranges differ.",
        bits=bits,
        equalised=f"{equalised:.1f}",
        trained=f"{trained:.1f}",
    )
