"""A report on a made-up search, so that a test knows every figure."""

import torch

from nnopt_lab.techniques.search.comparison import Comparison, Usage
from nnopt_lab.techniques.search.kept import KeptNetworks
from nnopt_lab.techniques.search.points import Goal, Point
from nnopt_lab.techniques.search.report import Report
from nnopt_lab.techniques.search.result import Search
from nnopt_lab.workbench.measure import Timing

SIZES = {"load.py": 100, "model.int8.onnx": 2048, "model.onnx": 4096, "weights.safetensors": 4000}


def timing(seconds):
    return Timing(tuple(seconds for _ in range(6)), 1)


def known_report(task, target="latency", points=None, names=("cat", "dog"), speedup=4.0, **changes):
    """Trial 1 of three was exported: it is `speedup` times as fast, and takes 15 of 100 dogs for cats."""
    if points is None:
        config = {"engine": "ONNX Runtime int8", "channels": {"0": 0.5}}
        points = [Point(i, config, 80.0 + i, 100 + 50 * i, 0.001 * (i + 1)) for i in range(3)]
    search = Search(task, Goal(target), Point(-1, {}, 82.5, 900, 0.1), KeptNetworks(task, ""), points)
    labels = torch.arange(2).repeat_interleave(100)
    after = labels.clone()
    after[100:115] = 0
    times = {(1, n): {"original": timing(1.0), "new": timing(1 / speedup)} for n in (1, 2)}
    usage = Usage((3 * 2**20, 2**20), "weighed", (None,), "this is CPU.")
    seen = Comparison(labels, labels, after, names, times, (1, 1), usage)
    point = points[min(1, len(points) - 1)]
    exported = Point(point.number, point.config, 92.5, 120, 0.1 / speedup)
    return Report(search, point, exported, seen, **{"kind": "onnx-int8", "sizes": SIZES} | changes)
