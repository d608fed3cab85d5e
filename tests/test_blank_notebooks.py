"""Learners' notebooks, with every exercise blank: they run from top to bottom and earn nothing.

The solved notebooks, whose other cells are the same, show that the outputs and claims are true. Here a lesson has few
pictures and measures each time as briefly as it can, so that it takes seconds; its numbers are not looked at.
"""

import nbformat
import pytest

from nnopt_lab.course import notebooks

WHOLE = ("04_batch_sizes", "05_integers_by_hand", "09_mixed_precision")  # these ask for pictures by their places
IN_A_HURRY = """
import functools
import importlib

from nnopt_lab.workbench import data, measure, training


def few(load):
    @functools.wraps(load)
    def loaded(*arguments, **options):
        from dataclasses import replace

        p = load(*arguments, **options)
        return replace(p, train=p.train[:KEEP], validation=p.validation[:500], test=p.test[:500])

    return loaded


def brief(latency):
    @functools.wraps(latency)
    def timed(models, example, rounds=6, budget_seconds=10.0, **options):
        return latency(models, example, min(rounds, 6), 1e-9, **options)

    return timed


data.load = few(data.load)
timing, comparison = (importlib.import_module(f"nnopt_lab.workbench.measure.{m}") for m in ("timing", "comparison"))
timing.latency = comparison.latency = measure.latency = brief(measure.latency)
"""


@pytest.mark.parametrize("lesson", notebooks.lesson_names())
def test_a_blank_notebook_runs_and_earns_nothing(lesson):
    stored = nbformat.read(notebooks.paths(lesson)[False], as_version=4)
    keep = 18_000 if lesson in WHOLE else 3_000
    stored.cells.insert(0, nbformat.v4.new_code_cell(IN_A_HURRY.replace("KEEP", str(keep))))
    result = notebooks._run(lesson, stored, None)
    assert (result.failure, result.points) == ("", 0)
    assert result.claims
