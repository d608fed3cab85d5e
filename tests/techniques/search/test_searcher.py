"""A search goes on where it was, survives failures and Ctrl-C, and stops trials that cannot win."""

import pytest
from torch import nn

from nnopt_lab.techniques.search import candidates, searcher
from nnopt_lab.techniques.search.points import Goal
from tests.techniques.search import small_search
from tests.techniques.search.small_search import build, run, search


def test_it_goes_on_where_it_was_and_other_processes_join(task, tmp_path):
    one = small_search.searcher(task, Goal("bytes"), tmp_path / "search.db")
    first = run(one, 2).points
    two = small_search.searcher(task, Goal("bytes"), f"sqlite:///{tmp_path / 'search.db'}")
    again = run(two, 4)
    assert again.points[:2] == first and len(again.points) + again.stopped == 4
    assert run(one, 4).points == again.points, "four were tried already"
    with pytest.raises(ValueError, match="holds a search for another network, other data or another goal"):
        small_search.searcher(task, Goal("bytes", max_drop=3), tmp_path / "search.db")
    kept = {int(path.stem) for path in (tmp_path / "search.db.networks").iterdir()}
    assert kept == {p.number for p in again.front} | ({again.best.number} if again.best else set())


def test_in_memory_the_same_seed_draws_the_same(trained):
    first, again = (search(trained, "bytes", manual_starts=False, seed=4) for _ in range(2))
    assert first.points == again.points
    other = search(trained, "bytes", manual_starts=False, seed=5, sampler="random", trials=1)
    assert other.points[0].config != first.points[0].config


def _failing_once(monkeypatch, error, at):
    """`candidates.make` raises the error in its call number `at`."""
    make, calls = candidates.make, []

    def failing(*arguments):
        calls.append(arguments[1])
        if len(calls) == at:
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


def test_where_every_trial_fails_the_last_one_is_quoted(trained, monkeypatch):
    monkeypatch.setattr(candidates, "make", lambda *_: (_ for _ in ()).throw(ValueError("no")))
    with pytest.raises(ValueError, match="No trial succeeded; the last one said: no"):
        search(trained, "bytes")


def test_trials_that_cannot_win_are_stopped_before_their_last_epoch(trained, monkeypatch):
    monkeypatch.setattr(searcher, "should_stop", lambda *_: True)
    found = search(trained, "bytes", trials=6, epochs=2)
    assert len(found.points) == searcher.MIN_FINISHED and found.stopped == 2


def test_the_estimate_stops_what_would_break_a_limit(task):
    found = run(small_search.searcher(task, Goal("bytes", max_bytes=10)), 6)
    assert len(found.points) == searcher.MIN_FINISHED and found.stopped == 2 and found.best is None
    with pytest.raises(ValueError, match="No point keeps the limits yet"):
        found.network()


def test_accuracy_is_clipped_for_the_sampler(task, monkeypatch):
    monkeypatch.setattr(searcher, "ACCURACY_CLIP", 0.25)
    one = small_search.searcher(task, Goal("bytes", max_drop=0.5))
    found = run(one, 3)
    highest, told = found.original.accuracy, [trial.values[0] for trial in one.study.trials]
    assert told == pytest.approx([min(max(p.accuracy, highest - 0.75), highest) for p in found.points])
    assert min(p.accuracy for p in found.points) < min(told)


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
