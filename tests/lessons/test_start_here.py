"""Lesson 00: its exercises compared with torch and numpy, and its playground."""

import html
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nnopt_lab.course.builder import to_notebook
from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.lessons.start_here import playground as lesson_playground
from nnopt_lab.lessons.start_here.playground import _pair, _Tried, layer_playground
from nnopt_lab.workbench import measure
from nnopt_lab.workbench.paths import root
from tests.lessons.playgrounds import shown


def macs_by_torch(in_channels, out_channels, kernel_size, height, width, stride, padding):
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        layer(torch.zeros(1, in_channels, height, width))
    return counter.get_total_flops() // 2


def int8_by_numpy(weights):
    scale = float(np.abs(weights.numpy()).max()) / 127
    return torch.from_numpy(np.rint(weights.numpy() / np.float32(scale)).astype(np.int8)), scale


COUNTERPARTS = {
    "start.conv_parameters": lambda *layer: sum(p.numel() for p in nn.Conv2d(*layer[:3], bias=layer[3]).parameters()),
    "start.conv_macs": macs_by_torch,
    "start.accuracy": lambda logits, labels: float(100 * np.mean(np.argmax(logits.numpy(), 1) == labels.numpy())),
    "start.to_int8": int8_by_numpy,
    "start.speedup": lambda before, after: float(np.median(np.divide(before, after))),
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_the_reference_agrees_with_another_library(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(50))
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("last", "pair"),
    [
        ((9, 2.0), ("b", "a")),
        ((99, 0.5), ("a", "b")),  # whichever of the two was tried last
        ((9, 1.01), None),
        ((10, 9.0), None),
        ((99, 9.0), None),
        ((9, 0.5), None),
    ],
)
def test_the_playground_sees_when_fewer_macs_take_longer(last, pair):
    seen = {name: _Tried(None, None, *layer) for name, layer in {"a": (10, 1.0), "b": last}.items()}
    assert _pair(seen) == pair


@pytest.mark.parametrize(
    ("again", "mark", "sentence"),
    [
        (
            measure.Ratio(5.0, 4.0, 6.0, 0.95),
            "✔",
            "You found one: 16→32, 1×1, 16 px does fewer MACs than 16→32, 3×3, 16 px but takes longer.",
        ),
        (
            measure.Ratio(0.9, 0.8, 1.1, 0.95),
            "☐",
            "16→32, 1×1, 16 px seemed slower than 16→32, 3×3, 16 px. Measured again in turns, it takes 0.90 times as "
            "long (0.80 to 1.10), so that was noise.",
        ),
    ],
)
def test_a_pair_that_reaches_the_goal_in_the_figure_is_measured_again_and_ticked_or_explained(
    monkeypatch, again, mark, sentence
):
    monkeypatch.setattr(lesson_playground, "_pair", lambda seen: tuple(reversed(seen)) if len(seen) == 2 else None)
    monkeypatch.setattr(measure, "ratio", lambda slow, fast: again)
    playground = layer_playground()
    shown(playground, kernel=1)
    found = html.unescape(playground.children[-1].value)
    assert f"{mark}</b> {sentence}" in found
    shown(playground, kernel=5)
    assert "noise" not in playground.children[-1].value


def test_the_playground_prices_a_convolution_and_keeps_those_before_it():
    playground = layer_playground()
    text, (ax,) = shown(playground)
    assert text.startswith("4,640 parameters, 1.18 M MACs per picture, ")  # 16·32·3² + 32, and 16·32·3²·16²
    text, (ax,) = shown(playground, kernel=1)
    assert text.startswith("544 parameters, 131,072 MACs per picture, ") and text.endswith(" GFLOP/s")
    assert [line.get_xdata()[0] for line in ax.lines] == [16 * 32 * 9 * 256, 16 * 32 * 256]
    assert [label.get_text() for label in ax.texts] == ["16→32, 3×3, 16 px", "16→32, 1×1, 16 px"]
    milliseconds = float(ax.lines[-1].get_ydata()[0])
    assert f", {milliseconds:.3g} ms per picture, {2 * 131_072 / milliseconds / 1e6:.3g} GFLOP/s" in text
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("MACs per picture", "ms per picture (batch 8)")
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        named = [tick.label1.get_text() for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        assert len(named) >= 2 and all(re.fullmatch(r"[\d.,]+( M)?", name) for name in named)


def test_the_answers_of_the_bug_hunt_are_folded_below_their_questions():
    prose = "\n".join(
        cell.source
        for cell in to_notebook(root() / "solutions" / "00_start_here.py", solved=False).cells
        if cell.cell_type == "markdown"
    )
    folds = re.findall(
        r"^<details><summary>([^\n]+)\n</summary>\n\n(.+?)\n\n</details>$", prose, re.MULTILINE | re.DOTALL
    )
    asked = "\n".join(question for question, _answer in folds)
    seen = re.sub(r"<details>.*?</details>", "", prose, flags=re.DOTALL)
    assert all(question.endswith("?") for question in asked.split("\n"))
    for bug in range(1, 14):
        assert re.search(rf"\b[Bb]ugs? (\d+ (and|to) )?{bug}\b", asked) or 10 < bug < 13
    assert "num_bits` is never" not in seen and "never imported" not in seen
