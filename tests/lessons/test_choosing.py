"""Lesson 14: its exercises against optuna and numpy, its playground, its recordings."""

import numpy as np
import optuna
import pytest
from optuna._hypervolume import compute_hypervolume
from optuna.trial import create_trial

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.choosing import experiments
from nnopt_lab.lessons.choosing.playground import front_playground
from nnopt_lab.lessons.choosing.stopping import FIRST, stopped_trials
from nnopt_lab.techniques.search.points import Point
from tests.lessons.playgrounds import goals, line, shown, ticks


def best_trials(lost, cost):
    """optuna's front: of equal trials it keeps all, so the first of them is looked up."""
    values = list(zip(cost, lost, strict=True))
    study = optuna.create_study(directions=["minimize", "minimize"])
    study.add_trials([create_trial(values=pair) for pair in values])
    return [values.index(pair) for pair in sorted({tuple(trial.values) for trial in study.best_trials})]


def area(points, limits):
    """optuna's hypervolume, which refuses points beyond the limits."""
    points = [point for point in points if np.all(np.array(point) <= limits)]
    return float(compute_hypervolume(np.array(points), np.array(limits))) if points else 0.0


def halved(configurations):
    """In closed form: round r has ⌈n/2ʳ⌉ configurations and 2ʳ epochs, until one is left."""
    rounds = np.arange(np.ceil(np.log2(configurations)) + 1)
    return int((np.ceil(configurations / 2**rounds) * 2**rounds).sum())


COUNTERPARTS = {
    "choosing.pareto_front": best_trials,
    "choosing.hypervolume": lambda lost, cost, *limits: area(zip(lost, cost, strict=True), limits),
    "choosing.halving_epochs": halved,
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_an_answer_made_with_other_libraries_passes(id):
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(300))
    optuna.logging.set_verbosity(level)
    assert verdict.passed, verdict


def test_the_playground_picks_the_cheapest_within_the_limit_of_the_trials_so_far():
    original = Point(-1, {}, 90.0, 1000, 8.0)
    points = [Point(0, {}, 90.5, 900, 6.0), Point(3, {"sparsity": 0.5}, 89.0, 500, 2.0), Point(1, {}, 80.0, 100, 1.0)]
    playground = front_playground(points, original)
    text, (ax,) = shown(playground)
    assert "Trial 3: <b>4.00×</b> as fast, −1.00 points, 500 B" in text and "50 % of the weights pruned" in text
    assert line(ax, "trial").get_xydata().tolist() == [[0.75, 0.5], [0.125, -10], [0.25, -1]]  # by their numbers
    assert sorted(line(ax, "front").get_xydata().tolist()) == [[0.125, -10], [0.25, -1], [0.75, 0.5]]
    assert line(ax, "best within the limit").get_xydata().tolist() == [[0.25, -1]]
    assert line(ax, "original").get_xydata().tolist() == [[1, 0]] and list(line(ax, "limit").get_ydata()) == [-1, -1]
    assert ax.get_xscale() == "log" and ax.get_xlabel() == "latency ÷ the original's"
    text, (ax,) = shown(playground, trials=2)  # 0 and 1
    assert "Trial 0: <b>1.33×</b>" in text and line(ax, "best within the limit").get_xydata().tolist() == [[0.75, 0.5]]
    assert len(line(ax, "trial").get_xdata()) == 2
    text, (ax,) = shown(playground, **{"max._points_lost": 0})
    assert "Trial 0" in text and list(line(ax, "limit").get_ydata()) == [0, 0]


def test_the_playgrounds_goals_are_reached_with_the_recorded_search():
    first = recorded("autotune_search")["result"]["search"][0]
    playground = front_playground([Point(**point) for point in first["points"]], Point(**first["original"]))
    assert ticks(playground) == [False, False, False]
    shown(playground, **{"max._points_lost": 2})
    assert ticks(playground) == [False, True, False]
    assert goals(playground)[1][1] == "Allowing 2 points instead of 1 buys nothing: trial 17 stays the best."
    shown(playground, **{"max._points_lost": 0})
    assert ticks(playground)[2] and "3.8 times as fast" in goals(playground)[2][1]
    shown(playground, **{"max._points_lost": 1})
    for trials in (12, 14):
        shown(playground, trials=trials)
    assert not ticks(playground)[0]
    shown(playground, trials=13)
    assert ticks(playground)[0] and goals(playground)[0][1].startswith("13 of 15 trials would have been enough")


def test_the_playgrounds_goals_compare_limits_with_the_same_trials_only():
    original = Point(-1, {}, 90.0, 1000, 8.0)
    points = [Point(0, {}, 89.9, 900, 6.0), Point(1, {}, 88.5, 1100, 9.0), Point(2, {}, 89.2, 700, 4.0)]
    playground = front_playground(points, original, "bytes")
    shown(playground, trials=2)
    shown(playground, **{"max._points_lost": 0})
    assert ticks(playground) == [False, False, False]
    shown(playground, **{"max._points_lost": 0.25})
    assert ticks(playground) == [False, True, False]
    shown(playground, trials=1)
    assert ticks(playground) == [True, True, False]


def test_the_playground_says_when_nothing_is_within_the_limit_and_needs_a_point():
    original, bad = Point(-1, {}, 90.0, 1000, 8.0), Point(1, {}, 80.0, 100, 1.0)
    text, (ax,) = shown(front_playground([bad], original, "bytes"))
    assert "No network is within" in text and "best within the limit" not in [line.get_label() for line in ax.lines]
    assert line(ax, "trial").get_xydata().tolist() == [[0.1, -10]]
    with pytest.raises(ValueError, match="0 entries"):
        front_playground([], original)


@pytest.mark.parametrize(
    ("name", "runs", "trials"),
    [
        ("autotune_search", len(experiments.SEEDS), experiments.SEARCH_TRIALS),
        ("autotune_resnet", 1, experiments.RESNET_TRIALS),
    ],
)
def test_the_shipped_contests_have_the_shape_that_they_promise(name, runs, trials):
    result = recorded(name)["result"]
    target = result["goal"]["target"]
    for kind in ("search", "random"):
        assert len(result[kind]) == runs
        for run in result[kind]:
            assert len(run["points"]) + run["stopped"] + len(run["failed"]) == trials
            original = run["original"]
            pairs = [
                (max(original["accuracy"] - p["accuracy"], 0.0), p[target] / original[target]) for p in run["points"]
            ]
            assert run["hypervolume"] == pytest.approx(area(pairs, (result["goal"]["max_drop"], 1.0)))
    assert list(result["sensitivity"]) and result["final"]["original"]["faster"] == [1, 1, 1]


def test_the_shipped_orders_and_times_have_the_shape_that_they_promise():
    orders = recorded("technique_orders")["result"]
    assert list(orders["accuracy"]) == [" → ".join(order) for order in experiments.ORDERS]
    assert all(len(accuracies) == len(experiments.SEEDS) for accuracies in orders["accuracy"].values())
    for widths in recorded("time_by_part")["result"].values():
        assert all(list(parts) == list(experiments.PARTS) and min(parts.values()) > 0 for parts in widths.values())
        assert sum(widths["half"].values()) < sum(widths["all"].values())


def test_a_rule_sees_the_finished_trials_before_each_and_none_of_a_network_that_was_not_trained():
    def trial(number, curve):
        return {"number": number, "config": {}, "accuracy": 80.0 + number, "bytes": 1, "latency": 1.0, "curve": curve}

    curves = [[70.0, 75.0]] * FIRST + [[], [60.0, 65.0], [71.0, 76.0]]
    points = [trial(number, curve) for number, curve in enumerate(curves)]
    seen = []

    def rule(curve, cost, others, costs, floor):
        seen.append((curve, len(others), len(costs), floor))
        return 1 if curve[0] == 60.0 else len(curve)

    stopped, trained, whole = stopped_trials({"points": points, "original": {"accuracy": 89.0}}, 1.0, rule)
    assert seen == [([60.0, 85.0], FIRST, FIRST, 88.0), ([71.0, 86.0], FIRST, FIRST, 88.0)]
    assert [point.number for point in stopped] == [5] and (trained, whole) == (2 * FIRST + 1 + 2, 2 * FIRST + 4)
