"""Lesson 03's animation: it plays by itself, is small, and shows what its schedules do."""

import re

import pytest
import torch

from nnopt_lab.lessons.learning_rates import valley
from nnopt_lab.lessons.learning_rates.valley import descent, valley_animation


def test_the_animation_is_a_small_picture_that_plays_without_scripts():
    drawing = valley_animation()
    assert drawing.svg == valley_animation().svg and len(drawing._repr_html_()) < 300_000
    assert "<script" not in drawing.svg and drawing.svg.count("infinite") == 4
    assert set(re.findall(r"@keyframes ([\w-]+)", drawing.svg)) == set(re.findall(r"animation:([\w-]+) ", drawing.svg))


def test_without_motion_the_points_stand_at_their_ends():
    svg = valley_animation().svg
    assert "@media(prefers-reduced-motion:reduce){.moves{animation:none!important}}" in svg
    circles = [(float(x), float(y)) for x, y in re.findall(r'<circle class="moves" cx="([\d.]+)" cy="([\d.]+)"', svg)]
    (x0, y0), per_x, per_y = valley._CENTER, valley._PER_X, valley._PER_Y
    for circle, schedule in zip(circles, ("constant", "cosine"), strict=True):
        x, y = descent(schedule)[1][-1]
        assert circle == pytest.approx((x0 + per_x * x, y0 - per_y * y), abs=0.06)


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
