"""Claims on measured times: measured again if false, not judged on a busy machine, and never forgotten."""

import itertools
import random

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell

from nnopt_lab.course import claims, timing_claims
from nnopt_lab.course.calls import claim
from nnopt_lab.course.claims import Further, Statement
from nnopt_lab.course.lesson_files import lesson_names, paths
from nnopt_lab.course.record import NOT_JUDGED, read
from nnopt_lab.course.timing_claims import check_claims


@pytest.fixture
def busy(monkeypatch):
    """Sets whether the machine is busy, at each time that this is asked."""

    def answer(*states):
        left = itertools.chain(states, itertools.repeat(states[-1]))
        monkeypatch.setattr(timing_claims, "is_busy", lambda: next(left))

    answer(False)
    return answer


@pytest.fixture
def notebook(monkeypatch, capsys, busy, own_workspace):
    """Runs cells in which `latency()` gives the next of some times; returns the claims that they show."""
    shell, displayed = InteractiveShell(), []
    for module in (claims, timing_claims):
        monkeypatch.setattr(module, "shell", lambda: shell)
    monkeypatch.setattr("IPython.display.display", displayed.append)

    def run(times, *cells):
        displayed.clear()
        left = iter(times)
        shell.push({"claim": claim, "latency": lambda: next(left), "torch": torch})
        for cell in cells:
            result = shell.run_cell(cell, store_history=True)
            assert result.success, result
        folded = [s for further in displayed if isinstance(further, Further) for s in further.claims]
        return [s for s in displayed if isinstance(s, Statement)] + folded

    run.shell = shell
    return run


FAST = "claim('fast', seconds < 2, timing=True)"


def test_a_true_claim_is_not_measured_again(notebook):
    (shown,) = notebook([1], "seconds = latency()", FAST)
    assert shown.holds is True and "twice" not in str(shown)


def test_a_false_claim_is_measured_again_and_may_then_be_true(notebook, own_workspace):
    (shown,) = notebook([9, 1], "seconds = latency()\nprint(seconds)", "x = 3", FAST)
    assert shown.holds is True and shown.text == "fast (measured twice)"
    assert notebook.shell.user_ns["seconds"] == 9  # as printed above
    assert read(own_workspace)["timing_claims"]["00_start_here"] == {"fast": True}


def test_a_claim_that_is_false_twice_is_false(notebook, own_workspace):
    (shown,) = notebook([9, 8], "seconds = latency()", FAST)
    assert shown.holds is False and "second time" in shown.note
    assert read(own_workspace)["timing_claims"]["00_start_here"] == {"fast": False}


def test_it_is_measured_again_only_once(notebook):
    (shown,) = notebook([9, 8, 1], "seconds = latency()", FAST)
    assert shown.holds is False


@pytest.mark.parametrize(
    ("states", "times", "holds"),
    [
        ([True], [1], NOT_JUDGED),
        ([True], [9], NOT_JUDGED),
        ([False, True], [9, 8], NOT_JUDGED),  # the load began with the second measurement
        ([False, True], [9, 1], NOT_JUDGED),
        ([False, True], [1], True),
        ([False, False], [9, 8], False),
    ],
)
def test_what_is_judged_when_the_machine_is_busy_before_or_after(notebook, busy, states, times, holds):
    busy(*states)
    (shown,) = notebook(times, "seconds = latency()", FAST)
    assert shown.holds == holds


def test_a_cell_asks_once_whether_the_machine_is_busy_and_the_next_asks_again(notebook, busy):
    busy(False, True)
    first = notebook([1], "seconds = latency()", f"{FAST}\nclaim('also', seconds < 3, timing=True)")
    assert [s.holds for s in first] == [True, True]
    assert [s.holds for s in notebook([1], "seconds = latency()", FAST)] == [NOT_JUDGED]


def test_derived_values_loops_functions_and_conditions_that_are_called(notebook):
    cells = (
        "found = []\nfor _ in range(2):\n    found.append(latency())",
        "def worst(values):\n    return max(values)\nslowest = worst(found)",
        "claim('a', slowest < 2, timing=True)\nclaim('b', lambda: max(found) < 2, timing=True)",
    )
    assert [s.holds for s in notebook([1, 9, 1, 1, 1, 1], *cells)] == [True, True]
    assert notebook.shell.user_ns["found"] == [1, 9]
    assert [s.holds for s in notebook([1, 9, 1, 9, 1, 1], *cells)] == [False, True]


def test_claims_in_a_loop_and_over_several_lines(notebook):
    claimed = "    claim(\n        f'under {limit}',\n        timing=True,\n        condition=seconds < limit,\n    )"
    cell = f"for limit in (0, 5):\n{claimed}"
    assert [s.holds for s in notebook([9, 8, 4], "seconds = latency()", cell)] == [False, True]


def test_measuring_again_shows_nothing_and_draws_no_random_numbers(notebook, capsys):
    setup = "import random, numpy as np, matplotlib.pyplot as plt\ng = torch.Generator().manual_seed(0)"
    measuring = (
        "for _ in range(1):\n    print('measuring')\n    plt.figure()\n    drawn = (torch.rand(3), random.random(), "
        "np.random.rand(), torch.rand(3, generator=g))\n    seconds = latency()"
    )
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    (shown,) = notebook([9, 1], setup, measuring, FAST)
    after = torch.rand(1).item(), random.random(), np.random.rand()
    assert shown.holds is True and capsys.readouterr().out.count("measuring") == 1
    import matplotlib.pyplot as plt

    assert len(plt.get_fignums()) == 1
    plt.close("all")
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    torch.rand(3), random.random(), np.random.rand()
    assert after == (torch.rand(1).item(), random.random(), np.random.rand())
    own = torch.Generator().manual_seed(0)
    torch.rand(3, generator=own)
    assert torch.equal(torch.rand(2, generator=own), torch.rand(2, generator=notebook.shell.user_ns["g"]))


@pytest.mark.parametrize(
    "cells",
    [
        ("seconds = 9", FAST),  # nothing was measured
        ("n = 1\nseconds = latency() * n", "n = 'two'", FAST),  # n is something else by now
        ("n = 1\nseconds = latency() * n", "del n", FAST),
    ],
    ids=["not measured", "overwritten", "deleted"],
)
def test_what_cannot_be_measured_again_is_false_and_says_what_may_have_disturbed_it(notebook, cells):
    (shown,) = notebook([9, 1, 1], *cells)
    assert shown.holds is False and "may have disturbed" in shown.note


def test_an_error_while_measuring_again_is_no_error_of_the_lesson(notebook):
    (shown,) = notebook([9], "seconds = latency()", FAST)  # the second call has no more times
    assert shown.holds is False


def test_without_a_notebook_a_condition_that_is_a_function_is_called_again(busy, capsys):
    left = iter([9, 1])
    claim("fast", lambda: next(left) < 2, timing=True)
    claim("slow", False, timing=True)
    assert capsys.readouterr().out.splitlines()[:2] == ["✔ [timed] fast (measured twice)", "✘ [timed] slow"]


def test_in_smoke_mode_nothing_is_measured_again_or_held_back(monkeypatch, busy, capsys):
    monkeypatch.setenv("NNOPT_SMOKE", "1")
    busy(True)
    claim("fast", False, timing=True)
    claim("slow", lambda: True, timing=True)
    assert [line[0] for line in capsys.readouterr().out.splitlines() if line[0] != " "] == ["✘", "✔"]


MEASURED = "seconds = measure.latency(nets, x)['a'].median\nmacs = 3"


@pytest.mark.parametrize(
    ("claimed", "message"),
    [
        ("claim('fast', seconds < 2)", "'fast' compares measured times, so it needs timing=True"),
        ("claim('fast', lambda: seconds < 2, where=amx)", "needs timing=True"),
        ("half = seconds / 2\nfor i in (1, 2): claim(f'fast {i}', half < i)", "needs timing=True"),
        ("claim('now', perf_counter() < 3)", "needs timing=True"),
        ("claim('few', macs < 4, timing=True)", "'few' has timing=True, but no time was measured"),
        ("claim('few', macs < 4, None, True)", "no time was measured"),
        ("x = 3\nclaim('fast', seconds < 2, timing=True)", "can't be measured again, because x has another value"),
    ],
)
def test_a_lesson_that_forgets_it_is_refused(claimed, message):
    with pytest.raises(ValueError, match=r"^98_tiny\.py: the claim ") as refused:
        check_claims(["x = load()", MEASURED, claimed], "98_tiny.py")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "claimed",
    [
        "claim('fast', seconds < 2, timing=True)",
        "claim('all', len(str(seconds)) > 0, timing=False)",
        "claim('few', macs < 4)",
        "claim('few', condition=macs < 4)",
        "claimed('fast', seconds < 2)",
        "claim()",
    ],
)
def test_a_lesson_that_says_it_is_accepted(claimed):
    check_claims(["x = load()", MEASURED, claimed], "98_tiny.py")


@pytest.mark.parametrize("lesson", lesson_names())
def test_every_claim_on_times_of_the_lessons_is_marked_and_can_be_measured_again(lesson):
    from nnopt_lab.course.builder import to_notebook

    source = paths(lesson)[True].with_suffix(".py")
    check_claims([c.source for c in to_notebook(source, solved=True).cells if c.cell_type == "code"], source.name)
