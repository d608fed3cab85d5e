"""Lesson 11's playground: the bits of a number in each format, and its neighbours in one of them."""

import math

import ipywidgets as widgets
import torch

from nnopt_lab.course.playground import Playground
from nnopt_lab.techniques import quantization
from nnopt_lab.techniques.quantization.precision import FORMATS, bits_of, round_to, spacing
from nnopt_lab.workbench import plots
from nnopt_lab.workbench.language import Message, _

INT8 = "int8"
REACH = 1.0  # of the int8 grid


def precision_playground() -> Playground:
    """Type a number to see its bits in each format and, in the chosen one, the stored value and its neighbours.

    int8 is the symmetric grid from −1 to 1.
    """

    def draw(number: str, name: str):
        x = _parsed(number)
        held = {kind: _held(x, kind) for kind in (*FORMATS, INT8)}
        fig, (top, bottom) = plots.figure(nrows=2, figsize=(plots.SIZE[0], 4.4), height_ratios=(3, 1))
        with plots.style():
            for row, kind in enumerate(held):
                _bits(top, row, x, kind, held[kind], chosen=kind == name)
            top.set(ylim=(len(held) - 0.5, -0.7))
            top.axis("off")
            _neighbours(bottom, x, held[name], name)
        if math.isfinite(held[name]):
            plots.legend(fig)
        plots.finish(
            fig,
            "The bits that each format stores, and the stored value on a line between its neighbours.",
        )
        return fig, _description(x, held[name], name), [_skipped(x, held), _vanished(x, held), _closer(x, held)]

    goals = [
        _("Find a whole number that bf16 cannot store."),
        _("Find a number other than 0 that fp16 stores as 0, and bf16 does not."),
        _("Find a number that int8 stores with a smaller error than bf16, which has twice the bits."),
    ]
    return Playground(
        draw,
        goals,
        number=widgets.Text(value="0.1", description="number", continuous_update=False),
        name=widgets.Dropdown(options=[*FORMATS, INT8], value="bf16", description="format"),
    )


def neighbours(x: float, name: str) -> list[float]:
    """The format's next number below `x`, `x` itself, which must be finite and of the format, and the next above."""
    if name == INT8:
        step = REACH / 127
        return [min(max(x + d, -REACH), REACH) for d in (-step, 0.0, step)]
    step = float(spacing(torch.tensor(x), FORMATS[name]))
    # A little more than half of the gap: below a power of two the gap is half as wide, and there is one number more.
    return [float(round_to(torch.tensor(x + d * 0.51 * step), FORMATS[name])) for d in (-1, 0, 1)]


def _parsed(number: str) -> float:
    try:
        x = float(number.replace(",", "."))
    except ValueError:
        x = math.nan
    if not abs(x) <= FORMATS["float32"].largest:
        raise ValueError(f"number={number!r} must be a finite number, at most 3.4e38, such as 0.1 or -65520.")
    return x


def _held(x: float, name: str) -> float:
    number = torch.tensor(x)
    if name == INT8:
        return float(quantization.fake_quantize(number, quantization.grid_of_range(-REACH, REACH, 8, symmetric=True)))
    return float(round_to(number, FORMATS[name]))


def _skipped(x: float, held: dict[str, float]) -> str:
    if not x.is_integer() or held["bf16"] == x:
        return ""
    return _(
        "bf16 stores {held} instead of {number}: with 8 significant bits, it skips whole numbers above 256.",
        held=f"{held['bf16']:.9g}",
        number=f"{x:.9g}",
    )


def _vanished(x: float, held: dict[str, float]) -> str:
    if held["fp16"] or not held["bf16"]:
        return ""
    return _(
        "{number} is 0 in fp16 and {held} in bf16: a gradient of this size is lost in fp16, unless the loss is scaled.",
        number=f"{x:g}",
        held=f"{held['bf16']:.3g}",
    )


def _closer(x: float, held: dict[str, float]) -> str:
    eight, sixteen = (abs(held[kind] - x) for kind in (INT8, "bf16"))
    if abs(x) > REACH or eight >= sixteen:
        return ""
    return _(
        "For {number}, int8's error is {eight}, and bf16's {sixteen}: between 0.5 and 1, the grid of int8 is only "
        "twice as coarse.",
        number=f"{x:g}",
        eight=f"{eight:.2g}",
        sixteen=f"{sixteen:.2g}",
    )


def _bits(ax, row: int, x: float, name: str, held: float, chosen: bool) -> None:
    if name == INT8:
        parts, colors = (f"{round(held * 127 / REACH) % 256:08b}",), (plots.GREEN,)
    else:
        parts, colors = bits_of(x, FORMATS[name]), (plots.REFERENCE, plots.ORANGE, plots.BLUE)
    weight = "bold" if chosen else "normal"
    ax.text(0.15, row, name, ha="right", va="center", weight=weight)
    for place, part, color in zip((0.18, 0.21, 0.34), parts, colors, strict=False):
        ax.text(place, row, part, va="center", color=color, family="monospace", weight=weight)
    ax.text(0.72, row, f"{held:.9g}", va="center", weight=weight)


def _neighbours(ax, x: float, held: float, name: str) -> None:
    if not math.isfinite(held):
        ax.text(0.5, 0.5, f"beyond the largest number, {FORMATS[name].largest:g}", ha="center", transform=ax.transAxes)
        ax.axis("off")
        return
    marks = sorted({mark for mark in neighbours(held, name) if math.isfinite(mark)})
    width = marks[-1] - marks[0]
    low, high = marks[0] - width / 4, marks[-1] + width / 4
    ax.plot(marks, [0] * len(marks), "|", color=plots.REFERENCE, markersize=22)
    ax.plot([held], [0], "o", color=plots.BLUE, label="stored value")
    # A number beyond the largest may be so far away that the neighbours would become one point.
    marker, label = "x", "the number itself"
    if x < low:
        marker, label = "<", "the number itself, far to the left"
    elif x > high:
        marker, label = ">", "the number itself, far to the right"
    at = min(max(x, low), high)
    ax.plot([at], [0], marker, color=plots.ORANGE, markersize=9, markeredgewidth=2, label=label)
    ax.set(yticks=[], title=f"{name}: neighbours", xlim=(low - width / 20, high + width / 20))
    ax.set_xticks(marks, [f"{mark:.6g}".replace("-", "−") for mark in marks], fontsize="small")
    ax.grid(False)


def _description(x: float, held: float, name: str) -> str:
    if not math.isfinite(held):
        return Message(
            "{name} stores <b>{held}</b>: its largest number is {largest}",
            name=name,
            held=f"{held:g}",
            largest=f"{FORMATS[name].largest:g}",
        )
    low, _held, high = neighbours(held, name)
    told = {"name": name, "held": f"{held:.9g}", "error": f"{held - x:.3g}", "low": f"{low:.9g}", "high": f"{high:.9g}"}
    if not x:
        return Message("{name} stores <b>{held}</b> · error {error} · neighbours {low} and {high}", **told)
    return Message(
        "{name} stores <b>{held}</b> · error {error}, <b>{share} %</b> · neighbours {low} and {high}",
        share=f"{100 * abs((held - x) / x):.3g}",
        **told,
    )
