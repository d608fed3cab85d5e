"""Lesson 07: a network pruned, shared and coded without any training, and the bytes of its file."""

import copy
import tempfile
from pathlib import Path

from torch import nn

from nnopt_lab.course.playground import Playground, slider
from nnopt_lab.course.quick_accuracy import accuracy_on
from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.quantization import deep_compression
from nnopt_lab.workbench import data, measure, plots
from nnopt_lab.workbench.language import Message, _

PARTS = {
    "values": ("values",),
    "positions": ("positions",),
    "code books and tables": ("code books", "Huffman tables"),
    "biases and shapes": ("biases", "header"),
}

TIMES = 80  # smaller
SPARED = 3  # points of accuracy
TWICE = 2  # times as many bytes for positions as for values


def compression_playground(model: nn.Module, pictures: data.Pictures) -> Playground:
    """The shares of `model`'s file by part, its size, and the accuracy that is left without training."""
    accuracy_of = accuracy_on(pictures)
    total = pruning.count_weights(model)[1]
    before, float_bytes = accuracy_of(model), measure.disk_bytes(model)

    def draw(zeros: int, bits: int):
        small = pruning.magnitude_prune(copy.deepcopy(model), total - total * zeros // 100)
        small = deep_compression.make_permanent(deep_compression.share_weights(small, bits))
        with tempfile.TemporaryDirectory() as folder:
            parts = deep_compression.save(small, Path(folder, "network.bin"))
        coded = sum(parts.values())
        fig, ax = plots.figure(figsize=(plots.SIZE[0], 1.6))
        sizes = {name: sum(parts[kind] for kind in kinds) for name, kinds in PARTS.items()}
        with plots.style():
            plots.stages(ax, {"file": sizes})
            ax.set(xlabel="bytes", xlim=(0, coded))
            plots.legend(fig)
        after = accuracy_of(small)
        text = Message(
            "<b>{bytes} bytes</b>, <b>{times} times</b> smaller · accuracy <b>{after} %</b> without training (before: "
            "{before} %)",
            bytes=f"{coded:,}",
            times=f"{float_bytes / coded:.0f}",
            after=f"{after:.1f}",
            before=f"{before:.1f}",
        )
        plots.finish(
            fig,
            "A bar of the file's bytes, divided into values, positions, code books and tables, biases and shapes.",
            trained="x",
        )
        lost = round(before - after, 1)  # as the text shows it
        found = [
            _tiny(zeros, bits, round(float_bytes / coded), lost),
            _two_values(zeros, bits, lost),
            _mostly_positions(parts["positions"], parts["values"]),
        ]
        return fig, text, found

    goals = [
        _("Make the file {times} times smaller, and lose at most {points} points.", times=TIMES, points=SPARED),
        _("Give each layer only two values besides 0 (1 bit), and lose at most {points} points.", points=SPARED),
        _("Find a file whose positions need at least twice as many bytes as its values."),
    ]
    return Playground(
        draw,
        goals,
        measured=True,
        zeros=slider("zeros, %", 0, 99, 90),
        bits=slider("bits", 1, 8, 3),
    )


def _tiny(zeros: int, bits: int, times: int, lost: float) -> str:
    if times < TIMES or lost > SPARED:
        return ""
    return _(
        "{times} times smaller with {zeros} % zeros and {bits} bits, for {points} points and without any training.",
        times=times,
        zeros=zeros,
        bits=bits,
        points=f"{lost:.1f}",
    )


def _two_values(zeros: int, bits: int, lost: float) -> str:
    if bits > 1 or lost > SPARED:
        return ""
    return _(
        "With {zeros} % zeros, two more values per layer cost {points} points. Without zeros they cost far more, since "
        "0 is a third value, the one that most weights are closest to.",
        zeros=zeros,
        points=f"{lost:.1f}",
    )


def _mostly_positions(positions: int, values: int) -> str:
    if positions < TWICE * values:
        return ""
    return _(
        "{positions} bytes say where the weights are, and {values} what they are.",
        positions=f"{positions:,}",
        values=f"{values:,}",
    )
