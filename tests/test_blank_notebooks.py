"""Learners' notebooks, with every exercise blank: they run from top to bottom and earn nothing.

The solved notebooks, whose other cells are the same, show that the outputs and claims are true. Here a lesson has few
pictures, trains for a few steps an epoch and calls once what it times, so that it takes seconds; its numbers are not looked
at.
"""

import nbformat
import pytest

from nnopt_lab.course import notebooks

WHOLE = ("04_batch_sizes", "05_integers_by_hand", "09_mixed_precision")  # these ask for pictures by their places
IN_A_HURRY = """
import functools
import importlib
import itertools
import time
from dataclasses import replace

from nnopt_lab.techniques import integer_training
from nnopt_lab.workbench import data, measure, shapes, training


def few(load):
    @functools.wraps(load)
    def loaded(*arguments, **options):
        p = load(*arguments, **options)
        return replace(p, train=p.train[:KEEP], validation=p.validation[:500], test=p.test[:500])

    return loaded


def once(latency):
    @functools.wraps(latency)
    def timed(models, example, rounds=6, budget_seconds=10.0, clock=None):
        samples = {}
        with timing.inference(*models.values()):
            for name, model in models.items():
                started = time.perf_counter()
                model(example)
                seconds = time.perf_counter() - started
                samples[name] = tuple(seconds * (1 + k / 100) for k in range(min(rounds, 6)))
        return {name: measure.Timing(values, len(example)) for name, values in samples.items()}

    return timed


def start(epoch):
    return lambda model, loader, *rest: epoch(model, itertools.islice(loader, 8), *rest)


data.load = few(data.load)
timing, comparison = (importlib.import_module(f"nnopt_lab.workbench.measure.{m}") for m in ("timing", "comparison"))
timing.latency = comparison.latency = measure.latency = once(measure.latency)
training._epoch = start(training._epoch)
draw, train = shapes.draw_shapes, integer_training.train
shapes.draw_shapes = lambda count, *arguments, **options: draw(min(count, 1_000), *arguments, **options)
integer_training.train = lambda model, images, labels, **options: train(model, images[:1_000], labels[:1_000], **options)
"""


@pytest.mark.parametrize("lesson", notebooks.lesson_names())
def test_a_blank_notebook_runs_and_earns_nothing(lesson):
    stored = nbformat.read(notebooks.paths(lesson)[False], as_version=4)
    keep = 18_000 if lesson in WHOLE else 3_000
    stored.cells.insert(0, nbformat.v4.new_code_cell(IN_A_HURRY.replace("KEEP", str(keep))))
    result = notebooks._run(lesson, stored, None)
    assert (result.failure, result.points) == ("", 0)
    assert result.claims
