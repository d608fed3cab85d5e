"""Lesson 14's experiments: search, random search and manual tuning; techniques in every order; where time goes."""

import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from nnopt_lab.course.recordings import experiment
from nnopt_lab.techniques import distillation, quantization
from nnopt_lab.techniques.deployment import ENGINES
from nnopt_lab.techniques.deployment.onnx_files import export_onnx, quantize_onnx
from nnopt_lab.techniques.pruning import channel_pruning, dependency_graph
from nnopt_lab.techniques.quantization import qat
from nnopt_lab.techniques.search import candidates
from nnopt_lab.techniques.search.autotune import optimize
from nnopt_lab.techniques.search.evaluation import measured_point
from nnopt_lab.techniques.search.points import Goal, Point, describe
from nnopt_lab.techniques.search.result import Search
from nnopt_lab.workbench import data, measure, models, recipes, training
from nnopt_lab.workbench.progress_bar import progress_bar

EAGER, FLOAT, INT8 = CHOICES = "eager float32", "ONNX Runtime float32", "ONNX Runtime int8"
WIDTHS = (0.75, 0.5, 0.375, 0.25)
SEARCH_TRIALS, RESNET_TRIALS = 20, 12
SEEDS = (0, 1, 2)
PARTS = ("first convolution", "second convolution", "pooling", "the rest")
ORDERS = tuple(itertools.permutations(("channels", "distil", "3 bits")))


@experiment
def autotune_search() -> dict:
    """`MyNet` on Fashion-MNIST at batch 64, one thread: three searches, three random searches, and manual tuning.

    3,000 training pictures, two epochs per candidate; at most one point of validation accuracy may be lost.

    Returns:
        As `_contest`.
    """
    pictures = data.load("fashion")
    return _contest(models.trained("mynet"), pictures, pictures.train[:3_000], SEARCH_TRIALS, WIDTHS, SEEDS)


@experiment
def autotune_resnet() -> dict:
    """torchvision's resnet18, trained on 4,000 pictures of clothes of 32×32: as `autotune_search`, but once.

    The same 4,000 pictures, two epochs per candidate; fewer trials, and two manual widths.

    Returns:
        As `_contest`.
    """
    from torchvision.models import resnet18  # takes a second, and the lessons need it nowhere else

    pictures = data.load("fashion")
    torch.manual_seed(0)
    model = resnet18(num_classes=10)
    few = pictures.train[:4_000]
    recipes.one_cycle(model, pictures, epochs=5, peak=2e-3, batch_size=64, steps_per_epoch=63, train=few)
    return _contest(model, pictures, few, RESNET_TRIALS, (0.75, 0.5), (0,))


@experiment
def technique_orders() -> dict:
    """Test accuracy of `MyNet` after the same three steps in each of their six orders.

    The steps: half of the channels are removed; weights are quantised to 3 bits, with one grid per layer; the network
    trains for three epochs on 6,000 pictures with the original as its teacher, through the grids (LSQ) if it has them.

    Returns:
        {"seeds": [K], "before": accuracy, "accuracy": {"a → b → c": [K]}}, percent.
    """
    pictures, original = data.load("fashion"), models.trained("mynet")
    accuracy = {}
    for order in progress_bar(ORDERS, desc="orders", unit="order"):
        found = [_in_order(order, original, pictures, seed) for seed in SEEDS]
        accuracy[" → ".join(order)] = [recipes.test_accuracy(model, pictures) for model in found]
    return {"seeds": list(SEEDS), "before": recipes.test_accuracy(original, pictures), "accuracy": accuracy}


@experiment
def time_by_part(runs: int = 60) -> dict:
    """Where the time of `MyNet` goes, with all channels and with half of them: batch 64, one thread, by each engine.

    Eager torch is timed module by module, ONNX Runtime by its own profiler; a ReLU counts towards the layer before it.

    Returns:
        {engine: {"all" or "half": {part: seconds, median of the runs}}}, with the parts of `PARTS`.
    """
    torch.set_num_threads(1)
    pictures, net = data.load("fashion"), models.trained("mynet")
    calibration = list(pictures.to_input(pictures.train.images[:256]).split(64))
    batch = pictures.to_input(pictures.validation.images[:64])
    groups = _removable(net, batch)
    found = {name: {} for name in CHOICES}
    for width, share in (("all", 1.0), ("half", 0.5)):
        model, _ = candidates.shape(net, batch, {"channels": dict.fromkeys(groups, share)})
        found[EAGER][width] = _by_module(model.eval(), batch, runs)
        with tempfile.TemporaryDirectory() as folder:
            path = export_onnx(model, calibration, Path(folder, "model.onnx"))
            found[FLOAT][width] = _by_node(path, batch, runs)
            found[INT8][width] = _by_node(quantize_onnx(path, calibration), batch, runs)
    return found


def _removable(model: nn.Module, example: torch.Tensor) -> list[str]:
    return [group.name for group in dependency_graph.channel_groups(model, example) if group.removable]


def _by_module(model: nn.Module, batch: torch.Tensor, runs: int) -> dict[str, float]:
    """Seconds of each part; the layers run one after the other, as in the network."""
    layers = [*model.features, nn.Flatten(), *model.classifier]
    samples = [[] for _ in layers]
    with torch.inference_mode():
        for _ in range(runs):
            x = batch
            for seconds, layer in zip(samples, layers, strict=True):
                started = time.perf_counter()
                x = layer(x)
                seconds.append(time.perf_counter() - started)
    return _parts([type(layer).__name__ for layer in layers], [statistics.median(s) for s in samples])


def _by_node(path: Path, batch: torch.Tensor, runs: int) -> dict[str, float]:
    """The same by ONNX Runtime's profiler, which records every node of every run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.enable_profiling = 1, True
    options.profile_file_prefix = str(path.with_suffix(""))
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    for _ in range(runs):
        session.run(None, {"x": batch.numpy()})
    log = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    nodes = [e for e in log if e.get("cat") == "Node" and e["name"].endswith("kernel_time")]
    nodes.sort(key=lambda e: e["ts"])
    count = len(nodes) // runs
    medians = [statistics.median(e["dur"] for e in nodes[place::count]) / 1e6 for place in range(count)]
    return _parts([e["args"]["op_name"] for e in nodes[:count]], medians)


def _parts(names: list[str], seconds: list[float]) -> dict[str, float]:
    """Seconds by part; `names` are the kinds of the layers or nodes in their order."""
    parts, convolutions, part = dict.fromkeys(PARTS, 0.0), iter(PARTS), PARTS[3]
    for name, taken in zip(names, seconds, strict=True):
        if "Conv" in name:
            part = next(convolutions)
        elif "Pool" in name:
            part = PARTS[2]
        elif "ReLU" not in name:
            part = PARTS[3]
        parts[part] += taken
    return parts


def _in_order(order: tuple[str, ...], original: nn.Module, pictures: data.Pictures, seed: int) -> nn.Module:
    model, rounded, train = original, False, pictures.train[:6_000]
    example = pictures.to_input(train.images[:256])
    for step in order:
        if step == "channels":
            keep = channel_pruning.keep_most_important(model, example[:1], 0.5)
            model = channel_pruning.remove_channels(model, example[:1], keep)
            continue
        model = candidates.shape(model, example[:1], {})[0]  # a copy
        if step == "3 bits":
            quantization.quantize_weights(model, 3, per="tensor")
            rounded = True
            continue
        if rounded:
            qat.prepare(model, example, 3, None, ends=None)
        asked = distillation.WithTeacher(data.loader(train, pictures, 128, shuffle=True, seed=seed), original)
        options = {
            "loader": asked,
            "loss": distillation.distillation_loss(),
            "steps_per_epoch": len(asked),
            "seed": seed,
        }
        recipes.one_cycle(model, pictures, epochs=3, peak=1e-3, **options)
        if rounded:
            qat.make_permanent(model)
            for layer in model.modules():
                layer.__dict__.pop("weight_grid", None)
    return model


def _contest(model: nn.Module, pictures: data.Pictures, train: data.Split, trials: int, widths, seeds) -> dict:
    """A search, equally many random trials, and manual tuning, with the same training per network.

    Returns:
        {"goal", "original": point, "search" and "random" (nothing is stopped early): for each seed {"original",
        "points", "stopped", "failed", "hypervolume", "seconds"}, "sensitivity", "manual": {name: point}, "final":
        {name: {"test", "lost" and "faster" [estimate, low, high], "bytes", "what"}} for the winner of each.

        A point is {number, config, accuracy, bytes, latency, curve}.
    """
    torch.set_num_threads(1)  # the engines' pools of threads would take the cores from each other
    goal, split = Goal(max_drop=1.0, batch=64), (train, pictures.validation)
    options = {"goal": goal, "to_input": pictures.to_input, "trials": trials, "engine_names": CHOICES}
    at_random = options | {"sampler": "random", "manual_starts": False, "stop_early": False}
    searches = [optimize(model, *split, seed=seed, **options) for seed in seeds]
    random = [optimize(model, *split, seed=seed, **at_random) for seed in seeds]
    best = {f"search {n}": (found, found.best) for n, found in enumerate(searches, 1)}
    best |= {f"random {n}": (found, found.best) for n, found in enumerate(random, 1)}
    searched = searches[0]
    manual = _manual(searched, widths)
    for kind in ("uniform + int8", "single"):
        allowed = [p for name, p in manual.items() if name.startswith(kind) and searched.allowed(p)]
        best[f"manual, {kind}"] = searched, min(allowed, key=searched.cost, default=None)
    return {
        "goal": {name: value for name, value in vars(goal).items() if value is not None},
        "original": vars(searched.original),
        "search": [_listed(found) for found in searches],
        "random": [_listed(found) for found in random],
        "sensitivity": searched.sensitivity,
        "manual": {name: vars(point) for name, point in manual.items()},
        "final": _final(searched, {name: pair for name, pair in best.items() if pair[1]}, pictures),
    }


def _manual(search: Search, widths) -> dict[str, Point]:
    groups = _removable(search.task.model, search.task.inputs(1))
    uniform = {width: dict.fromkeys(groups, width) for width in widths}
    configs = {f"single: {engine}": {"engine": engine} for engine in (FLOAT, INT8)}
    configs |= {f"single: width {w}": {"engine": EAGER, "channels": uniform[w], "teacher": 0.9} for w in widths}
    configs |= {
        f"single: rank for {e}": {"engine": EAGER, "energy": {"linear": e, "convolution": e}, "teacher": 0.9}
        for e in (0.8, 0.6)
    }
    configs |= {f"uniform + int8: width {w}": {"engine": INT8, "channels": uniform[w], "teacher": 0.9} for w in widths}
    return {
        name: _measured(search, config) for name, config in progress_bar(configs.items(), desc="manual", unit="network")
    }


def _measured(search: Search, config: dict) -> Point:
    task, original = search.task, ENGINES[EAGER](search.task.model, search.task.calibration)
    network, _ = candidates.make(task, config)
    batch = task.inputs(search.goal.batch)
    return measured_point(task, -1, config, network, original, search.original.latency, batch)


def _final(search: Search, winners: dict[str, tuple[Search, Point]], pictures: data.Pictures) -> dict:
    """The winners on the test pictures, and their processor time, measured in turns with the original's."""
    calibration = search.task.calibration
    ready = {"original": ENGINES[EAGER](search.task.model, calibration)}
    ready |= {name: ENGINES[p.config["engine"]](its.network(p), calibration) for name, (its, p) in winners.items()}
    batch, clock = search.task.inputs(search.goal.batch), time.process_time
    timings = measure.latency(ready, batch, rounds=60, budget_seconds=60, clock=clock)
    seen = {name: training.evaluate(engine, pictures.test, pictures, device="cpu") for name, engine in ready.items()}
    final = {}
    for name, (_, point) in {"original": (search, search.original), **winners}.items():
        lost = measure.proportion_difference(seen["original"].correct, seen[name].correct)
        faster = measure.ratio(timings["original"], timings[name])  # the original's with itself is 1
        final[name] = {
            "test": round(seen[name].accuracy, 2),
            "lost": [lost.estimate, lost.low, lost.high],
            "faster": [faster.estimate, faster.low, faster.high],
            "bytes": ready[name].bytes,
            "what": describe(point.config),
        }
    return final


def _listed(search: Search) -> dict:
    return {
        "original": vars(search.original),
        "points": [vars(point) for point in search.points],
        "stopped": search.stopped,
        "failed": search.failed,
        "hypervolume": search.hypervolume(),
        "seconds": search.seconds,
    }
