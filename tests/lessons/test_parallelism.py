"""Lesson 10: its exercises against torch's own and a simulation, its playground, its recordings, its pictures."""

import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.goals import forget_goals
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.parallelism import experiments
from nnopt_lab.lessons.parallelism.exercises import bytes_each, epoch_seconds, loss_weights
from nnopt_lab.lessons.parallelism.measurements import time_epochs, time_in_turns
from nnopt_lab.lessons.parallelism.photographs import Photographs
from nnopt_lab.lessons.parallelism.playground import MOST, scaling_playground
from nnopt_lab.techniques.parallelism import amdahl, launching
from nnopt_lab.workbench import data
from tests.lessons.playgrounds import bars, goals, line, shown, ticks


def inputs_of(id):
    """An exercise's inputs from 200 seeds."""
    return (exercises()[id].generate(torch.Generator().manual_seed(seed)) for seed in range(200))


COUNTERPARTS = {
    "parallel.sampler_positions": lambda length, processes, rank: list(
        DistributedSampler(range(length), processes, rank, shuffle=False)
    ),
    "parallel.serial_share": lambda one, many, threads: float(  # the least squares of Amdahl's law
        np.linalg.lstsq([[one * (1 - 1 / threads)]], [many - one / threads])[0][0]
    ),
    "parallel.reduce_scatter": lambda vectors: list(
        map(torch.from_numpy, np.split(np.sum([v.numpy() for v in vectors], axis=0), len(vectors)))
    ),
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_an_answer_made_with_other_libraries_passes(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(1000))
    assert verdict.passed, verdict


def test_an_epoch_takes_as_long_as_a_simulated_one():
    for batches, read, compute, workers, start in inputs_of("parallel.epoch_seconds"):
        now = start if workers else 0.0
        for batch in range(batches):
            here = start + (batch // workers + 1) * read if workers else now + read
            now = max(now, here) + compute
        predicted = epoch_seconds(batches, read, compute, workers, start)
        # The formula ignores that the first batch must be waited for and the last round of workers may be partial.
        assert abs(now - predicted) <= (read + compute + 1e-9 if workers else 1e-9)


def test_weighted_losses_of_unequal_shares_give_the_gradient_of_the_whole_batch():
    for (counts,) in inputs_of("parallel.loss_weights"):
        inputs, weight = torch.randn(sum(counts), dtype=torch.double), torch.tensor(0.5, dtype=torch.double)

        def gradient(loss, weight=weight):
            return torch.func.grad(loss)(weight)

        shares = zip(inputs.split(counts), loss_weights(counts), strict=True)
        gradients = [gradient(lambda w, x=x, s=s: s * (w * x).exp().mean()) for x, s in shares]
        whole = gradient(lambda w, x=inputs: (w * x).exp().mean())
        torch.testing.assert_close(sum(gradients) / len(counts), whole)


def test_the_bytes_per_process_match_the_recorded_measurement():
    held, parameters = recorded("processes")["result"]["sharded"], 268_650
    assert bytes_each(parameters, 2, []) == held["DDP"]
    assert bytes_each(parameters, 2, ["weights", "gradients", "moments"]) == held["FSDP2"]


@pytest.mark.parametrize("overhead", [0, 0.003, 0.1])
def test_the_playground_says_when_one_more_core_makes_the_program_slower(overhead):
    playground = scaling_playground()
    for cores in (1, 2, 3, 16, 17, 18, 63):
        shown(playground, serial_share=0.1, overhead_per_core=overhead, cores=cores)
        forget_goals()
        playground.redraw()
        slower = amdahl.speedup(cores + 1, 0.1, overhead) < amdahl.speedup(cores, 0.1, overhead)
        assert ticks(playground)[0] == slower, cores


def test_only_an_almost_parallel_program_keeps_many_cores_busy_and_overhead_can_make_them_slower_than_one():
    playground = scaling_playground()
    assert ticks(playground) == [False, False, False]
    shown(playground, cores=MOST, serial_share=0.01, overhead_per_core=0.0001)
    shown(playground, serial_share=0.0, overhead_per_core=0)
    shown(playground, serial_share=0.02)
    assert not ticks(playground)[2]
    shown(playground, serial_share=0.01)  # 1 / (0.01 + 0.99 / 64) = 39.3
    assert ticks(playground)[1:] == [False, True]
    assert "64 cores do the work of 39" in goals(playground)[2][1]
    shown(playground, cores=1, serial_share=0.1, overhead_per_core=0.1)  # 0.1 + 0.9 / 64 + 63 · 0.1 = 6.41
    assert ticks(playground)[1:] == [True, True]
    assert "64 cores take 6.4 times as long as one" in goals(playground)[1][1]


def test_the_playground_shows_the_law_its_limit_and_the_best_number_of_cores():
    playground = scaling_playground()
    text, (law, time) = shown(playground, serial_share=0.1, overhead_per_core=0, cores=9)
    assert "9 cores: <b>5.00×</b>" in text and "limit without overhead: 10×" in text and "64 cores" in text
    cores = np.arange(1, MOST + 1)
    for label, gains in (("ideal", cores), ("Amdahl", 1 / (0.1 + 0.9 / cores)), ("Amdahl with overhead", None)):
        np.testing.assert_array_equal(line(law, label).get_xdata(), cores)
        np.testing.assert_allclose(line(law, label).get_ydata(), 1 / (0.1 + 0.9 / cores) if gains is None else gains)
    assert law.lines[-1].get_xydata().tolist() == [[9, pytest.approx(5)]]
    assert {name: bars(time, name)[0].get_width() for name in ("serial", "divided", "overhead")} == {
        "serial": 0.1, "divided": pytest.approx(0.1), "overhead": 0,
    }  # fmt: skip
    text, (law, time) = shown(playground, overhead_per_core=0.1)  # 0.1 + 0.9/3 + 0.1·2 = 0.6
    assert "best of 1 to 64: 3 cores, 1.67×" in text
    np.testing.assert_allclose(
        line(law, "Amdahl with overhead").get_ydata(), 1 / (0.1 + 0.9 / cores + 0.1 * (cores - 1))
    )
    assert bars(time, "overhead")[0].get_width() == pytest.approx(0.8) and bars(time, "overhead")[0].get_x() == 0.2


def test_the_shipped_processes_have_the_shape_that_they_promise():
    result = recorded("processes")["result"]
    assert set(result) == {"equal", "speed", "sharded", "train", "killed", "difference"}
    assert all(len(seconds) == experiments.ROUNDS for seconds in result["speed"].values())
    assert max(result["equal"]["largest"]) < 1e-6 and result["sharded"]["DDP"] == 2 * result["sharded"]["FSDP2"]
    assert result["killed"] == {"attempt": 1, "first epoch": experiments.DIES_IN} and result["difference"] == 0


def test_an_accelerator_is_measured_where_there_is_one_and_missed_in_words_elsewhere(monkeypatch):
    monkeypatch.setattr(experiments, "BATCH_SIZES", (1, 8))
    found = experiments._measured_on(torch.device("cpu"))
    assert list(found["copy"]) == list(experiments.COPIES) and found["sizes"] == [1, 8]
    assert len(found["accelerator"]) == len(found["cpu"]) == 2 and min(found["cpu"]) > 0
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    with pytest.raises(ValueError, match="has no accelerator"):
        experiments.accelerator()


def test_workers_read_the_same_pictures(capfd):
    pictures = data.load("fashion")
    photographs = Photographs(pictures.train[:6], pictures)
    context = launching.worker_context()
    assert context.get_start_method() == ("spawn" if sys.platform == "win32" else "forkserver")
    here = list(DataLoader(photographs, 4))
    there = list(DataLoader(photographs, 4, num_workers=2, multiprocessing_context=context))
    assert [tuple(inputs.shape) for inputs, _ in there] == [(4, 3, 32, 32), (2, 3, 32, 32)]
    for (a, labels), (b, same) in zip(here, there, strict=True):
        assert torch.equal(a, b) and torch.equal(labels, same)


def test_photographs_look_like_what_they_were_made_of():
    pictures = data.load("fashion")
    few = pictures.train[:20]
    seen = torch.stack([Photographs(few, pictures)[i][0] for i in range(20)])
    assert (seen - pictures.to_input(few.images)).abs().mean() < 0.2  # of numbers with deviation 1


def test_calls_take_turns_and_the_first_round_is_not_counted():
    made = []
    times = time_in_turns({"a": lambda: made.append("a"), "b": lambda: made.append("b")}, pictures=64, rounds=2)
    assert made == ["a", "b"] * 3 and {name: len(timing.samples) for name, timing in times.items()} == {"a": 2, "b": 2}


def test_a_loader_without_workers_has_no_start_and_each_epoch_steps_through_all_batches():
    steps = []
    start, seconds = time_epochs(DataLoader([(1, 2), (3, 4)]), lambda *batch: steps.append([int(t) for t in batch]))
    assert start == 0 and seconds > 0 and steps == [[1, 2], [3, 4]] * 2
