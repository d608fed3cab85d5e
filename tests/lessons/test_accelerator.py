"""Lesson 13: its exercises against the stand-in device and torch, its playground, its recording."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from nnopt_lab.course import recordings
from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.recordings import experiments as all_experiments
from nnopt_lab.course.recordings import live_or_recorded, recorded
from nnopt_lab.lessons.accelerator import experiments, ladders
from nnopt_lab.lessons.accelerator.playground import price_playground
from nnopt_lab.workbench import data, device
from tests.lessons.playgrounds import goals, line, shown, ticks


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
    # The busy CPU costs 0.0179 euros, and the idle card 833 / load + 0.00006: as much at 47,000.
    assert "cheaper from about <b>50,000</b>" in text  # the next of 20 per decade


@pytest.mark.parametrize("card_euros", [0.5, 6.0])
def test_the_playgrounds_axes_stay_and_hold_every_price(card_euros):
    playground = price_playground(CARD)
    before = playground.figure.axes[0].get_ylim()
    for size in CARD["sizes"]:
        _, (ax,) = shown(playground, batch_size=size, **{"card,_€_per_hour": card_euros, "CPU,_€_per_hour": 2.0})
        low, high = ax.get_ylim()
        assert (low, high) == before and all(low < y < high for line in ax.lines[:2] for y in line.get_ydata())


def test_the_playground_says_that_a_card_never_pays():
    text, _ = shown(price_playground(CARD), batch_size=1, **{"card,_€_per_hour": 6.0, "CPU,_€_per_hour": 0.1})
    assert "never cheaper" in text


def test_the_playgrounds_goals_are_reached_with_the_recorded_card():
    playground = price_playground(recorded("accelerator")["result"])
    assert (
        ticks(playground) == [False, False, False]
        and "Energy costs 0.30 € per kWh, 7 % of a busy" in shown(playground)[0]
    )
    shown(playground, batch_size=1, **{"card,_€_per_hour": 6.0})
    assert not ticks(playground)[1]  # other prices don't count
    shown(playground, batch_size=256)
    assert ticks(playground) == [False, True, False]
    assert goals(playground)[1][1].startswith(
        "At these prices the card pays with batches of 256, and never with batches of 1:"
    )
    shown(playground, **{"card,_€_per_hour": 0.5})
    assert ticks(playground) == [True, True, True]
    assert "energy is 30 %" in goals(playground)[2][1]


@pytest.mark.parametrize(("watts", "ticked"), [(550, False), (600, True)])
def test_energy_is_a_quarter_of_the_price_only_on_a_hungry_card_at_the_lowest_rent(watts, ticked):
    playground = price_playground(CARD)
    shown(playground, **{"card,_watts": watts, "card,_€_per_hour": 0.5})
    assert ticks(playground)[2] == (0.3 * watts / 1000 / (0.3 * watts / 1000 + 0.5) > 0.25) == ticked


RECORDED = ("accelerator_engines", "accelerator_products", "accelerator_training")


@pytest.mark.parametrize("name", RECORDED)
def test_an_experiment_without_an_accelerator_is_one_sentence(name):
    if device.accelerator() is not None:
        pytest.skip("there is an accelerator")
    with pytest.raises(device.DeviceMissing, match="has no accelerator"):
        all_experiments()[name]()


@pytest.mark.parametrize("name", RECORDED)
def test_a_missing_recording_is_told_with_its_command(name, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(device, "accelerator", lambda: None)
    monkeypatch.setattr(recordings, "recorded", _missing)
    assert live_or_recorded(name) is None
    assert f"`nnopt record {name}`" in capsys.readouterr().out


def _missing(name):
    raise FileNotFoundError(name)


def test_a_recording_is_shown_where_there_is_no_accelerator(monkeypatch):
    monkeypatch.setattr(device, "accelerator", lambda: None)
    assert live_or_recorded("accelerator") == recorded("accelerator")["result"]


def test_the_engines_are_measured_on_the_device_by_network_and_batch_size(monkeypatch):
    monkeypatch.setattr(experiments, "ENGINES", (("eager", "float32"), ("CUDA graph", "float32"), ("compiled", "fp8")))
    monkeypatch.setattr(experiments, "BATCH_SIZES", (1, 2))
    monkeypatch.setattr(
        experiments, "_resnet", lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))
    )
    with device.stand_in(name="a card", capability=(8, 0)):
        result = experiments.accelerator_engines()
    assert result["device"] == "a card" and result["sizes"] == [1, 2]
    for found in result["networks"].values():
        assert "8.9" in found["missing"]["compiled fp8"]  # the capability that fp8 needs
        assert list(found["ms"]) == ["eager float32", "CUDA graph float32"]
        assert all(low <= middle <= high for times in found["ms"].values() for middle, low, high in times)


@pytest.mark.filterwarnings("ignore:.*has no effect")
def test_the_ladder_of_training_runs_on_the_cpu_too(monkeypatch):
    pictures = data.load("fashion")
    few = replace(pictures, train=pictures.train[:64], validation=pictures.validation[:50], test=pictures.test[:50])
    monkeypatch.setattr(experiments, "EPOCHS", 1)
    monkeypatch.setattr(experiments, "TRAINING", {k: v | {"epochs": 1} for k, v in experiments.TRAINING.items()})
    rungs = experiments.train_ladder(torch.device("cpu"), few, seeds=(0,))
    assert [rung["name"] for rung in rungs] == list(experiments.TRAINING)
    assert all(len(rung["test"]) == 1 and 0 <= rung["test"][0] <= 100 for rung in rungs)
    assert rungs[0]["kept"] and all(isinstance(rung["kept"], bool) for rung in rungs)
    assert rungs[0]["test"] == rungs[1]["test"] == rungs[2]["test"]  # the device changes no number on a CPU


class TestTwoLadders:
    def rungs(self, *seconds):
        return [
            {"name": f"rung {i}", "epochs": 8 - i, "seconds": [s, s + 1], "test": [89.0, 90.0]}
            for i, s in enumerate(seconds)
        ]

    def test_each_machine_has_a_row_and_every_rung_its_dots(self):
        cpu = [*self.rungs(20, 9), {"name": "compiled", "epochs": 0, "seconds": [], "test": [], "kept": False}]
        fig = ladders.draw({"a card": self.rungs(10, 5, 1), "a CPU": cpu})
        times, accuracy, more_times, _ = fig.axes
        assert [ax.get_title() for ax in (times, more_times)] == ["A card", "A CPU"]
        assert [label.get_text() for label in times.get_yticklabels()] == ["rung 0 (8)", "rung 1 (7)", "rung 2 (6)"]
        assert [label.get_text() for label in more_times.get_yticklabels()] == ["rung 0 (8)", "rung 1 (7)"]
        dots = [list(artist.get_xdata()) for artist in times.lines if artist.get_marker() == "o"]
        assert dots == [[10, 11], [5, 6], [1, 2]]
        assert any(list(artist.get_xdata()) == [89.5, 89.5] for artist in accuracy.lines)  # the loop's accuracy

    def test_one_ladder_alone_and_none(self):
        assert len(ladders.draw({"a CPU": self.rungs(20, 9)}).axes) == 2
        with pytest.raises(ValueError, match="ladders is empty"):
            ladders.draw({})

    def test_the_speedup_is_that_of_the_last_rung_that_was_kept(self):
        slower = {"name": "slower", "epochs": 1, "seconds": [40, 41], "test": [90.0, 90.0], "kept": False}
        assert ladders.speedups([*self.rungs(20, 5), slower]) == [4, 3.5]
        assert ladders.best([*self.rungs(20, 5), slower])["name"] == "rung 1"

    def test_a_gain_is_over_the_rung_before(self):
        assert ladders.gain(self.rungs(100.5, 20.5, 4.625), "rung 2") == 21 / 5.125

    @pytest.mark.parametrize("name", ["training_ladder", "accelerator_training"])
    def test_the_shipped_ladder_is_drawn(self, name):
        result = recorded(name)["result"]
        assert ladders.draw({"a machine": result["rungs"]}).axes
        assert len(ladders.speedups(result["rungs"])) == len(result["seeds"])
