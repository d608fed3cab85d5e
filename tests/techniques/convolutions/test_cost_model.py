"""The cost model: a roofline with a floor, worked by hand, and a calibration that is of this machine."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques.convolutions.cost_model import CostModel, calibrate
from nnopt_lab.workbench.measure import LayerCost

MACHINE = CostModel(gflops=100.0, bandwidth=10.0, overhead=1e-5)


def layer(macs, weight=0, read=0, written=0):
    return LayerCost("layer", "Conv2d", macs, weight, read, written, (1,))


def test_by_hand():
    assert math.isclose(MACHINE.seconds(layer(50_000_000)), 1e-5 + 1e-3)  # 0.1 GFLOP at 100 GFLOP/s
    assert math.isclose(MACHINE.seconds(layer(1, 10**6, 5 * 10**6, 4 * 10**6)), 1e-5 + 1e-3)  # 10 MB at 10 GB/s
    assert MACHINE.seconds(layer(0)) == 1e-5


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_more_work_never_takes_less_time_and_the_ridge_lies_where_the_roofline_has_it(macs, moved, more):
    assert MACHINE.seconds(layer(macs + more, moved)) >= MACHINE.seconds(layer(macs, moved))
    assert MACHINE.seconds(layer(macs, moved + more)) >= MACHINE.seconds(layer(macs, moved))
    cost = layer(macs, moved)
    if moved and cost.intensity > 100 / 10:  # operations per byte: arithmetic decides, traffic is free
        assert MACHINE.seconds(cost) == MACHINE.seconds(layer(macs))


def test_a_models_time_by_hand():
    # For 4 pictures. Convolution: 27·16 MACs per pixel, 4·1024 pixels, two operations each, at 10^11 per second:
    # 35.38944 µs. Its memory traffic takes less: (432 + 16) parameters, 4·3·1024 inputs and 4·16·1024 outputs of 4
    # bytes are 313,088 bytes, at 10^10 per second 31.3088 µs. Linear layer: 640 MACs take 12.8 ns, 170 parameters, 64
    # inputs and 40 outputs are 1,096 bytes and take 109.6 ns. Each call costs 10 µs more; the other layers are free.
    conv, linear = nn.Conv2d(3, 16, 3, padding=1), nn.Linear(16, 10)
    model = nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    x = torch.zeros(4, 3, 32, 32)
    assert math.isclose(MACHINE.model_seconds(model, x), 45.38944e-6 + 10.1096e-6, rel_tol=1e-9)
    assert MACHINE.model_seconds(nn.ReLU(), x) == 0


def test_calibrated_numbers_are_those_of_a_machine():
    found = calibrate()
    assert found.gflops > 0.1 and found.bandwidth > 0.1 and 1e-7 < found.overhead < 0.1
