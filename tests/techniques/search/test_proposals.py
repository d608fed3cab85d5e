"""Processes don't repeat each other's trials, and the sampler sees trials under the present limits."""

from datetime import timedelta

import pytest

from nnopt_lab.techniques.search import proposals
from nnopt_lab.techniques.search.points import Goal
from tests.techniques.search import small_search
from tests.techniques.search.small_search import run


def begun(task, storage):
    one = small_search.searcher(task, Goal("bytes"), storage)
    one.begin_with_starts(6)
    return one.proposals


def test_processes_that_begin_together_share_the_starts(task, tmp_path):
    one, other = (begun(task, tmp_path / "search.db") for _ in range(2))
    asked = [proposed.next()[1] for proposed in (one, other) * 3]
    starts = [one.space.config(start) for start in one.starts[: one.most]]
    assert asked == starts and len({str(config) for config in asked}) == 6


@pytest.mark.parametrize(("max_drop", "widths"), [(100.0, [0.5, 0.25]), (-100.0, [0.5, 0.75, 0.875])])
def test_widths_follow_from_the_results_before_them(task, max_drop, widths):
    goal = Goal()
    object.__setattr__(goal, "max_drop", max_drop)  # nothing is within a limit below 0
    one = small_search.searcher(task, goal)
    one.begin_with_starts(5)
    run(one, 5)
    configs = [t.user_attrs["config"] for t in one.study.trials() if "points" in t.user_attrs]
    uniform = [one.space.config(one.space.neutral() | {"width": width}) for width in widths]
    assert [config for config in configs if config][: len(widths)] == uniform


def test_a_start_that_two_processes_asked_for_is_tried_by_the_first(task, tmp_path, monkeypatch):
    one, other = (begun(task, tmp_path / "search.db") for _ in range(2))
    known = other.study.trials()
    first, config = one.next()
    with monkeypatch.context() as patch:  # the other one looked before the first one began
        patch.setattr(other.study, "trials", lambda: [])
        again = other._ask(at_random=False)
    assert not known and other.space.config(again.params) == config
    other.study.note(again, config=config)
    assert other._same(config, before=again.number).number == first.number and one._same(config, first.number) is None


def test_a_trial_of_a_process_that_was_killed_is_tried_again(task, tmp_path, monkeypatch):
    one, other = (begun(task, tmp_path / "search.db") for _ in range(2))
    _, config = one.next()
    assert other.next()[1] != config
    monkeypatch.setattr(proposals, "ABANDONED", timedelta(0))
    assert other.next()[1] == config


def test_what_failed_is_not_tried_again_and_what_was_interrupted_is(task):
    proposed = begun(task, None)
    trial, first = proposed.next()
    proposed.interrupt(trial)
    trial, again = proposed.next()
    assert again == first
    proposed.fail(trial, "It failed.")
    assert proposed.next()[1] != first


def test_the_sampler_sees_earlier_trials_under_the_present_limits(task, tmp_path, monkeypatch):
    monkeypatch.setattr(proposals, "ACCURACY_CLIP", 0.0)
    found = run(small_search.searcher(task, Goal("bytes", max_drop=0.0), tmp_path / "search.db"), 3)
    one = small_search.searcher(task, Goal("bytes", max_drop=100.0), tmp_path / "search.db").proposals
    optuna = pytest.importorskip("optuna")
    told = one._under_present_limits([t for t in one.study.trials() if "limits" in t.user_attrs], optuna).trials
    assert [trial.values[0] for trial in told] == pytest.approx(
        [min(p.accuracy, found.original.accuracy) for p in found.points]
    )


def test_accuracy_is_clipped_for_the_sampler(task, monkeypatch):
    monkeypatch.setattr(proposals, "ACCURACY_CLIP", 0.25)
    one = small_search.searcher(task, Goal("bytes", max_drop=0.5))
    found = run(one, 3)
    highest = found.original.accuracy
    told = [trial.values[0] for trial in one.study.trials() if "points" in trial.user_attrs]
    assert told == pytest.approx([min(max(p.accuracy, highest - 0.75), highest) for p in found.points])
    assert min(p.accuracy for p in found.points) < min(told)
