"""A thing keeps its colour, all can be seen on both backgrounds, and those that look alike differ otherwise."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import nnopt_lab
from nnopt_lab.workbench import plots
from nnopt_lab.workbench.plots import colors

TABLE = sorted({*plots.PALETTE, *plots.COLORS.values()})
# What people without long-wave and without medium-wave cones see of linear RGB (Machado, Oliveira & Fernandes 2009,
# https://doi.org/10.1109/TVCG.2009.113).
SIGHTS = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)  # of sRGB, IEC 61966-2-1


def linear(color):
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    low, high = sorted(float(XYZ[1] @ linear(color)) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(rgb):
    x, y, z = np.cbrt(np.maximum(XYZ @ np.clip(rgb, 0, 1) / XYZ.sum(1), 1e-9))
    return np.array([116 * y, 500 * (x - y), 200 * (y - z)])


def alike(one, other):
    """Whether some readers see two colours less than 20 apart in CIE Lab."""
    return any(np.linalg.norm(lab(m @ linear(one)) - lab(m @ linear(other))) < 20 for m in SIGHTS.values())


@pytest.mark.parametrize(
    ("name", "color"),
    [
        ("int8", plots.ORANGE),
        ("ONNX Runtime int8", plots.ORANGE),
        ("float32, NHWC", plots.BLUE),
        ("fp8 e5m2", plots.BROWN),
        ("dense, trained on", plots.REFERENCE),
        ("random search", plots.RED),
        ("at random", plots.RED),
        ("the teacher", plots.VIOLET),
        ("MyNet", plots.GREEN),
        ("randomly", plots.SKY),
        ("print88", plots.SKY),
    ],
)
def test_a_known_word_in_a_name_decides(name, color):
    assert plots.color_of(name, plots.SKY) == color


def test_the_formats_of_numbers_are_told_apart():
    formats = ("float32", "tf32", "bf16", "fp16", "fp8 e4m3", "fp8 e5m2", "int8")
    assert len({plots.color_of(name) for name in formats}) == len(formats)


@pytest.mark.parametrize("background", ["#FFFFFF", "#111111"])
@pytest.mark.parametrize("color", TABLE)
def test_every_colour_can_be_seen_on_both_backgrounds(color, background):
    assert contrast(color, background) >= 3


def test_texts_can_be_read_on_both_backgrounds():
    assert contrast(plots.INK, "#FFFFFF") >= 4.5 and contrast(plots.INK, "#111111") >= 4


def test_texts_have_a_grey_that_nothing_else_has_and_pages_look_for_it():
    others = {value for name, value in vars(colors).items() if isinstance(value, str) and name != "INK"}
    assert plots.INK.upper() not in {value[:7].upper() for value in others}
    script = Path(nnopt_lab.__file__).parent / "course/jupyterlab/extensions/nnopt-lab/static/figures.js"
    assert f"INK = /{plots.INK}/gi" in script.read_text()
    on_colors = {colors.readable_on(color)[1:].lower() for color in ("#000000", "#FFFFFF")}
    assert f"(?!{'|'.join(sorted(on_colors, reverse=True))})" in script.read_text()  # these texts keep their colour


@pytest.mark.parametrize(("one", "other"), list(combinations(TABLE, 2)))
def test_colours_that_look_alike_to_some_differ_in_marker_and_line(one, other):
    assert plots.marker_of(one) != plots.marker_of(other)
    if alike(one, other):
        assert plots.line_of(one) != plots.line_of(other)


def test_other_colours_have_a_dot_and_a_solid_line():
    assert plots.marker_of("#123456") == "o" and plots.line_of("#123456") == "-"
