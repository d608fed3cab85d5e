"""Lesson 13: its exercises against the stand-in device and torch, its playground, its recording."""

import pytest
import torch
from torch.nn import functional as F

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.accelerator.playground import price_playground
from nnopt_lab.workbench import device
from tests.lessons.playgrounds import line, shown


def clocks_of_the_stand_in(launch_us, kernels_us):
    with device.stand_in(launch_seconds=launch_us) as card:
        for kernel in kernels_us:
            card.launch(kernel)
        launched = card.clock()
        card.wait()
        return [launched, card.clock()]


def slope_by_torch(sizes, ms):
    """The straight line through both points, by least squares."""
    design = torch.tensor([[1.0, size] for size in sizes], dtype=torch.double)
    line = torch.linalg.lstsq(design, torch.tensor(ms, dtype=torch.double)[:, None]).solution.flatten()
    return float(line[1] * sizes[0] / ms[0])


def paid_call_by_call(kernels, launch_us, busy_us, capture_ms):
    saved, calls = max(kernels * launch_us, busy_us) - max(launch_us, busy_us), 0
    while saved and calls * saved < 1000 * capture_ms:
        calls += 1
    return [kernels - 1, calls]


def share_of_ones(sizes, tile):
    """The mean of ones that are padded with zeros, axis by axis."""
    share = 1.0
    for size, step in zip(sizes, tile, strict=True):
        share *= float(F.pad(torch.ones(size, dtype=torch.double), (0, -size % step)).mean())
    return share


def copied_beside_computing(batches, copy_ms, compute_ms):
    with device.stand_in(launch_seconds=0.0) as card:
        copies, computing = card.new_stream(), card.new_stream()
        for _ in range(batches):
            with copies:
                card.launch(copy_ms)
            computing.wait_stream(copies)
            with computing:
                card.launch(compute_ms)
        card.wait()
        return card.clock()


COUNTERPARTS = {
    "accelerator.two_clocks": clocks_of_the_stand_in,
    "accelerator.growing_share": slope_by_torch,
    "accelerator.graph_pays": paid_call_by_call,
    "accelerator.useful_share": share_of_ones,
    "accelerator.overlapped_ms": copied_beside_computing,
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_an_answer_made_another_way_passes(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(300))
    assert verdict.passed, verdict


def test_the_peaks_of_an_h100_are_those_of_its_data_sheet():
    reference = exercises()["accelerator.card_limits"].reference
    for fma, ghz, tflops in ((128, 1.98, 67), (1024, 1.83, 495), (2048, 1.83, 989), (4096, 1.83, 1979)):
        assert reference(132, fma, ghz, 3350, 1, 1)[0] == pytest.approx(tflops, rel=0.01)


def test_the_shipped_recording_names_its_card():
    result = recorded("accelerator")["result"]
    assert result["device"] and set(result["copy"]) == {"plain", "pinned", "pinned, not waited for"}
    assert len(result["sizes"]) == len(result["accelerator"]) == len(result["cpu"])


CARD = {"sizes": [1, 256], "accelerator": [1e3, 1e6], "cpu": [500.0, 1e4]}


def test_the_playground_charges_for_an_idle_machine():
    text, (ax,) = shown(price_playground(CARD))
    for name, speed, watts, euros in (("card", 1e6, 700, 3.0), ("CPU", 1e4, 150, 0.6)):
        loads, costs = line(ax, name).get_data()
        for load, cost in zip(loads, costs, strict=True):
            hours_paid, hours_busy = 1e6 / min(load, speed) / 3600, 1e6 / speed / 3600
            assert cost == pytest.approx(hours_paid * euros + hours_busy * watts / 1000 * 0.30)
    assert "cheaper from about <b>100,000</b>" in text


def test_the_playground_says_that_a_card_never_pays():
    text, _ = shown(price_playground(CARD), batch_size=1, **{"card,_€_per_hour": 6.0, "CPU,_€_per_hour": 0.1})
    assert "never cheaper" in text
