"""Lesson 03's animation: it plays by itself, is small, and shows what its schedules do."""

import re
from base64 import b64decode

import pytest
import torch

from nnopt_lab.lessons.learning_rates import valley
from nnopt_lab.lessons.learning_rates.valley import descent, valley_animation


def test_the_animation_is_a_small_picture_that_plays_without_scripts():
    drawing = valley_animation()
    assert drawing.svg == valley_animation().svg and len(drawing._repr_html_()) < 300_000
    assert "<script" not in drawing.svg and drawing.svg.count("infinite") == 6
    assert set(re.findall(r"@keyframes ([\w-]+)", drawing.svg)) == set(re.findall(r"animation:([\w-]+) ", drawing.svg))


def test_everything_has_room():
    svg = valley_animation().svg
    ellipses = [[float(n) for n in found] for found in re.findall(r'cx="(\d+)" cy="(\d+)" rx="([\d.]+)" ry', svg)]
    paths = re.findall(r'polyline points="([^"]+)"', svg)
    xs = [x + sign * rx for x, _y, rx in ellipses for sign in (1, -1)]
    points = [list(map(float, point.split(","))) for path in paths for point in path.split()]
    assert len(ellipses) == 6 and all(0 < x < 740 for x in xs), "left of the bars"
    assert all(10 < x < 870 and 10 < y < 300 for x, y in points)


def test_a_path_grows_with_its_point():
    svg = valley_animation().svg
    for schedule in ("constant", "cosine"):
        places = torch.tensor(descent(schedule)[1]) * torch.tensor([valley._PER_X, valley._PER_Y])
        lengths = places.diff(dim=0).norm(dim=1)
        frames = re.search(rf"@keyframes {schedule}-path{{(.*?}})}}", svg)[1]
        left = [float(offset) for offset in re.findall(r"stroke-dashoffset:([\d.]+)", frames)]
        assert left[0] == pytest.approx(lengths.sum().item(), abs=0.1) and left[-2:] == [0, 0]
        assert left[10] == pytest.approx(lengths[10:].sum().item(), abs=0.1)


def test_without_motion_the_points_stand_at_their_ends():
    svg = valley_animation().svg
    assert "@media(prefers-reduced-motion:reduce){.moves{animation:none!important}}" in svg
    circles = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)]
    (x0, y0), per_x, per_y = valley._CENTER, valley._PER_X, valley._PER_Y
    for circle, schedule in zip(circles, ("cosine", "constant"), strict=True):
        x, y = descent(schedule)[1][-1]
        assert circle == pytest.approx((x0 + per_x * x, y0 - per_y * y), abs=0.06)


def test_the_switch_needs_no_script_and_leaves_the_end():
    shown = valley_animation()._repr_html_()
    assert "<details open>" in shown and "<script" not in shown
    playing, still = (b64decode(found).decode() for found in re.findall(r'base64,([^"]+)"', shown))
    assert playing == valley_animation().svg and still != playing
    assert "<style>" in still and still.count(".moves{animation:none!important}") == 1 and "@media" not in still


def test_key_frames_are_in_order_and_end_before_the_rest():
    for frames in re.findall(r"@keyframes [\w-]+\{((?:[\d.]+%\{[^}]*\})*)\}", valley_animation().svg):
        places = [float(place) for place in re.findall(r"([\d.]+)%\{", frames)]
        assert places[0] == 0 and places == sorted(places) and places[-1] == 100 and places[-2] <= 85


@pytest.mark.parametrize("seed", range(5))
def test_a_constant_rate_keeps_shaking_where_the_cosine_rests(seed):
    ends = {name: torch.tensor(descent(name, seed)[1])[-10:] for name in ("constant", "cosine")}
    steps = {name: end.diff(dim=0).norm(dim=1).mean() for name, end in ends.items()}
    assert steps["cosine"] < steps["constant"] / 5


def test_the_rates_are_the_schedules():
    assert descent("constant")[0] == [valley.PEAK] * valley.STEPS
    rates = descent("cosine")[0]
    assert rates[0] == valley.PEAK and rates == sorted(rates, reverse=True) and rates[-1] < 0.01 * valley.PEAK
