"""What a kernel runs before a blank notebook (see test_blank_notebooks.py): of all long work a little remains.

Results keep their shapes, so that what a lesson does with them still goes through; their numbers mean nothing. A
compiler, and processes side by side, are missing here as they are on some machines: lessons go on without. That they
go on with them is what the solved notebooks show.
"""

import functools
import gzip
import importlib
import itertools
import time
from dataclasses import replace

from IPython import get_ipython
from matplotlib_inline.config import InlineBackend

from nnopt_lab.lessons.parallelism import experiments as parallelism
from nnopt_lab.techniques import distillation
from nnopt_lab.techniques.deployment import engines
from nnopt_lab.techniques.distillation import cached_teacher
from nnopt_lab.techniques.quantization import integer_training, post_training
from nnopt_lab.techniques.training import batch_size_sweep, linear_svm, noise_scale
from nnopt_lab.workbench import data, measure, shapes, training

timing, comparison, hardware = (
    importlib.import_module(f"nnopt_lab.workbench.measure.{name}") for name in ("timing", "comparison", "hardware")
)
FEW = 32  # pictures


def put(*modules):
    """A decorator: in the modules, the function takes the place of that of its name, which it gets as `old`."""

    def into(function):
        old = getattr(modules[0], function.__name__)
        for module in modules:
            setattr(module, function.__name__, functools.wraps(old)(functools.partial(function, old)))

    return into


def tiled(values, count):
    """The values again and again, until they are `count`."""
    return values.repeat(-(-count // len(values)), *[1] * (values.dim() - 1))[:count]


@put(data)
def load(old, *arguments, **options):
    p = old(*arguments, **options)
    return replace(p, train=p.train[:KEEP], validation=p.validation[:500], test=p.test[:500])  # noqa: F821


@put(shapes, data)
def draw_shapes(old, count, **options):
    return tuple(tiled(values, count) for values in old(min(count, 200), **options))


@put(training)
def _epoch(old, model, loader, *rest):
    few = ((x[:FEW], tuple(t[:FEW] for t in y) if isinstance(y, tuple | list) else y[:FEW]) for x, y in loader)
    old(model, itertools.islice(few, 2), *rest)


@put(training)
def evaluate(old, model, split, pictures, **options):
    seen = old(model, split[:FEW], pictures, **options)
    return replace(seen, correct=tiled(seen.correct, len(split)))


@put(timing, comparison, measure)
def latency(old, models, example, rounds=6, budget_seconds=10.0, clock=None):
    samples, some = {}, example[:FEW] if example.dim() == 4 else example  # else it may be no batch of pictures
    with measure.inference(*models.values()):
        for name, model in models.items():
            started = time.perf_counter()
            model(some)
            seconds = time.perf_counter() - started
            samples[name] = tuple(seconds * (1 + k / 100) for k in range(min(rounds, 6)))
    return {name: measure.Timing(values, len(example)) for name, values in samples.items()}


@put(hardware)
def _best_seconds(old, call):
    return old(call, 0.01)


@put(gzip)
def compress(old, content, compresslevel=9, **options):
    return old(content, 1, **options)


@put(linear_svm)
def pegasos_svm(old, x, y, regularization, steps, **options):
    return tiled(old(x, y, regularization, min(steps, 50), **options), steps)


@put(noise_scale)
def measured(old, gradient, count, **options):
    return old(gradient, count, **options | {"small": 8, "parts": 2, "draws": 1})


@put(batch_size_sweep)
def sweep(old, step, example, largest=64, seconds=0.01, **options):
    return old(step, example, largest=min(largest, 64), seconds=0.01, **options)


@put(post_training)
def ada_round(old, model, batch, bits=4, **options):
    return old(model, batch[:FEW], bits, **options | {"steps": 2})


@put(integer_training)
def train(old, net, images, labels, **options):
    return old(net, images[:640], labels[:640], **options)


@put(cached_teacher, distillation)
def cached_logits(old, teacher, split, *rest):
    return tiled(old(teacher, split[:FEW], *rest), len(split))


@put(engines)
def needs_compiler(old):
    raise engines.EngineUnavailable("There is no compiler.")


@put(parallelism)
def two_processes(old, *arguments, **options):
    raise RuntimeError("not here")


backend = InlineBackend.instance(parent=get_ipython())
backend.print_figure_kwargs = {"bbox_inches": None, "dpi": 40}
