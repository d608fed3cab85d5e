"""Lesson 12's experiment: how long training takes to match the article's loop, one change after another."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from statistics import mean, median

import torch
from torch import Tensor, nn

from nnopt_lab.course.recordings import experiment
from nnopt_lab.workbench import data, measure, models, recipes, training
from nnopt_lab.workbench.progress_bar import progress_bar

SEEDS = (0, 1, 2)
EPOCHS = 8  # of the article's loop, whose final accuracy is the target; other ways train for the fewest that reach it


@dataclass(frozen=True)
class Way:
    """How `MyNet` is trained; the defaults are the article's loop.

    Attributes:
        peak: the highest of AdamW's one-cycle rates; 0 is SGD at the article's constant rate.
        once: whether pictures are turned into input once, instead of once per batch.
        bf16: whether it runs under autocast.
        compiled: whether `torch.compile` compiles it.
        threads: of torch; 0 keeps its default.
    """

    batch_size: int = 32
    peak: float = 0.0
    channels_last: bool = False
    once: bool = False
    bf16: bool = False
    compiled: bool = False
    threads: int = 0


# Each is tried on top of the best so far, and kept if it is faster and reaches the target. One that changes only
# the speed is first timed on a few pictures, and not trained unless it is faster.
RUNGS = {
    "batch 128, one-cycle AdamW": {"batch_size": 128, "peak": 4e-3},
    "channels last": {"channels_last": True},
    "pictures prepared once": {"once": True},
    "batch 256": {"batch_size": 256, "peak": 6e-3},
    "bf16 autocast": {"bf16": True},
    "torch.compile": {"compiled": True},
    "one thread": {"threads": 1},
}
TIMED = 2_048  # pictures


class Prepared:
    """A split turned into input once, in batches, in a new order each epoch; replaces a DataLoader."""

    def __init__(self, pictures: data.Pictures, batch_size: int, memory_format: torch.memory_format, seed: int):
        self.inputs = pictures.to_input(pictures.train.images).to(memory_format=memory_format)
        self.labels, self.batch_size = pictures.train.labels, batch_size
        self.generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for places in torch.randperm(len(self.labels), generator=self.generator).split(self.batch_size):
            yield self.inputs[places], self.labels[places]


class Autocast(nn.Module):
    """A network that computes in bfloat16 where torch's autocast allows it; its logits are float32."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, ...] → float32."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.model(x).float()


@experiment
def training_ladder() -> dict:
    """Seconds of training that `MyNet` needs on Fashion-MNIST for the accuracy of the article's loop after 8 epochs.

    The target is the loop's mean validation accuracy over three seeds. A rung trains for the fewest epochs that reach
    it; one that changes only the speed keeps the epochs of the rung below. Preparing and compiling count; a rung that
    turned out no faster when timed has no seconds.

    Returns:
        {"machine", "cores", "target": validation accuracy, "seeds": [K], "rungs": [{"name", "kept", "reached",
        "epochs", "seconds": [K], "images_per_second": [K], "validation": [K], "test": [K], and the fields of `Way`}]}.
    """
    pictures, default = data.load("fashion"), torch.get_num_threads()
    machine = measure.machine()
    first = _over_seeds(Way(), EPOCHS, pictures, default)
    target = mean(first["validation"])
    rungs, best, way = [{"name": "the article's loop", "kept": True} | first], first, Way()
    for name, changes in progress_bar(RUNGS.items(), desc="training ladder", unit="rung"):
        new = replace(way, **changes)
        tried = _try(new, None if "peak" in changes else best, target, pictures, default)
        kept = tried["reached"] and median(tried["seconds"]) < median(best["seconds"])
        rungs.append({"name": name, "kept": kept} | tried)
        if kept:
            best, way = tried, new
    return {
        "machine": machine.processor,
        "cores": machine.cores,
        "target": round(target, 2),
        "seeds": list(SEEDS),
        "rungs": rungs,
    }


def _try(way: Way, best: dict | None, target: float, pictures: data.Pictures, default: int) -> dict:
    """Train in a way for the epochs of the best, where it is given, otherwise for the fewest that reach the target."""
    if best:
        few = replace(pictures, train=pictures.train[:TIMED])
        rate = _train(way, 2, few, SEEDS[0], default)["images_per_second"]
        if rate < median(best["images_per_second"]):
            nothing = {"seconds": [], "images_per_second": [rate], "validation": [], "test": []}
            return {"reached": False, "epochs": 0} | nothing | asdict(way)
        # Where only rounding differs, three seeds may fall short by chance: 0.15 points are 3 pictures.
        return _over_seeds(way, best["epochs"], pictures, default, target - 0.15)
    tried = None
    for epochs in range(1, EPOCHS + 1):
        if _train(way, epochs, pictures, SEEDS[0], default)["validation"] >= target:
            tried = _over_seeds(way, epochs, pictures, default, target)
            if tried["reached"]:
                return tried
    return tried or _over_seeds(way, EPOCHS, pictures, default, target)


def _over_seeds(way: Way, epochs: int, pictures: data.Pictures, default: int, target: float = 0.0) -> dict:
    runs = [_train(way, epochs, pictures, seed, default) for seed in SEEDS]
    found = {"epochs": epochs, **{key: [run[key] for run in runs] for key in runs[0]}, **asdict(way)}
    return found | {"reached": mean(found["validation"]) >= target}


def _train(way: Way, epochs: int, pictures: data.Pictures, seed: int, default: int) -> dict:
    memory_format = torch.channels_last if way.channels_last else torch.contiguous_format
    torch.manual_seed(seed)
    net = models.MyNet().to(memory_format=memory_format)
    model = Autocast(net) if way.bf16 else net
    torch.set_num_threads(way.threads or default)
    torch._dynamo.reset()  # every seed compiles anew, as a learner would
    model = torch.compile(model, dynamic=True) if way.compiled else model
    started, loader = time.perf_counter(), None
    try:
        if way.once:
            loader = Prepared(pictures, way.batch_size, memory_format, seed)
        prepared = time.perf_counter() - started
        history = _fit(model, way, epochs, pictures, seed, loader)
    finally:
        torch.set_num_threads(default)
    return {
        "seconds": round(prepared + sum(history.seconds), 2),
        "images_per_second": round(max(history.images_per_second)),  # the first epoch may compile
        "validation": round(history.validation_accuracy[-1], 2),
        "test": recipes.test_accuracy(net, pictures),
    }


def _fit(model: nn.Module, way: Way, epochs: int, pictures: data.Pictures, seed: int, loader) -> training.History:
    options = {"epochs": epochs, "batch_size": way.batch_size, "seed": seed, "loader": loader}
    if not way.peak:
        return training.fit(model, pictures, **options)
    steps = epochs * -(-len(pictures.train) // way.batch_size)
    return training.fit(
        model,
        pictures,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=way.peak),
        scheduler=lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, way.peak, total_steps=steps),
        **options,
    )
