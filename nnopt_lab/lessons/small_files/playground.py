"""Lesson 07: a network pruned, shared and coded without any training, and the bytes of its file."""

import copy
import tempfile
from pathlib import Path

from torch import nn

from nnopt_lab.course.playground import Playground, slider
from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.quantization import deep_compression
from nnopt_lab.workbench import data, measure, plots, training
from nnopt_lab.workbench.language import Message

PARTS = {
    "values": ("values",),
    "positions": ("positions",),
    "code books and tables": ("code books", "Huffman tables"),
    "biases and shapes": ("biases", "header"),
}


def compression_playground(model: nn.Module, pictures: data.Pictures) -> Playground:
    """The shares of `model`'s file by part, its size, and the accuracy that is left without training."""
    some = pictures.validation[:500]
    total = pruning.count_weights(model)[1]
    before, float_bytes = training.evaluate(model, some, pictures).accuracy, measure.disk_bytes(model)

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
        after = training.evaluate(small, some, pictures).accuracy
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
        return fig, text

    return Playground(
        draw,
        zeros=slider("zeros, %", 0, 99, 90),
        bits=slider("bits", 1, 8, 3),
    )
