"""A search goes on where it was, survives failures and Ctrl-C, and stops trials that cannot win."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.deployment import ENGINES
from nnopt_lab.techniques.search import candidates, evaluation, searcher
from nnopt_lab.techniques.search.autotune import optimize
from nnopt_lab.techniques.search.points import Goal
from tests.techniques.search import small_search
from tests.techniques.search.small_search import TRAIN, VALIDATION, build, run, search


def test_it_goes_on_where_it_was_and_other_processes_join(task, tmp_path):
    one = small_search.searcher(task, Goal("bytes"), tmp_path / "search.db")
    first = run(one, 2).points
    two = small_search.searcher(task, Goal("bytes"), f"sqlite:///{tmp_path / 'search.db'}")
    again = run(two, 4)
    assert again.points[:2] == first and len(again.points) + again.stopped == 4
    assert run(one, 4).points == again.points, "four were tried already"
    with pytest.raises(ValueError, match="contains a search for another network, other data, another training, goal"):
        small_search.searcher(task, Goal("latency"), tmp_path / "search.db")
    kept = {int(path.stem) for path in (tmp_path / "search.db.networks").iterdir()}
    assert kept == {p.number for p in again.front} | ({again.best.number} if again.best else set())


@pytest.mark.parametrize(
    "other", [Goal("bytes", max_drop=50.0), Goal("bytes", max_latency=1e3), Goal("bytes", max_bytes=10**6)]
)
def test_other_limits_go_on_with_the_same_trials(other, task, tmp_path):
    first = run(small_search.searcher(task, Goal("bytes", max_drop=0.0), tmp_path / "search.db"), 5)
    again = run(small_search.searcher(task, other, tmp_path / "search.db"), 8)
    assert again.points[: len(first.points)] == first.points and not again.failed
    assert len(again.points) + again.stopped == 8
    assert again.best == min((p for p in again.points if again.allowed(p)), key=again.cost, default=None)


def test_a_search_that_goes_on_builds_the_baseline_only(trained, tmp_path, monkeypatch):
    names = ["channels-last float32"]
    first = search(trained, engine_names=names, trials=2, storage=tmp_path / "search.db")
    monkeypatch.setitem(ENGINES, names[0], lambda *_: pytest.fail("built again"))
    again = search(trained, engine_names=names, trials=2, storage=tmp_path / "search.db")
    assert again.points == first.points
    with pytest.raises(ValueError, match="other engines"):
        search(trained, engine_names=["bf16"], trials=2, storage=tmp_path / "search.db")


def test_an_original_that_guesses_is_a_note(trained):
    wrong = build(5)
    with torch.no_grad():
        wrong[9].weight.zero_()
    assert any("always answering the most frequent class" in note for note in search(wrong, trials=1).notes)
    assert not any("most frequent class" in note for note in search(trained, trials=1).notes)


def test_in_memory_the_same_seed_draws_the_same(trained):
    first, again = (search(trained, "bytes", manual_starts=False, seed=4) for _ in range(2))
    assert first.points == again.points
    other = search(trained, "bytes", manual_starts=False, seed=5, sampler="random", trials=1)
    assert other.points[0].config != first.points[0].config


def _failing_once(monkeypatch, error, at):
    """`candidates.make` raises the error in its call number `at`; returns the configurations of all calls."""
    make, calls = candidates.make, []

    def failing(*arguments):
        calls.append(arguments[1])
        if error is not None and len(calls) == at:
            raise error
        return make(*arguments)

    monkeypatch.setattr(candidates, "make", failing)
    return calls


def test_ctrl_c_keeps_what_was_found_and_the_trial_is_tried_again(task, monkeypatch):
    calls = _failing_once(monkeypatch, KeyboardInterrupt(), at=2)
    one = small_search.searcher(task, Goal("bytes"))
    found = run(one, 5)
    assert found.interrupted and len(found.points) == 1
    found = run(one, 2)
    assert len(found.points) == 2 and calls[2] == calls[1]


def test_a_trial_that_fails_does_not_end_the_search(trained, monkeypatch):
    _failing_once(monkeypatch, ValueError("The loss became nan.\nA trace"), at=1)
    found = search(trained, "bytes")
    assert found.failed == ["The loss became nan."] and len(found.points) == 2
    assert "Trials that failed (1): The loss became nan." in found.remarks


@pytest.mark.parametrize("error", [KeyError("layer"), AssertionError(), IndexError("out of range"), MemoryError()])
def test_of_an_unexpected_failure_the_type_is_told(error, trained, monkeypatch):
    _failing_once(monkeypatch, error, at=1)
    found = search(trained, "bytes")
    assert found.failed[0].startswith(type(error).__name__) and len(found.points) == 2


class Viewing(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.last, self.ones = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 3), torch.ones(4, 1, 1)

    def forward(self, x):
        return self.last((self.conv(x) * self.ones).view(x.size(0), -1))


class Branching(Viewing):
    def forward(self, x):
        y = self.conv(x)
        return self.last((y if x.sum() > 0 else -y).flatten(1))


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Viewing, "channels-last float32"), (Viewing, "bf16"), (Branching, "ONNX Runtime float32")],
)
def test_an_engine_that_fails_is_a_note(kind, name):
    torch.manual_seed(0)
    found = search(kind(), engine_names=[name], trials=2)
    assert any(note.startswith(f"{name} was not tried: It ") for note in found.notes)
    assert len(found.points) == 2 and not any("engine" in p.config and p.config["engine"] == name for p in found.points)


def test_an_engine_that_fails_with_the_goal_s_batch_is_a_note(trained, monkeypatch):
    eager = ENGINES["eager float32"]

    def fixed(model, calibration):
        engine = eager(model, calibration)
        return replace(engine, run=lambda x: engine.run(x) if len(x) == 64 else 1 / 0)

    monkeypatch.setitem(ENGINES, "bf16", fixed)
    found = search(trained, engine_names=["bf16"], trials=1)
    assert found.notes == [
        "bf16 was not tried: It does not run this model with 1 pictures (ZeroDivisionError: division by zero)."
    ]


def _narrow_fails(monkeypatch, name="bf16"):
    """An engine that runs no network with fewer channels than the original."""
    eager = ENGINES["eager float32"]

    def for_the_original(model, calibration):
        if model[0].out_channels < 8:
            raise TypeError("too small")
        return eager(model, calibration)

    monkeypatch.setitem(ENGINES, name, for_the_original)


def test_an_engine_that_fails_for_candidates_is_told_once(trained, monkeypatch):
    _narrow_fails(monkeypatch)
    found = search(trained, engine_names=["bf16"], trials=6)
    assert not found.failed and found.trials == 6
    assert [remark for remark in found.remarks if "bf16" in remark] == [
        "bf16 did not run every candidate: It does not run this model (TypeError: too small)."
    ]
    by_engine = {p.config["engine"] for p in found.points if p.config.get("channels", {}).get("0")}
    assert by_engine == {"eager float32"}


def test_each_candidate_is_measured_on_every_engine_that_is_left(trained):
    names = ["channels-last float32", "bf16"]
    seen = {}

    def timed(models, *given):
        seen[len(seen)] = list(models)
        return {name: 1.0 + i for i, name in enumerate(models)}

    with small_search.known_machine(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "fastest_seconds", timed)
        found = optimize(trained, TRAIN, VALIDATION, goal=Goal(max_drop=100.0), engine_names=names, trials=3, epochs=1)
    assert seen[0] == ["eager float32", *names]
    assert all(set(models) == {"original", "eager float32", *names} for models in list(seen.values())[1:])
    assert len(seen) == 4 and found.trials == 3
    assert all("engine" in p.config for p in found.points)


def test_a_trial_has_a_point_per_engine_that_no_other_beats(trained, monkeypatch):
    """A fast engine that answers wrongly, and a slow one that answers as the network does."""
    eager = ENGINES["eager float32"]

    def wrong(model, calibration):
        engine = eager(model, calibration)
        return replace(engine, run=lambda x: -engine.run(x))

    monkeypatch.setitem(ENGINES, "bf16", wrong)
    with small_search.known_machine(), pytest.MonkeyPatch.context() as patch:
        speed = {"original": 9.0, "eager float32": 2.0, "bf16": 1.0}
        patch.setattr(evaluation, "fastest_seconds", lambda models, *_: {n: speed[n] for n in models})
        options = {"engine_names": ["bf16"], "trials": 2, "epochs": 1}
        found = optimize(trained, TRAIN, VALIDATION, goal=Goal(max_drop=1.0), **options)
        small = optimize(trained, TRAIN, VALIDATION, goal=Goal("bytes", max_drop=1.0), **options)
    by_trial = {(p.number, p.config["engine"]): p for p in found.points}
    assert len(by_trial) == 4 and found.trials == 2
    assert by_trial[0, "bf16"].latency < by_trial[0, "eager float32"].latency
    assert by_trial[0, "bf16"].accuracy < 50 < by_trial[0, "eager float32"].accuracy
    assert found.best.config["engine"] == "eager float32"
    assert found.network(by_trial[0, "bf16"]) is not None and not any("again" in note for note in found.notes)
    assert {p.config["engine"] for p in small.points} == {"eager float32"}, "a compressed file has no engine"


def test_where_every_trial_fails_the_last_one_is_quoted(trained, monkeypatch):
    monkeypatch.setattr(candidates, "make", lambda *_: (_ for _ in ()).throw(ValueError("no")))
    with pytest.raises(ValueError, match="No trial succeeded; the last one failed: no"):
        search(trained, "bytes")


def test_trials_that_cannot_win_are_stopped_before_their_last_epoch(trained, monkeypatch):
    monkeypatch.setattr(searcher, "should_stop", lambda *_: True)
    found = search(trained, "bytes", trials=6, epochs=2)
    assert len(found.points) == searcher.MIN_FINISHED and found.stopped == 2


def test_the_estimate_stops_what_would_break_a_limit(task):
    found = run(small_search.searcher(task, Goal("bytes", max_bytes=10)), 6)
    assert len(found.points) == searcher.MIN_FINISHED and found.stopped == 2 and found.best is None
    with pytest.raises(ValueError, match="No point is within the limits yet"):
        found.network()


class Functions(nn.Module):
    """A network without a layer that could be changed."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(192, 3))

    def forward(self, x):
        return x.flatten(1) @ self.weight


def test_a_search_without_new_configurations_ends_and_trains_nothing_twice(monkeypatch):
    calls = _failing_once(monkeypatch, None, at=-1)
    found = search(Functions(), "bytes", trials=5)
    assert len(calls) == 1 and found.trials == 1
    assert "The search ended after 1 trials, because it found no new configuration." in found.notes


def test_equal_configurations_are_trained_once_and_cost_no_trial(task, monkeypatch):
    calls = _failing_once(monkeypatch, None, at=-1)
    one = small_search.searcher(task, Goal("bytes"))
    monkeypatch.setattr(one.space, "config", lambda params: {"sparsity": round(params["sparsity"], 1), "bits": {}})
    found = run(one, 6)
    assert found.trials == 6 and len(calls) == 6
    assert len({str(config) for config in calls}) == 6


def test_the_time_left_is_told(task):
    one = small_search.searcher(task, Goal("bytes"))
    assert "left" not in one._progress(5, float("inf"))
    one._durations = [60.0, 61.0, 1000.0]
    assert one._progress(10, float("inf")).startswith("about 10 min left, 0 on the front, best: nothing within")
    assert one._progress(10, 30.0).startswith("about 30 s left")
    assert one._progress(1000, float("inf")).startswith("about 16.9 h left")


def test_seconds(trained):
    assert len(search(trained, trials=50, seconds=1e-9).points) == 0


def test_what_cannot_be_traced_is_searched_without_removing_channels():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = build()

        def forward(self, x):
            return self.inner(x) if len(x) > 0 else x.sum()

    found = search(Branching(), "bytes", trials=1)
    assert "Channels were not removed: model cannot be traced" in found.notes[0]
    assert found.points and "channels" not in found.points[0].config
