"""The cost model: a roofline with a floor, worked by hand, and a calibration that is of this machine."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques.convolutions.cost_model import CostModel, calibrate
from nnopt_lab.workbench import measure, models
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
    if moved and cost.intensity > 100 / 10:  # operations a byte: arithmetic decides, traffic is free
        assert MACHINE.seconds(cost) == MACHINE.seconds(layer(macs))


def test_a_models_time_is_that_of_its_layers():
    model, x = models.MyNet(), torch.zeros(4, 3, 32, 32)
    assert MACHINE.model_seconds(model, x) == sum(MACHINE.seconds(cost) for cost in measure.layer_costs(model, x))
    assert MACHINE.model_seconds(nn.ReLU(), x) == 0


def test_calibrated_numbers_are_those_of_a_machine():
    found = calibrate()
    assert found.gflops > 0.1 and found.bandwidth > 0.1 and 1e-7 < found.overhead < 0.1
